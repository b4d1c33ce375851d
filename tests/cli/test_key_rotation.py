"""The command rotate-key, and the key file."""

import os
import stat

import pytest

from tests.cli.conftest import run
from tests.governance.conftest import KEY, WHO


@pytest.fixture
def key_file(db, monkeypatch, tmp_path):
    """The key of `db` in a file, without a line end."""
    file = tmp_path / "customer.key"
    file.write_bytes(KEY)
    file.chmod(0o600)
    monkeypatch.delenv("OFFER_BANDIT_KEY")
    monkeypatch.setenv("OFFER_BANDIT_KEY_FILE", str(file))
    return file


def test_a_key_is_made_added_to_the_file_and_used(db, key_file, capsys):
    planned = run(capsys, "rotate-key", db, "--make", "--dry-run")
    assert (planned.code, "To be hashed with key 2: 40 customers" in planned.out) == (0, True)
    assert key_file.read_bytes() == KEY
    asked = run(capsys, "rotate-key", db, "--make")
    assert (asked.code, "give --yes to do it" in asked.err) == (2, True)
    assert key_file.read_bytes() == KEY
    done = run(capsys, "rotate-key", db, "--make", "--yes")
    assert done.code == 0
    assert "Hashed with key 2: 40 customers, who were under 1 key" in " ".join(done.out.split())
    lines = key_file.read_text().splitlines()
    assert (lines[0], len(lines), len(lines[1])) == (KEY.decode(), 2, 64)
    assert run(capsys, "verify", db, "--chain").code == 0
    assert run(capsys, "rebuild", db).code == 0
    assert len(run(capsys, "export-customer", db, WHO).json["decisions"]) == 15
    assert "customer key  last rotated 20" in run(capsys, "status", db).out
    assert run(capsys, "doctor", db, "--json").json["database"]["last rotation of the customer key"] is not None
    again = run(capsys, "rotate-key", db, "--yes")
    assert (again.code, "has all of the 2 keys given already" in again.sentence) == (2, True)


def test_a_key_that_was_added_by_hand_is_taken_before_one_is_made(db, key_file, capsys):
    key_file.write_bytes(KEY + b"\nan own key for these tests\n")
    assert run(capsys, "verify", db).code == 0
    assert run(capsys, "rotate-key", db, "--make", "--yes", "--json").json["n_keys"] == 2
    assert len(key_file.read_text().splitlines()) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_database_in_the_clear_gets_a_key_in_a_new_file(example, capsys, monkeypatch):
    monkeypatch.setenv("OFFER_BANDIT_KEY_FILE", str(example / "new.key"))
    done = run(capsys, "rotate-key", "offers.db", "--make", "--yes", "--json").json
    assert (done["n_keys"], done["from_clear"]) == (1, True)
    assert stat.S_IMODE((example / "new.key").stat().st_mode) == 0o600
    assert run(capsys, "verify", "offers.db", "--chain").code == 0


def test_without_a_key_file_the_new_key_has_no_place(db, capsys):
    said = run(capsys, "rotate-key", db, "--make", "--yes")
    assert (said.code, "OFFER_BANDIT_KEY_FILE is not set" in said.sentence) == (2, True)
    assert run(capsys, "verify", db).code == 0

"""The command anchor, and verify with --chain and --anchor."""

import sqlite3

import pytest

from bandit.store.customer_key import KEY_VARIABLE
from tests.cli.conftest import FACTS, run
from tests.store.chain.conftest import change


def test_the_chain_of_a_log_as_it_was_written_is_whole(example, capsys):
    """The sample has 2,000 decisions; one more, a customer and their eligible set are three rows of one link."""
    assert run(capsys, "decide", "offers.db", "anna", *FACTS).code == 0
    said = run(capsys, "verify", "offers.db", "--chain")
    assert said.code == 0
    assert "The chain is whole" in said.out
    found = run(capsys, "verify", "offers.db", "--chain", "--json").json
    assert found["ok"] is found["chain"]["ok"] is True
    assert found["chain"]["n_rows"] > 4_000
    assert found["chain"]["anchored"] is None
    assert "chain" not in run(capsys, "verify", "offers.db", "--json").json


def test_what_verify_alone_does_not_see_the_chain_names(example, capsys):
    """A revenue, the text of a group and an event that is gone."""
    change(
        example / "offers.db", "UPDATE events SET revenue = revenue + 1 WHERE id = 7", "DELETE FROM events WHERE id = 9"
    )
    assert run(capsys, "verify", "offers.db").code == 0
    said = run(capsys, "verify", "offers.db", "--chain")
    assert said.code == 2
    assert "event 7 is not as it was written" in said.out
    assert "event 9 is not there" in said.out


def test_an_anchor_kept_elsewhere_is_found_again(example, capsys):
    """As a line, in a file with several lines, and as JSON."""
    first = run(capsys, "anchor", "offers.db")
    assert first.code == 0
    assert run(capsys, "decide", "offers.db", "anna", *FACTS).code == 0
    line = first.out.strip()
    document = run(capsys, "anchor", "offers.db", "--json")
    (example / "anchors.txt").write_text(f"{line}\n{run(capsys, 'anchor', 'offers.db').out}")
    (example / "anchor.json").write_text(document.out)
    assert document.json["decisions"] == 2_001
    assert "signature" not in document.json
    for given in (line, "anchors.txt", "anchor.json"):
        said = run(capsys, "verify", "offers.db", "--anchor", given)
        assert said.code == 0, said.out
        assert "contains the anchor" in said.out


def test_a_log_that_was_cut_off_does_not_have_the_anchor(example, capsys):
    before = (example / "offers.db").read_bytes()
    assert run(capsys, "decide", "offers.db", "anna", *FACTS).code == 0
    line = run(capsys, "anchor", "offers.db").out.strip()
    (example / "offers.db").write_bytes(before)
    assert run(capsys, "verify", "offers.db", "--chain").code == 0
    said = run(capsys, "verify", "offers.db", "--anchor", line)
    assert said.code == 2
    assert "before the anchor" in said.out
    assert run(capsys, "verify", "offers.db", "--anchor", line, "--json").json["chain"]["anchored"] is False


def test_with_a_key_an_anchor_is_signed_and_a_made_up_one_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(KEY_VARIABLE, "a key for our tests")
    assert run(capsys, "init", "example").code == 0
    monkeypatch.chdir(tmp_path / "example")
    imported = run(
        capsys, "import", "offers.db", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml"
    )
    assert imported.code == 0
    said = run(capsys, "anchor", "offers.db", "--json")
    assert len(said.json["signature"]) == 64
    (tmp_path / "anchor.json").write_text(said.out)
    assert run(capsys, "verify", "offers.db", "--anchor", tmp_path / "anchor.json").code == 0
    (tmp_path / "anchor.json").write_text(said.out.replace(said.json["signature"], "0" * 64))
    refused = run(capsys, "verify", "offers.db", "--anchor", tmp_path / "anchor.json")
    assert refused.code == 2
    assert "not signed with this customer key" in refused.sentence
    monkeypatch.delenv(KEY_VARIABLE)
    assert run(capsys, "anchor", "offers.db").code == 0  # it names no customer


@pytest.mark.parametrize("given", ["nowhere.txt", "7:abc", "", ":", "empty.txt", "broken.json"])
def test_what_is_no_anchor_is_said_in_one_sentence(example, capsys, given):
    (example / "empty.txt").write_text("")
    (example / "broken.json").write_text("{")
    said = run(capsys, "verify", "offers.db", "--anchor", given)
    assert said.code == 2
    assert "anchor" in said.sentence


def test_doctor_tells_the_head_of_the_chain(example, capsys):
    line = run(capsys, "anchor", "offers.db").out.strip()
    assert run(capsys, "doctor", "offers.db", "--json").json["database"]["head of the chain"] == line
    raw = sqlite3.connect(example / "offers.db")
    (last,) = raw.execute("SELECT MAX(id) FROM chain").fetchone()
    raw.close()
    assert line.startswith(f"{last}:")

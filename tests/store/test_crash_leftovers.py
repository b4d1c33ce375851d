"""What a killed process leaves beside its database: nothing of it harms, hides a customer, or stays for ever."""

import io
import json
import sqlite3
from contextlib import redirect_stdout, suppress

import pytest
import typer

import bandit
from bandit.cli.maintenance import doctor
from bandit.errors import InputError, StoreError
from bandit.governance.erasure import erase
from bandit.governance.removal import REMOVAL_WAIT
from bandit.store import Store, file_size, wal_path
from bandit.store.maintenance import copy
from bandit.store.maintenance.deletion import Deletion
from bandit.store.spool.file import REFUSED, digest, keep_refused
from bandit.store.tables import leases
from tests.conftest import SPRING
from tests.store.maintenance.test_backup import N
from tests.store.rows import decisions
from tests.store.schema.test_migrations import old

KEY = b"a key for our tests"


@pytest.fixture
def path(tmp_path):
    """A store with one decision of anna's and one of bert's, and a refused line of each."""
    path = tmp_path / "offers.db"
    with Store.open(path, customer_key=KEY) as store:
        number = store.catalogues.register(bandit.Catalogue.from_dict(SPRING))
        store.decision_writer.append(decisions(number, N, ["of-anna", "of-bert"], customers=["anna", "bert"]))
    for name in ("of-anna", "of-bert"):
        text = json.dumps({"decision_ids": [name]}, separators=(",", ":")).encode()
        keep_refused(path, digest(text) + b" " + text, "a reason")
    return path


def refused(path):
    """The lines that the database refused."""
    return path.with_name(path.name + REFUSED).read_text().splitlines()


@pytest.mark.filterwarnings("ignore:.*of the schema; as it was before")
def test_the_copy_that_a_killed_migration_did_not_finish_goes_with_the_next(tmp_path):
    path = old(tmp_path / "offers.db", 1)
    left = tmp_path / "offers.db.version-1.20260101T000000.000000Z.backup.partial"
    for name in (left, left.with_name(left.name + "-journal")):
        name.write_bytes(b"half a copy")
    another = tmp_path / "other.db.version-1.20260101T000000.000000Z.backup.partial"
    another.write_bytes(b"of another database")
    Store.open(path).close()
    assert not list(tmp_path.glob("offers.db*.partial*"))
    assert another.exists()


def test_an_erasure_and_doctor_name_a_copy_that_was_not_finished(path, tmp_path, monkeypatch):
    left = tmp_path / "backup.db.partial"
    left.write_bytes(path.read_bytes())
    (tmp_path / "letter.partial").write_text("not ours")
    with Store.open(path, customer_key=KEY) as store:
        assert erase(store, "anna").older_copies == (left,)
    monkeypatch.setenv("OFFER_BANDIT_KEY", KEY.decode())
    said = io.StringIO()
    with redirect_stdout(said), suppress(typer.Exit):
        doctor(path, as_json=True)
    assert any(str(left) in note and "unfinished copy" in note for note in json.loads(said.getvalue())["notes"])


@pytest.mark.parametrize("force", [False, True])
def test_a_backup_is_not_put_beside_a_log_that_sqlite_would_take_for_its_own(path, tmp_path, force):
    """The log of a database that was not closed would be read as that of the copy: it has other pages."""
    target = tmp_path / "copy.db"
    (tmp_path / "copy.db-wal").write_bytes(b"a log")
    with Store.open(path, customer_key=KEY) as store:
        with pytest.raises(StoreError, match=r"copy\.db-wal lies beside it"):
            store.backup(target, force=force)
        assert not target.exists()
        (tmp_path / "copy.db-wal").write_bytes(b"")
        store.backup(target)
    assert copy.unfinished(tmp_path) == []


def test_an_erasure_that_ends_after_its_transaction_leaves_no_refused_line_of_the_customer(path, monkeypatch):
    """Nobody knows the customer's decision ids any more once the decisions are gone."""
    whole = Deletion.delete

    def killed(*given):
        whole(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(Deletion, "delete", killed)
    with Store.open(path, customer_key=KEY) as store, pytest.raises(KeyboardInterrupt):
        erase(store, "anna")
    monkeypatch.undo()
    assert ["of-anna" in line for line in refused(path)] == [False]
    with Store.open(path, customer_key=KEY) as store:
        assert store.deletion.scrub_is_due()
        erase(store, "anna")
        assert not store.deletion.scrub_is_due()


def test_a_customer_who_is_only_in_a_refused_line_is_erased_from_it(path):
    with Store.open(path, customer_key=KEY) as store:
        stored = store.customers.stored("carl")
        text = json.dumps({"customer_keys": [stored]}, separators=(",", ":")).encode()
        keep_refused(path, digest(text) + b" " + text, "a reason")
        assert stored in refused(path)[-1]
        erase(store, "carl")
        assert len(refused(path)) == 2
        with pytest.raises(InputError, match="there is no such customer"):
            erase(store, "carl")


def test_the_refused_lines_that_stay_are_in_a_file_at_every_moment(path, monkeypatch):
    """Ended while it writes the new file, the old one has all lines; before, it was emptied first."""
    before = refused(path)
    monkeypatch.setattr("bandit.store.spool.scrub._write", lambda fd, content: (_ for _ in ()).throw(KeyboardInterrupt))
    with Store.open(path, customer_key=KEY) as store:
        with pytest.raises(KeyboardInterrupt):
            store.deletion.remove_refused(["of-anna"])
        assert refused(path) == before
        monkeypatch.undo()
        assert store.deletion.remove_refused(["of-anna"])
    assert refused(path) == before[1:]


def test_a_removal_outwaits_the_lease_of_a_process_that_was_killed():
    assert leases.LEASE_DURATION / 1e6 + 10.0 <= REMOVAL_WAIT


def test_a_log_that_grew_while_another_read_is_cut_when_the_reader_is_gone(path):
    """A reader keeps the log from being begun anew: 40 MiB of it, and at most 32 after the next writes."""
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM decisions").fetchone()
    with Store.open(path, customer_key=KEY, durability="process") as store:
        raw = store._connection.raw
        raw.execute("CREATE TABLE filler (content BLOB)")
        for _ in range(10):
            raw.execute("INSERT INTO filler VALUES (zeroblob(4 << 20))")
        assert file_size(wal_path(path)) > 40 << 20
        reader.close()
        for name in ("one", "more"):
            store.decision_writer.append(decisions(1, N, [name]))
        assert file_size(wal_path(path)) <= 32 << 20

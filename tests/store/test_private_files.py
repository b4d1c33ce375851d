"""Files that hold customers are made for their owner alone, and files that are there keep their permissions."""

import contextlib
import os
import stat

import pytest

import bandit
from bandit.cli import main
from bandit.errors import StoreError
from bandit.logfiles import export
from bandit.store import Store
from bandit.store.maintenance.copy import before_migration
from tests.store.rows import decisions

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
KEY = b"a key for our tests"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def generous_umask():
    """The umask under which a new file could be read and written by everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def store(tmp_path, catalogue, generous_umask):
    with Store.open(tmp_path / "offers.db", customer_key=KEY, durability="process") as opened:
        number = opened.catalogues.register(catalogue)
        opened.decision_writer.append(decisions(number, catalogue.n_offers, ["a", "b"]))
        yield opened


def test_a_new_database_its_log_and_its_copies_are_for_their_owner_alone(store, tmp_path):
    store.backup(tmp_path / "copy.db")
    before_migration(store.path, 1)
    found = {path.name: mode(path) for path in tmp_path.iterdir()}
    assert {"offers.db", "offers.db-wal", "offers.db-shm", "copy.db"} < found.keys()
    assert set(found.values()) == {0o600}, found


def test_a_stricter_umask_stays(tmp_path):
    before = os.umask(0o277)
    try:
        with contextlib.suppress(StoreError):  # its owner may not write it then, unless that is root
            Store.open(tmp_path / "offers.db", customer_key=KEY).close()
    finally:
        os.umask(before)
    assert mode(tmp_path / "offers.db") == 0o400


def test_spools_are_for_their_owner_alone(store, tmp_path, catalogue):
    engine = bandit.Engine.open(store.path, catalogue, bandit.Uniform(catalogue), customer_key=KEY, busy_timeout=0.01)
    with store.transaction():
        engine.decide("anna", {"gender": "f", "recency": 1.0, "loyal": True})
        found = [mode(path) for path in tmp_path.iterdir() if "-spool-" in path.name]
    engine.close()
    assert found == [0o600]


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.parquet", "log.dsjson"])
def test_exports_are_for_their_owner_alone_and_keep_the_permissions_of_what_they_replace(
    store, tmp_path, catalogue, name
):
    path = tmp_path / name
    export(store, catalogue, path, include_open=True)
    assert mode(path) == 0o600
    path.chmod(0o640)
    export(store, catalogue, path, include_open=True, force=True)
    assert mode(path) == 0o640


def test_a_backup_that_replaces_a_file_keeps_its_permissions(store, tmp_path):
    store.backup(tmp_path / "copy.db")
    (tmp_path / "copy.db").chmod(0o640)
    store.backup(tmp_path / "copy.db", force=True)
    assert mode(tmp_path / "copy.db") == 0o640


def test_a_database_that_others_may_read_stays_so_and_doctor_says_it(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OFFER_BANDIT_KEY", KEY.decode())
    main(["doctor", str(store.path)])
    assert "other users" not in capsys.readouterr().out
    store.close()
    store.path.chmod(0o644)
    Store.open(store.path, customer_key=KEY).close()
    assert mode(store.path) == 0o644
    assert main(["doctor", str(store.path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "may be read by other users of this machine; `chmod 600" in said


def test_the_data_of_one_customer_are_for_the_owner_of_the_file_alone(store, tmp_path, monkeypatch):
    monkeypatch.setenv("OFFER_BANDIT_KEY", KEY.decode())
    out = tmp_path / "customer.json"
    with Store.open(store.path, customer_key=KEY) as opened:
        assert opened.counts().customers == 2
    assert main(["export-customer", str(store.path), "customer-0", "--out", str(out)]) == 0
    assert mode(out) == 0o600

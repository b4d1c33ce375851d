"""Erasures that wait for others, are killed, or find the customer in a spool."""

import io
import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import redirect_stdout, suppress
from pathlib import Path

import msgspec
import pytest
import typer

import bandit
from bandit.cli.maintenance import doctor
from bandit.errors import InputError, StoreError
from bandit.governance.erasure import PATIENCE, erase
from bandit.governance.verify import verify
from bandit.store import Store
from bandit.store.maintenance.deletion import Deletion
from bandit.store.spool.file import Spool, keep_refused
from bandit.store.spool.records import spooled_decisions
from bandit.store.tables import leases
from tests.governance.campaigns import (
    KEY,
    WHO,
    files,
    grown,
    traces,
)
from tests.store.rows import decisions, refuse, refused, two_customers

_KILLED = """
import sys
from bandit.governance.erasure import erase
from bandit.store import Store
with Store.open(sys.argv[1], customer_key=b"a key for tests", durability="process") as store:
    print("open", flush=True)
    erase(store, sys.argv[2])
"""


@pytest.mark.slow
def test_an_erasure_that_is_killed_took_out_all_or_nothing_and_can_be_ended(tmp_path, catalogue):
    root = Path(__file__).resolve().parents[2]
    original = tmp_path / "original.db"
    grown(original, catalogue, bandit.ThompsonSampling(catalogue), n=400)
    outcomes = set()
    for turn in range(10):
        path = tmp_path / f"{turn}.db"
        path.write_bytes(original.read_bytes())
        child = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", _KILLED, str(path), WHO], cwd=root, stdout=subprocess.PIPE, text=True
        )
        child.stdout.readline()
        try:
            child.wait(0.06 * turn)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, 9)
        child.communicate()
        with Store.open(path, customer_key=KEY) as store:
            left = len(store.decisions.of_customer(store.customers.stored(WHO)))
            outcomes.add(left)
            assert left in {0, 30}
            assert store.check() == []
            assert verify(store).problems == ()
            store._connection.raw.execute("DELETE FROM leases")  # that of the killed one runs out in a minute
            if left or store.deletion.scrub_is_due():
                erase(store, WHO)
            stored = store.customers.stored(WHO)
        raw = b"".join(name.read_bytes() for name in tmp_path.glob(f"{turn}.db*"))
        assert [trace for trace in traces(stored) if trace in raw] == []
    assert outcomes == {0, 30}


def test_a_reader_that_does_not_let_go_is_waited_for_and_then_named(tmp_path, catalogue):
    path = tmp_path / "a.db"
    grown(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM decisions").fetchone()
    with Store.open(path, customer_key=KEY, busy_timeout=0.05) as store:
        with pytest.raises(StoreError, match="give the command again"):
            erase(store, WHO, patience=0.1)
        assert store.deletion.scrub_is_due()
        reader.close()
        assert erase(store, WHO).decisions == 0  # what was left to do
        assert not store.deletion.scrub_is_due()
        stored = store.customers.stored(WHO)
    assert [trace for trace in traces(stored) if trace in b"".join(files(tmp_path).values())] == []


def test_while_another_learns_an_erasure_waits_and_then_says_so(tmp_path, catalogue):
    path = tmp_path / "a.db"
    grown(path, catalogue, bandit.ThompsonSampling(catalogue), rounds=1)
    with Store.open(path, customer_key=KEY) as store, Store.open(path, customer_key=KEY) as other:
        other.leases.take("learn/1", "another", bandit.clock.now())
        with pytest.raises(StoreError, match="another process is learning"):
            erase(store, WHO, patience=0.1)
        assert store.counts().decisions == 240
        release = threading.Timer(0.2, other.leases.release, ("learn/1", "another"))
        release.start()
        assert erase(store, WHO).decisions == 6
        release.join()
        assert all(held.name != "learn/1" for held in store.leases.all())


def spooled(path, decision_id):
    """Write a decision of WHO to a spool of this process, as a database that is locked makes an engine do."""
    with Store.open(path, customer_key=KEY) as store:
        spool = Spool(path, sync=False)
        rows = decisions(1, store.catalogues.get(1).n_offers, [decision_id], customers=[WHO])
        spool.append(spooled_decisions(rows, [store.customers.stored(WHO)]))
    return spool


def test_what_a_process_that_is_gone_left_in_its_spool_is_erased_as_well(tmp_path, catalogue):
    path = tmp_path / "a.db"
    grown(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    spooled(path, "left behind").release()
    with Store.open(path, customer_key=KEY) as store:
        stored = store.customers.stored(WHO)
        erased = erase(store, WHO)
        assert (erased.decisions, erased.spools) == (7, ())
    assert set(files(tmp_path)) == {"a.db"}
    assert [trace for trace in traces(stored) if trace in path.read_bytes()] == []


def test_the_spool_of_a_process_that_is_running_is_named(tmp_path, catalogue):
    path = tmp_path / "a.db"
    grown(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    spool = spooled(path, "on its way")
    with Store.open(path, customer_key=KEY) as store:
        assert erase(store, WHO).spools == (spool.path,)
        spool.release()
        erased = erase(store, WHO)
        assert (erased.decisions, erased.spools) == (1, ())


def test_lines_that_the_database_refused_lose_the_customer_and_keep_the_others(tmp_path, catalogue):
    path = tmp_path / "a.db"
    grown(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    with Store.open(path, customer_key=KEY) as store:
        key, refused = store.customers.stored(WHO), path.with_name("a.db-spool-refused")
        for who in ("somebody", key):
            keep_refused(path, b"f00 " + msgspec.json.encode({"customer_keys": [who]}), "a reason")
        keep_refused(path, b"f00 " + msgspec.json.encode({"decision_ids": ["id-0-anna.lindqvist-7"]}), "a reason")
        erase(store, WHO)
        assert len(refused.read_bytes().splitlines()) == 1
        assert b"somebody" in refused.read_bytes()


@pytest.fixture
def path(tmp_path):
    return two_customers(tmp_path / "offers.db", KEY)


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
    assert any(str(left) in note and "ended early" in note for note in json.loads(said.getvalue())["notes"])


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
        refuse(path, customer_keys=[stored])
        assert stored in refused(path)[-1]
        erase(store, "carl")
        assert len(refused(path)) == 2
        with pytest.raises(InputError, match="there is no such customer"):
            erase(store, "carl")


def test_a_removal_outwaits_the_lease_of_a_process_that_was_killed():
    assert leases.LEASE_DURATION / 1e6 + 10.0 <= PATIENCE

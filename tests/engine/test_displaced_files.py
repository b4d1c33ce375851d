"""The database's file is moved, replaced, removed or cut short under an engine: nothing acknowledged is lost."""

import os
import re
import threading
import time
import warnings

import numpy as np
import pytest

import bandit
from bandit.errors import StoreError
from bandit.store import Store
from bandit.store.spool.file import REFUSED, Spool, spools
from tests.engine.conftest import KEY, context

N = 30


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr("bandit.store.spool.writer.RETRY", 0.0)
    monkeypatch.setattr("bandit.store.file_guard.LOG_GRACE", 0.0)
    monkeypatch.setattr("bandit.store.file_identity.LOG_INTERVAL", 0.0)


@pytest.fixture
def engine(open_engine, catalogue):
    """An engine with ten decisions in its file and a purchase on the first."""
    opened = open_engine(bandit.Uniform(catalogue), busy_timeout=0.2)
    for row in range(10):
        opened.decide("c", context(row), decision_id=f"before{row}")
    opened.record("before0", "purchase", revenue=5.0)
    return opened


def decided(engine, name, n=N):
    return [engine.decide("c", context(row), decision_id=f"{name}{row}") for row in range(n)]


def ids_in(path):
    """The decisions of a file that lies alone: its log, if it still needs one, is not read."""
    with Store.open(path, read_only=True, customer_key=KEY) as store:
        return {name for (name,) in store._connection.raw.execute("SELECT decision_id FROM decisions")}


def test_what_is_decided_after_the_file_was_moved_waits_and_is_written_when_it_is_back(engine, path):
    """Before: 10 decisions. 30 with the file away wait in the spool; back at its place, it has all 41."""
    away = path.with_name("away.db")
    path.rename(away)
    made = decided(engine, "away")
    assert all(decision.logged for decision in made)
    assert engine.record("away3", "purchase", revenue=7.0).n_spooled == 1
    status = engine.status()
    assert (status.spooled, status.well, "was moved or removed" in status.outage) == (N + 1, False, True)
    assert not path.exists()  # nothing is created in its place
    assert ids_in(away) >= {f"before{row}" for row in range(10)}  # the moved file is whole without its log
    away.rename(path)
    assert engine.decide("c", context(1), decision_id="after").fault is None
    assert engine.store.counts().decisions == 10 + N + 1
    assert engine.store.decisions.events_of("away3").revenue.tolist() == [7.0]
    assert engine.verify().problems == ()
    assert engine.status().outage is None


def test_a_removed_file_is_not_made_again_and_the_spool_goes_to_a_restored_backup(engine, path, tmp_path):
    backup = tmp_path / "backup.db"
    engine.store.backup(backup)
    path.unlink()
    assert all(decision.logged for decision in decided(engine, "gone"))
    assert not path.exists()
    backup.rename(path)
    with pytest.warns(UserWarning, match="was replaced by another file"):
        decided(engine, "replaced", 2)
    assert engine.decide("c", context(2), decision_id="after").fault is None
    stored = ids_in(path)
    assert stored >= {"before9", "after"} | {f"gone{row}" for row in range(N)}
    assert engine.verify().problems == ()
    status = engine.status()
    assert (status.outage, status.spooled, status.well) == (None, 0, True)
    assert "is served from that since" in status.replaced


def test_a_restored_backup_is_served_as_if_opened_anew(open_engine, catalogue, path, tmp_path):
    """The backup has learned one step, the file before two: after the replacement the engine stands on one."""
    engine = open_engine(busy_timeout=0.2)
    for name in ("a", "b"):
        engine.decide("c", context(0), decision_id=name)
        engine.record(name, "purchase", revenue=5.0)
        engine.learn()
        if name == "a":
            engine.store.backup(tmp_path / "backup.db")
    assert engine.step == 2
    (tmp_path / "backup.db").replace(path)
    with pytest.warns(UserWarning, match="was replaced"):
        decided(engine, "since", 3)
    assert engine.step == 1
    assert engine.decide("c", context(1), decision_id="after").fault is None
    with pytest.raises(bandit.errors.UnknownDecisionError):
        engine.record("b", "purchase", revenue=1.0, event_id="late")  # only the file before has it
    engine.record("after", "purchase", revenue=5.0)
    assert engine.learn().learner
    assert engine.rebuild().same
    assert engine.verify().problems == ()


def test_a_spool_that_a_full_disk_keeps_from_the_new_file_goes_there_later(engine, path, tmp_path, monkeypatch):
    """Of three lines the second does not fit at first. Before: they stayed locked, and out of reach, to the end."""
    (backup := tmp_path / "backup.db").unlink(missing_ok=True)
    engine.store.backup(backup)
    path.unlink()
    decided(engine, "gone", 3)
    append, fails = Spool.append, [False, True, True, False]

    def full(spool, record):
        if fails and fails.pop(0):
            raise OSError(28, "No space left on device")
        return append(spool, record)

    backup.rename(path)
    monkeypatch.setattr(Spool, "append", full)
    with pytest.warns(UserWarning, match="was replaced by another file"):
        engine.decide("c", context(0), decision_id="since")
    for row in range(4):
        engine.decide("c", context(row), decision_id=f"after{row}")
    assert fails == []
    engine._writer.fold_all()
    assert spools(path) == []
    assert ids_in(path) >= {"gone0", "gone1", "gone2", "since"}
    assert not path.with_name(path.name + REFUSED).exists()
    assert engine.verify().problems == ()


@pytest.mark.filterwarnings("ignore:.*was replaced by another file")
@pytest.mark.parametrize("part", ["DecisionLookup", "DecisionService", "CheckpointWatch"])
def test_an_exception_in_the_midst_of_the_change_of_files_leaves_all_parts_with_one_of_them(
    engine, path, tmp_path, monkeypatch, part
):
    """As a signal's handler raises it. Before: decisions were spooled by a part that a fork's child did not release."""
    engine.store.backup(tmp_path / "backup.db")
    decided(engine, "before", 1)
    (tmp_path / "backup.db").replace(path)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"bandit.engine.engine.{part}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            decided(engine, "since", 2)
    assert engine._service.writer is engine._lookup.writer is engine._writer
    assert engine._service.store is engine._lookup.store is engine.store
    made = engine.decide("c", context(0), decision_id="after")
    assert (made.fault, made.logged) == (None, True)
    assert "after" in ids_in(path)


def test_another_store_in_its_place_gets_the_spool_under_its_own_numbers(engine, path, tmp_path, catalogue, spring):
    """In the other store catalogue 1 and policy 1 are others: a decision under their numbers would be a lie."""
    other = bandit.Catalogue.from_dict(spring | {"name": "other"})
    with bandit.Engine.open(tmp_path / "other.db", other, bandit.Uniform(other), customer_key=KEY):
        pass
    (tmp_path / "other.db").replace(path)
    with pytest.warns(UserWarning, match="was replaced"):
        decided(engine, "since", 3)
    decided(engine, "after", 3)
    raw = engine.store._connection.raw
    assert set(raw.execute("SELECT catalogue_id, policy_id FROM decisions")) == {
        (engine.catalogue_id, engine.policy_id)
    }
    assert (engine.catalogue_id, engine.policy_id) == (2, 2)
    assert engine.store.counts().decisions == 6
    assert engine.verify().problems == ()


@pytest.mark.parametrize("content", [b"", b"no database at all " * 500])
def test_a_file_that_is_no_store_is_never_written_into(engine, path, tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    (tmp_path / "other").replace(path)
    assert all(decision.logged for decision in decided(engine, "since"))
    assert path.read_bytes() == content
    status = engine.status()
    assert (status.spooled, status.well) == (N, False)
    assert "replaced by another file" in status.outage
    assert "cannot be used" in status.outage


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_file_cut_short_is_noticed_and_its_replacement_gets_the_spool(engine, path, tmp_path, share):
    engine.store.backup(tmp_path / "backup.db")
    engine.store._connection.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.truncate(path, int(share * path.stat().st_size))
    assert all(decision.logged for decision in decided(engine, "cut"))
    assert re.search(r"was cut short|is damaged", engine.status().outage)  # SQLite may notice first
    (tmp_path / "backup.db").replace(path)
    with pytest.warns(UserWarning, match="was replaced"):
        decided(engine, "since", 2)
    assert engine.decide("c", context(2)).fault is None
    assert engine.store.counts().decisions == 10 + N + 3
    assert engine.verify().problems == ()


def test_a_file_that_a_vacuum_made_smaller_is_the_same_file(open_engine, catalogue, path):
    engine, other = open_engine(bandit.Uniform(catalogue)), open_engine(bandit.Uniform(catalogue))
    engine.decide_batch([f"c{row}" for row in range(2_000)], [context(row) for row in range(2_000)])
    raw = other.store._connection.raw
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.decide("c", context(0))
    size = path.stat().st_size
    raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
    raw.execute("DELETE FROM decisions")
    raw.execute("DELETE FROM meta WHERE name = 'erasing'")
    raw.execute("VACUUM")
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < size
    assert [engine.decide("c", context(row)).fault for row in range(3)] == [None] * 3


@pytest.mark.parametrize("names", [("-wal",), ("-shm",), ("-wal", "-shm")])
def test_a_log_that_is_removed_is_copied_into_the_file_and_begun_anew(engine, path, names):
    for name in names:
        path.with_name(path.name + name).unlink()
    made = decided(engine, "after")
    assert all(decision.logged for decision in made)
    assert made[-1].fault is None
    assert path.with_name(path.name + "-wal").exists()
    with Store.open(path, read_only=True, customer_key=KEY) as store:  # by the files that there are now
        assert store.counts().decisions == 10 + N
    assert engine.verify().problems == ()


def test_a_log_of_the_file_before_is_never_applied_to_its_replacement(engine, path, tmp_path):
    """SQLite would: the log of one file beside another makes a third, which is neither."""
    engine.store.backup(tmp_path / "backup.db")
    decided(engine, "lost")
    log = path.with_name(path.name + "-wal")
    assert log.stat().st_size > 0
    (tmp_path / "backup.db").replace(path)
    with pytest.warns(UserWarning, match="was replaced"):
        engine.decide("c", context(0), decision_id="noticed")
    assert ids_in(path) - {"noticed"} == {f"before{row}" for row in range(10)}
    assert engine.verify().problems == ()


def test_learning_does_not_say_that_it_learned_into_a_file_that_is_gone(open_engine, path):
    engine = open_engine(busy_timeout=0.2)
    engine.decide("c", context(0), decision_id="a")
    engine.record("a", "purchase", revenue=5.0)
    path.unlink()
    with pytest.raises(StoreError, match="moved or removed"):
        engine.learn()


def test_at_whatever_moment_the_file_is_replaced_later_decisions_are_in_the_new_one(
    open_engine, catalogue, path, tmp_path
):
    """Five replacements at random moments under two deciding threads: what begins after one is in the new file."""
    engine = open_engine(bandit.Uniform(catalogue), busy_timeout=0.2)
    engine.decide("c", context(0))
    rng, later, stop, replaced = np.random.default_rng(5), [], threading.Event(), threading.Event()

    def decide(name):
        number = 0
        while not stop.is_set():
            is_later = replaced.is_set()
            decision = engine.decide("c", context(number), decision_id=f"{name}-{number}")
            if is_later and decision.logged:
                later.append(decision.decision_id)
            number += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for trial in range(5):
            stop.clear()
            replaced.clear()
            later.clear()
            engine.store.backup(tmp_path / "copy.db", force=True)
            threads = [threading.Thread(target=decide, args=(f"{name}{trial}",)) for name in "ab"]
            for thread in threads:
                thread.start()
            time.sleep(rng.uniform(0.0, 0.1))
            (tmp_path / "copy.db").replace(path)
            replaced.set()
            deadline = time.monotonic() + 10.0
            while len(later) < 10 and time.monotonic() < deadline:
                time.sleep(0.01)
            stop.set()
            for thread in threads:
                thread.join()
            while engine.status().spooled and time.monotonic() < deadline:
                engine.decide("c", context(0))
            assert len(later) >= 10
            assert set(later) <= ids_in(path)
    assert engine.store.check() == []

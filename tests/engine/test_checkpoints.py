import time

from bandit.engine import checkpoints
from bandit.store import connection_setup
from tests.engine.conftest import context


def test_a_thread_copies_the_log_before_a_decision_has_to(open_engine, monkeypatch):
    """At 64 KiB a checkpoint, 200 decisions write several times that: the log's pages are copied beside them, so the
    log is begun anew and its file stays below the 512 KiB at which the commits of decisions would do it."""
    monkeypatch.setattr(connection_setup, "CHECKPOINT_BYTES", 64 << 10)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_BYTES", 64 << 10)
    monkeypatch.setattr(checkpoints, "FIRST_PAUSE", 0.0)
    engine = open_engine()
    copied = []
    checkpoint = type(engine.store).checkpoint
    monkeypatch.setattr(type(engine.store), "checkpoint", lambda store: copied.append(checkpoint(store)) or copied[-1])
    for row in range(200):
        engine.decide(f"c{row}", context(row))
        if engine._checkpoints._thread is not None:
            engine._checkpoints._thread.join()
    assert copied
    assert max(copied) < 512 << 10
    assert engine.store.log_bytes() < 512 << 10


def test_the_pause_follows_what_was_found_in_the_log(open_engine, monkeypatch):
    """Nothing found twice: .25 s becomes .5 s and 1 s; then more than a checkpoint's size: .5 s again."""
    engine = open_engine()
    watch = checkpoints.CheckpointWatch(engine.store)
    found = iter((0, 0, 2 * checkpoints.CHECKPOINT_BYTES))
    monkeypatch.setattr(type(engine.store), "checkpoint", lambda _: next(found))
    pauses = []
    for _ in range(3):
        watch._run()
        pauses.append(watch._pause)
    watch.close()
    assert pauses == [0.5, 1.0, 0.5]


def test_a_small_log_starts_no_thread(open_engine):
    engine = open_engine()
    engine._checkpoints._next = time.monotonic()
    engine.decide("c", context(0))
    assert engine._checkpoints._thread is None

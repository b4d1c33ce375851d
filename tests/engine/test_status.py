"""The status for a health check."""

import threading
import time

import pytest

from bandit.errors import StoreError
from tests.engine.conftest import context


def test_status_does_not_wait_for_a_decision_that_waits(open_engine, locked):
    """A decision waits a second for the file; asked meanwhile, status answers and does not know the newest step."""
    engine = open_engine(busy_timeout=1.0)
    locked()
    waiting = threading.Thread(target=lambda: engine.decide("c", context(0)))
    waiting.start()
    time.sleep(0.2)
    begun = time.monotonic()
    status = engine.status()
    assert time.monotonic() - begun < 0.5
    assert (status.newest_step, status.lag) == (None, None)
    waiting.join()


def test_status_is_plain_json_and_never_raises(open_engine, path):
    engine = open_engine()
    engine.decide("c", context(0))
    status = engine.status()
    assert (status.decisions, status.step, status.newest_step, status.lag) == (1, 0, 0, 0)
    assert status.database_bytes + status.wal_bytes > 0
    assert not status.learning
    assert status.well
    assert status.to_dict()["well"] is True
    with engine.store.transaction():
        assert engine.status().decisions == 1
    engine.close()
    closed = engine.status()
    assert (closed.closed, closed.well, closed.newest_step) == (True, False, None)
    with pytest.raises(StoreError, match="closed"):
        engine.decide("c", context(0))
    with pytest.raises(StoreError, match="closed"):
        engine.record("d", "purchase")
    with pytest.raises(StoreError, match="closed"):
        engine.learn()

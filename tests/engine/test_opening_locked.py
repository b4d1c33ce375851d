"""Opening an engine on a database that another process has locked for longer than the engine waits."""

import time

import pytest

import bandit
from bandit.errors import StoreError
from bandit.store import Store
from tests.engine.conftest import KEY, context


@pytest.mark.parametrize("how", ["open", "resume"])
def test_an_engine_with_nothing_new_to_write_opens_and_spools(open_engine, locked, path, how):
    """It reads what is there, serves the fallback, and what it decides waits in the spool."""
    open_engine().close()
    free = locked()
    if how == "open":
        engine = open_engine(busy_timeout=0.02)
    else:
        engine = bandit.Engine.resume(path, customer_key=KEY, busy_timeout=0.02)
    decision = engine.decide("c", context(0))
    assert decision.logged
    assert "locked" in decision.fault
    assert "locked" in engine.status().outage
    free()
    engine.close()
    with Store.open(path, read_only=True, customer_key=KEY) as store:
        assert store.counts().decisions == 1


def test_one_that_must_write_says_in_one_sentence_that_the_database_is_locked(open_engine, locked, catalogue):
    open_engine().close()
    free = locked()
    begun = time.monotonic()
    with pytest.raises(StoreError, match="is locked by another process; try again"):
        open_engine(bandit.Uniform(catalogue), busy_timeout=0.05)
    assert time.monotonic() - begun < 5.0
    free()
    assert open_engine(bandit.Uniform(catalogue)).decide("c", context(0)).fault is None

"""Events: repeated, late, corrected, and refused."""

import numpy as np
import pytest

from bandit.errors import DuplicateError, NumberError, UnknownDecisionError
from bandit.store import StoreLog
from tests.engine.conftest import DAY, context


def test_events_may_come_twice_late_or_corrected(open_engine, clock):
    engine = open_engine()
    decision = engine.decide("c", context(0))
    receipt = engine.record(decision.decision_id, event="purchase", revenue=52.0)
    assert (receipt.n_new, receipt.n_repeated) == (1, 0)
    receipt = engine.record(decision.decision_id, event="purchase", revenue=52.0)
    assert (receipt.n_new, receipt.n_repeated) == (0, 1)
    with pytest.raises(DuplicateError, match="correct=True"):
        engine.record(decision.decision_id, event="purchase", revenue=25.0)
    assert engine.record(decision.decision_id, event="purchase", revenue=25.0, correct=True).n_corrected == 1
    clock.now += 8 * DAY
    engine.record(decision.decision_id, event="purchase", revenue=99.0, event_id="after the window")
    log = StoreLog(engine.store, engine.catalogue)
    (batch,) = log.batches()
    assert batch.revenue.tolist() == [25.0]


@pytest.mark.parametrize("bad", [{"revenue": np.nan}, {"revenue": np.inf}, {"reward": -np.inf}])
def test_numbers_that_are_none_are_refused_and_nothing_is_written(open_engine, bad):
    engine = open_engine()
    decision = engine.decide("c", context(0))
    with pytest.raises(NumberError):
        engine.record(decision.decision_id, "purchase", **bad)
    assert engine.store.counts().events == 0


def test_an_event_for_an_unknown_decision_is_refused_whole(open_engine):
    engine = open_engine()
    decision = engine.decide("c", context(0))
    with pytest.raises(UnknownDecisionError, match="nobody"):
        engine.record_batch([decision.decision_id, "nobody"], "purchase")
    assert engine.store.counts().events == 0

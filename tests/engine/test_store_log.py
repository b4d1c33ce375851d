"""The log that an engine wrote, read for evaluation."""

import numpy as np
import pytest

import bandit
from bandit.analysis.replay import replay
from bandit.errors import InputError
from bandit.evaluate import evaluate, split_log
from bandit.store import StoreLog, Where
from tests.conftest import SPRING
from tests.engine.conftest import DAY, context, serve


def test_a_log_can_leave_out_what_is_not_settled_yet(open_engine, clock):
    """Of three decisions in their window the closed one is settled; a day after the window's end all are."""
    engine = open_engine()
    ids = [engine.decide("c", context(row)).decision_id for row in range(3)]
    engine.record(ids[0], "purchase", revenue=40.0)
    engine.record(ids[1], "closed")

    def settled():
        before = clock.now - engine.catalogue.objective.window
        return StoreLog(engine.store, engine.catalogue, where=Where(settled_before=before))

    assert settled().n == sum(map(len, settled().batches())) == 1
    assert settled().still_open == 2
    clock.now += 8 * DAY
    assert (settled().n, settled().still_open) == (3, 0)


def test_a_log_from_the_store_is_judged_by_its_own_catalogue(open_engine, clock):
    """Three arguments are enough, and the same question has the same answer."""
    engine = open_engine(bandit.Uniform(engine_catalogue := bandit.Catalogue.from_dict(SPRING)))
    serve(engine, clock, 200, np.random.default_rng(1))
    log = StoreLog(engine.store, engine_catalogue)
    policies = [bandit.ThompsonSampling(engine_catalogue), bandit.Uniform(engine_catalogue)]
    first, again = (evaluate(log, policies, "uniform").to_dict() for _ in range(2))
    assert first == again
    assert evaluate(split_log(log), policies, "uniform").n < first["n"]
    assert replay(log, bandit.Uniform(engine_catalogue)).n == 200
    with pytest.raises(InputError, match="catalogue="):
        evaluate(Bare(log), policies)


class Bare:
    """A log that knows nothing but its batches."""

    def __init__(self, log):
        self.n, self.batches = log.n, log.batches

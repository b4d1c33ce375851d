"""The reliability table of estimated propensities, and signs of a deterministic logging policy."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bandit.evaluate.propensity.calibration import (
    DETERMINISTIC_LOGGING,
    LikelihoodBaselines,
    ReliabilityTable,
    SameFactPairs,
    SoftmaxShape,
    agreement,
)
from tests.evaluate.propensity.choice_market import (
    N,
    estimated,
    facts,
    log_by,
    rules,
)


def test_rules_without_exploration_cannot_be_judged_and_rules_with_two_hundredths_can():
    rng = np.random.default_rng(4)
    contexts = facts(rng, 8_000)
    sure, _ = estimated(log_by(contexts, rules(contexts, 0.0), rng))
    assert sure.fit_quality.deterministic
    assert sure.fit_quality.warning == DETERMINISTIC_LOGGING
    assert DETERMINISTIC_LOGGING.startswith("cannot tell")
    loose, _ = estimated(log_by(contexts, rules(contexts, 0.02), rng))
    assert not loose.fit_quality.deterministic


def test_customers_with_the_same_facts_tell_what_the_model_cannot():
    """Crosswise rules of two facts with four values: sums cannot say them, but equal facts got equal offers."""
    rng = np.random.default_rng(11)
    contexts = facts(rng, 4_000)
    contexts.columns["age"][:] = 40.0
    cross = (contexts.columns["kind"] == 1) ^ (contexts.columns["loyal"] == 1)
    for exploration, deterministic in ((0.0, True), (0.02, False)):
        truth = np.full((contexts.n, N), exploration / N)
        truth[np.arange(contexts.n), np.where(cross, 1, 4)] += 1.0 - exploration
        calibration = estimated(log_by(contexts, truth, rng))[0].fit_quality
        assert calibration.certain < 0.5
        assert calibration.deterministic is deterministic


def test_pairs_of_customers_with_the_same_facts_are_counted_by_hand():
    """Three customers of the same facts got offers 0 (twice), 0 and 1: one of their three pairs agrees."""
    x = np.array([[1.0], [1.0], [1.0], [1.0], [2.0]])
    who = np.array([0.1, 0.1, 0.2, 0.3, 0.4])
    one_set = np.zeros(5, dtype=np.int64)
    assert agreement(x, one_set, who, np.array([0, 0, 0, 1, 1])) == SameFactPairs(2, pytest.approx(1 / 3))
    assert agreement(x, np.arange(5), who, np.array([0, 0, 0, 1, 1])) == SameFactPairs(0, 0.0)


def test_reliability_is_counted_by_hand():
    """Two decisions of two offers: .85 and .15 chosen and not, .6 and .4 the other way round.

    Bins: .85 (1 of 1), .15 (0 of 1), .6 (0 of 1), .4 (1 of 1); error (.15 + .15 + .6 + .6) / (2 x 2) = .375.
    """
    reliability = ReliabilityTable()
    yes = np.ones((1, 2), dtype=bool)
    reliability.add(np.array([[0.85, 0.15]]), yes, np.array([0]))
    reliability.add(np.array([[0.6, 0.4]]), yes, np.array([1]))
    record = reliability.result(
        2, 2, LikelihoodBaselines(np.log(0.5), np.log(0.5)), SoftmaxShape(1.0, 0.0), SameFactPairs()
    )
    assert record.error == pytest.approx(0.375)
    assert record.log_likelihood == pytest.approx(np.log(0.85 * 0.4) / 2)
    assert [(each.predicted, each.observed, each.n) for each in record.bins] == [
        (0.15, 0.0, 1),
        (0.4, 1.0, 1),
        (0.6, 0.0, 1),
        (0.85, 1.0, 1),
    ]
    assert record.warning is None  # two decisions are no evidence
    assert replace(record, n=1_000).warning.startswith("cannot tell: the estimated propensities are off by 37.5%")
    assert json.loads(json.dumps(record.to_dict(), allow_nan=False))["deterministic"] is False

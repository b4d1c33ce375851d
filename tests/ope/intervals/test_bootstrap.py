"""The studentised bootstrap, against estimates of resampled rows."""

import numpy as np
import pytest

from bandit.ope import Feedback, compare, estimate
from bandit.ope.intervals.bootstrap import REPLICATES, replicates, resamples
from tests.ope.intervals.tools import DIFFERENCE, VALUE, ends, make, part_of, tally_of


@pytest.mark.parametrize("groups", [None, 8])
@pytest.mark.parametrize("signed", [VALUE, DIFFERENCE])
def test_bootstrap_replicates_are_the_estimates_of_the_rows_drawn(groups, signed):
    rng = np.random.default_rng(4)
    feedback = make(rng, 24, groups)
    label = np.arange(24) if groups is None else np.unique(feedback[0].cluster, return_inverse=True)[1]
    number = label.max() + 1
    times = rng.multinomial(number, np.full(number, 1 / number), size=5).astype(np.uint16)
    tally = tally_of(feedback)
    for estimator in tally.estimators:
        values, errors = replicates(tally._statistic(signed, estimator), times)
        for place, drawn in enumerate(times):
            # Every time a group is drawn it is a group of its own.
            copies = [(group, np.flatnonzero(label == group)) for group in np.repeat(np.arange(number), drawn)]
            rows = np.concatenate([its for _, its in copies])
            cluster = np.repeat(np.arange(len(copies)), [len(its) for _, its in copies])
            again = [part_of(each, rows) for each in feedback]
            again = [
                Feedback(
                    each.reward, each.propensity, each.target, each.predicted_logged, each.predicted_target, cluster
                )
                for each in again
            ]
            if signed is VALUE:
                (want,) = estimate(again[0], (estimator,))
            else:
                (want,) = compare(*again, (estimator,))
            assert [values[place], errors[place]] == pytest.approx([want.value, want.standard_error], abs=1e-12)


def test_bootstrap_takes_the_quantiles_of_the_studentised_replicates():
    rng = np.random.default_rng(5)
    tally = tally_of(make(rng, 80)[:1], ("snips",))
    (answer,) = tally.estimates(0, 0.9, "bootstrap", rng=np.random.default_rng(6))
    statistic = tally._statistic(VALUE, tally.estimators[0])
    values, errors = replicates(statistic, resamples(80, np.random.default_rng(6)))
    t = np.sort((values - answer.value) / errors)
    assert REPLICATES == 1_999
    assert answer.low == pytest.approx(answer.value - answer.standard_error * t[1_899], rel=1e-12)
    assert answer.high == pytest.approx(answer.value - answer.standard_error * t[99], rel=1e-12)


def test_bootstrap_is_deterministic_without_a_generator():
    (feedback, _) = make(np.random.default_rng(7), 50)
    assert (ends(estimate(feedback, interval="bootstrap")) == ends(estimate(feedback, interval="bootstrap"))).all()
    times = resamples(50)
    assert (times.sum(axis=1) == 50).all()
    # A block occurs 1,999 times on average, with variance 1,999 (1 - 1/50): six standard errors.
    assert np.abs(times.sum(axis=0) - 1_999.0).max() < 6 * np.sqrt(1_999)

"""Coverage on a market whose truth is known, with the plain split by option as the control that must fail."""

import numpy as np
import pytest

from bandit.ope.incremental import Quotient
from tests.ope.incremental.markets import TRUTH, experiment

RUNS = 300
# 95 % of 300 have a standard error of 1.26 %; four of them.
LEAST = 0.95 - 4 * np.sqrt(0.95 * 0.05 / RUNS)


def per(above, below, scale=1.0):
    return Quotient(above, below, scale)


def statistics(tally):
    """Each statistic with its true value."""
    control, n = tally.count(None), tally.count(0)
    wasted = per(tally.total_cost(0, control=True), control)
    spent = per(tally.outcome(0, 1), n)
    own = per(tally.weighted(0, 1, 0), tally.weight(0, 1))
    anyway = per(tally.weighted(0, 1, 0, control=True), tally.weight(0, 1, control=True), -1.0)
    bought, came = per(tally.outcome(0, 0), n), per(tally.outcome(None, 0), control)
    idle = per(tally.outcome(0, 2), n, -1.0)
    on_added = TRUTH.spent - TRUTH.wasted - TRUTH.unanswered
    return {
        "added": ([bought, per(came.above, came.below, -1.0)], TRUTH.added),
        "anyway share": ([Quotient(came.above, came.below, 1.0, bought)], TRUTH.anyway / (TRUTH.anyway + TRUTH.added)),
        "option added": ([own, anyway], TRUTH.option_added),
        "option anyway": ([anyway], -TRUTH.option_anyway),
        "wasted": ([wasted], TRUTH.wasted),
        "wasted share": ([Quotient(wasted.above, wasted.below, 1.0, spent)], TRUTH.wasted / TRUTH.spent),
        "on added": ([spent, per(wasted.above, control, -1.0), idle], on_added),
        # The negative control: those who got the discount against the whole control.
        "plain split": ([own, per(came.above, came.below, -1.0)], TRUTH.option_added),
    }


def coverage(interval, runs=RUNS):
    hits = {}
    for seed in range(runs):
        tally = experiment(np.random.default_rng(seed))
        for name, (parts, truth) in statistics(tally).items():
            (estimate,) = tally.estimates([parts], 0.95, interval)
            hits.setdefault(name, []).append(estimate.low <= truth <= estimate.high)
    return {name: float(np.mean(found)) for name, found in hits.items()}


def test_the_money_adds_up_in_the_truth():
    """Per decision: half new, of whom .2 get it, half loyal, of whom .8: .5 (.2 x .10 + .8 x .05) = .03 are added, and
    .5 (.2 x .05 + .8 x .30) = .125 would have come anyway, each for 4.10."""
    assert TRUTH.added == pytest.approx(0.03)
    assert TRUTH.wasted == pytest.approx(0.125 * 4.1)
    assert TRUTH.spent - TRUTH.wasted - TRUTH.unanswered == pytest.approx(0.03 * 4.1)
    assert TRUTH.option_anyway == pytest.approx(0.25)


@pytest.mark.slow
def test_intervals_of_one_look_cover_the_truth_and_the_plain_split_does_not():
    found = coverage("skew")
    plain = found.pop("plain split")
    assert min(found.values()) >= LEAST, found
    assert max(found.values()) <= 0.95 + 4 * np.sqrt(0.95 * 0.05 / RUNS), found
    assert plain < 0.05


@pytest.mark.slow
def test_intervals_for_every_look_cover_more_than_those_of_one():
    found = coverage("anytime-skew", 60)
    found.pop("plain split")
    assert min(found.values()) >= 0.95, found

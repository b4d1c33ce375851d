"""Coverage of the intervals of lift and false verdicts, at one look and at daily looks, with negative controls."""

from itertools import pairwise

import numpy as np
import pytest

from bandit.ope.lift import LiftBatch, LiftTally
from tests.ope.lift.experiments import AMOUNT, HALVES, favourites, personal

LOOKS = 28
METHODS = ("means", "balanced")
TAIL = [0.9, 0.1]


def missed(runs, customers, *, lift, interval="skew", clustered=True, agreement=0.6, **market):
    """Shares of runs whose interval of group 0 less group 1 lies above and below the truth, (methods, 2).

    Group 0 prefers the better offer with .84 more than group 1 in the decisions in which favourites differ.
    """
    truth = (1.0 - agreement) * 0.84 * lift * AMOUNT
    counts = np.zeros((2, 2))
    for run in range(runs):
        e = favourites(np.random.default_rng([5, run]), customers, agreement, lift=lift, **market)
        sums = e.sums() if clustered else without_clusters(e)
        for place, method in enumerate(METHODS):
            found = sums.differences([(0, 1)], method, interval=interval)[0].estimate
            counts[place] += [found.low > truth, found.high < truth]
    return counts / runs


def without_clusters(e):
    tally = LiftTally(e.shares, weighted=True)
    tally.add(LiftBatch(e.reward, e.group, np.arange(len(e.reward)), weights=e.batch().weights))
    return tally.overall


def slack(share, runs):
    """Three standard errors of a share seen in this many runs."""
    return 3 * np.sqrt(share * (1 - share) / runs)


@pytest.mark.parametrize("lift", [0.0, pytest.param(0.1, marks=pytest.mark.slow)])
def test_an_interval_looked_at_once_covers_and_misses_alike_on_both_sides(lift):
    sides = missed(400, 600, lift=lift, visits=2)
    assert sides.sum(axis=1) == pytest.approx(np.full(2, 0.05), abs=slack(0.05, 400))
    assert (sides <= 0.025 + slack(0.025, 400)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "market",
    [
        {"customers": 1_000, "lift": 0.0, "visits": 3},
        {"customers": 1_000, "lift": 0.1, "visits": 3},
        {"customers": 1_000, "lift": 0.1, "visits": 3, "agreement": 0.9},
        {"customers": 3_000, "lift": 0.05, "visits": 2, "conversion": 0.08, "shares": TAIL},
    ],
    ids=["null", "real", "alike", "small group"],
)
def test_coverage_is_93_to_97_per_cent_and_false_verdicts_at_most_2_5_a_side(market):
    """3,000 runs: the standard error of 95 % is .4, that of 2.5 % is .29; .0025 more for rewards that are skewed."""
    sides = missed(3_000, **market)
    assert (np.abs(sides.sum(axis=1) - 0.05) <= 0.02).all()
    assert (sides <= 0.0275 + slack(0.025, 3_000)).all()


@pytest.mark.slow
def test_without_clusters_intervals_of_means_are_too_narrow():
    """The negative control: twenty decisions of customers who differ, taken for twenty customers."""
    market = {"lift": 0.0, "visits": 20, "spread": 0.14}
    single = missed(600, 200, clustered=False, **market).sum(axis=1)
    clustered = missed(600, 200, **market).sum(axis=1)
    assert clustered == pytest.approx(np.full(2, 0.05), abs=slack(0.05, 600))
    assert single[0] > 0.05 + slack(0.05, 600)


def false_verdicts(runs, customers, intervals, *, agreement=0.6, **market):
    """Shares of null experiments in which an interval excludes 0 at one of LOOKS looks, (methods, intervals).

    Looks with fewer than ten events in what tells the groups apart do not count: then there is no verdict.
    """
    counts = np.zeros((2, len(intervals)))
    for run in range(runs):
        batch = favourites(np.random.default_rng([6, run]), customers, agreement, **market).batch()
        ends = np.linspace(0, len(batch), LOOKS + 1).astype(int)
        sums, wrong = LiftTally(market.get("shares", HALVES), weighted=True).overall, np.zeros_like(counts, dtype=bool)
        for start, end in pairwise(ends):
            sums.add(batch.part(slice(start, end)))
            for place, method in enumerate(METHODS):
                for column, interval in enumerate(intervals):
                    (found,) = sums.differences([(0, 1)], method, interval=interval)
                    wrong[place, column] |= (
                        found.events >= 10.0 and not found.estimate.low <= 0.0 <= found.estimate.high
                    )
        counts += wrong
    return counts / runs


@pytest.mark.slow
def test_an_interval_for_one_look_is_wrong_too_often_when_peeked_at_daily_and_the_anytime_interval_is_not():
    """Customers come over nine days and then return; the interval for one look is the negative control."""
    share = false_verdicts(40, 800, ("anytime-skew", "normal"), visits=3)
    assert (share[:, 0] <= 0.05).all()
    assert (share[:, 1] > 0.1).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "market",
    [
        {"customers": 2_000, "visits": 3},
        {"customers": 2_000, "visits": 1, "conversion": 0.1},
        {"customers": 300, "visits": 28},
        {"customers": 4_000, "visits": 2, "conversion": 0.08, "shares": TAIL},
    ],
    ids=["returning", "new every day", "the same customers every day", "small group"],
)
def test_false_verdicts_at_28_daily_looks_are_at_most_5_per_cent(market):
    """400 runs: the standard error of 5 % is 1.1. Peeking at the interval for one look must be wrong far more often."""
    share = false_verdicts(400, market.pop("customers"), ("anytime-skew", "normal"), **market)
    assert (share[:, 0] <= 0.05).all()
    assert (share[:, 1] > 0.05 + slack(0.05, 400)).all()


@pytest.mark.slow
@pytest.mark.parametrize(("liked", "other", "truth"), [(0.25, 0.25, 0.0), (0.4, 0.1, 0.0496)], ids=["null", "real"])
def test_where_a_policy_follows_customers_means_and_trajectory_weights_cover_and_balanced_weights_do_not(
    liked, other, truth
):
    """1,000 runs with 1,000 customers of eight decisions. Balanced weights are the negative control where there is a
    difference; where no offer earns more, there is nothing for the history to bias.
    """
    hits = np.zeros(3)
    for run in range(1_000):
        e = personal(np.random.default_rng([7, run]), 1_000, liked=liked, other=other)
        for place, (weights, method) in enumerate(
            [("means", "means"), ("trajectory", "balanced"), ("balanced", "balanced")]
        ):
            found = e.sums(weights).differences([(0, 1)], method)[0].estimate
            hits[place] += found.low <= truth <= found.high
    assert (np.abs(hits[:2] / 1_000 - 0.95) <= 0.02).all()
    assert (hits[2] / 1_000 > 0.93) if truth == 0.0 else (hits[2] / 1_000 < 0.85)

"""Simultaneous intervals: the single case, p-values, joint levels, and the family-wise error rate."""

import numpy as np
import pytest
from scipy.special import stdtr, stdtrit

from bandit.errors import InputError
from bandit.ope import Feedback, Tally, resolve
from bandit.ope.simultaneous import MaxT

LOGGING = np.full(4, 0.25)
RUNS = 120


def tally_of(rng, policies, n=400, groups=None, chance=0.3):
    """Policies that are drawn at random, in a market where all four offers earn the same."""
    a = rng.integers(0, 4, n)
    reward = (rng.random(n) < chance).astype(np.float64)
    cluster = None if groups is None else rng.integers(0, groups, n)
    targets = rng.dirichlet(np.ones(4), policies)
    tally = Tally(policies, resolve(("ips", "snips")))
    tally.add(*(Feedback(reward, LOGGING[a], target[a], cluster=cluster) for target in targets))
    return tally


@pytest.mark.parametrize("groups", [None, 30])
@pytest.mark.parametrize("kind", ["normal", "skew"])
def test_a_single_comparison_has_its_ordinary_interval(kind, groups):
    tally = tally_of(np.random.default_rng(1), 2, groups=groups)
    ((value,), (difference,)) = (
        tally.simultaneous([(0, None)], "snips", 0.9, kind),
        tally.simultaneous([(0, 1)], "snips", 0.9, kind),
    )
    assert value.estimate == tally.estimates(0, 0.9, kind)[1]
    assert difference.estimate == tally.difference(0, 1, 0.9, kind)[1]


@pytest.mark.parametrize("kind", ["normal", "skew"])
def test_p_value_is_below_alpha_where_zero_is_excluded_and_grows_with_the_number_of_comparisons(kind):
    """Rewards differ by offer, so that some of the differences are real and others are not."""
    rng = np.random.default_rng(2)
    a = rng.integers(0, 4, 900)
    reward = (rng.random(900) < np.array([0.1, 0.2, 0.25, 0.3])[a]).astype(np.float64)
    tally = Tally(9, resolve(("snips",)))
    tally.add(*(Feedback(reward, LOGGING[a], target[a]) for target in rng.dirichlet(np.ones(4), 9)))
    together = tally.simultaneous([(i, 0) for i in range(1, 9)], "snips", 0.95, kind)
    outside = [not each.estimate.low <= 0 <= each.estimate.high for each in together]
    assert 0 < sum(outside) < 8
    assert [each.p_value < 0.05 for each in together] == outside
    for place, each in enumerate(together, start=1):
        (alone,) = tally.simultaneous([(place, 0)], "snips", 0.95, kind)
        assert alone.p_value <= each.p_value <= min(8 * alone.p_value, 1.0)
        assert each.estimate.low < alone.estimate.low < alone.estimate.high < each.estimate.high
        assert each.estimate.level == 0.95


def test_p_value_of_a_single_comparison_is_students():
    tally = tally_of(np.random.default_rng(3), 2, groups=20)
    ((one,),) = (tally.simultaneous([(0, 1)], "ips", 0.95, "normal"),)
    t = one.estimate.value / one.estimate.standard_error
    assert one.p_value == pytest.approx(2 * stdtr(one.estimate.clusters - 1, -abs(t)), rel=1e-12)


def test_single_level_is_the_root_for_independent_and_the_level_for_equal_statistics():
    """Five independent normal means hold together at 95 % where each holds at .95^(1/5); five equal ones at .95.

    100,000 draws know the level of the largest to sqrt(.05 .95 / 100,000) = .0007; per interval that is a fifth.
    """
    rng = np.random.default_rng(4)
    a = rng.integers(0, 5, 50_000)
    reward = rng.normal(size=50_000)
    tally = Tally(5, resolve(("ips",)))
    tally.add(*(Feedback(reward, np.full(50_000, 0.2), (a == each).astype(float)) for each in range(5)))
    (ips,) = tally.estimators
    single = [tally._statistic(((1.0, each),), ips) for each in range(5)]
    assert MaxT.of(single).level(0.95) == pytest.approx(0.95**0.2, abs=4 * 0.0007 / 5)
    assert MaxT.of(single[:1] * 5).level(0.95) == pytest.approx(0.95, abs=4 * 0.0007)


def test_few_clusters_make_joint_intervals_wider():
    few = tally_of(np.random.default_rng(5), 6, groups=8)
    statistics = [few._statistic(((1.0, each), (-1.0, 0)), few.estimators[0]) for each in range(1, 6)]
    joint = MaxT.of(statistics)
    assert joint.freedom == 7
    critical = stdtrit(7, 0.5 + joint.level(0.95) / 2)
    assert stdtrit(7, 0.975) < critical < stdtrit(7, 1 - 0.025 / 5)


def test_differences_without_error_are_excluded_from_the_joint_distribution():
    rng = np.random.default_rng(6)
    tally = tally_of(rng, 3)
    together = tally.simultaneous([(0, 0), (1, 1), (2, 0)], "snips", 0.95, "normal")
    assert [each.p_value for each in together[:2]] == [1.0, 1.0]
    assert together[2].estimate == tally.difference(2, 0, 0.95, "normal")[1]
    assert tally.simultaneous([], "snips") == ()


def test_simultaneous_intervals_of_other_kinds_and_estimators_are_rejected():
    tally = tally_of(np.random.default_rng(7), 2)
    with pytest.raises(InputError, match='kind "bootstrap"'):
        tally.simultaneous([(0, 1)], "ips", interval="bootstrap")
    with pytest.raises(InputError, match='"dr" was not tallied; choose from ips, snips'):
        tally.simultaneous([(0, 1)], "dr")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "skew"])
def test_the_family_wise_error_rate_is_controlled_where_unadjusted_intervals_exceed_it(kind):
    """Of 12 policies that all earn the same, any is called different from the first in at most 5 % of markets."""
    rng = np.random.default_rng(8)
    together = alone = 0
    for _ in range(RUNS):
        tally = tally_of(rng, 13, n=1_000)
        joint = tally.simultaneous([(i, 0) for i in range(1, 13)], "snips", 0.95, kind)
        together += any(not each.estimate.low <= 0 <= each.estimate.high for each in joint)
        single = [tally.difference(i, 0, 0.95, kind)[1] for i in range(1, 13)]
        alone += any(not each.low <= 0 <= each.high for each in single)
    limit = 0.05 + 3 * np.sqrt(0.05 * 0.95 / RUNS)
    assert together / RUNS <= limit
    assert alone / RUNS > limit

"""How many decisions tell two groups apart: sums by hand, and simulated experiments of the planned size and of half."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from bandit.analysis.group_timing import (
    CustomerTraffic,
    GroupPair,
    GroupReward,
    LiftTarget,
    clustered_variance,
    smallest_share,
)
from bandit.errors import InputError
from bandit.ope.intervals.anytime import anytime_half_width

Z, Z80 = float(ndtri(0.975)), float(ndtri(0.8))
REWARD = GroupReward(100.0)
TRAFFIC = CustomerTraffic(7_000.0)


class TestOneLook:
    def test_by_hand(self):
        """Variances 100 / 0.8 + 36 / 0.2 = 305 per decision in all: (1.96 + 0.84)^2 x 305 / 0.5^2 = 9,576 decisions."""
        pair = GroupPair(REWARD, GroupReward(36.0), 0.8, 0.2)
        assert pair.single_look(TRAFFIC, LiftTarget(0.5)) == int(np.ceil((Z + Z80) ** 2 * 305 / 0.25)) == 9_576
        assert pair.single_look(TRAFFIC, LiftTarget(-0.5)) == 9_576
        assert pair.error(9_576, TRAFFIC) == pytest.approx(0.5 / (Z + Z80), rel=1e-4)

    def test_three_comparisons_that_hold_together_use_a_third_of_the_errors(self):
        """5 % / 3: z = 2.394 instead of 1.960."""
        pair = GroupPair(REWARD, REWARD, 0.5, 0.5)
        z = float(ndtri(1 - 0.05 / 6))
        assert z == pytest.approx(2.394, abs=1e-3)
        assert pair.single_look(TRAFFIC, LiftTarget(1.0, comparisons=3)) == int(np.ceil((z + Z80) ** 2 * 400))

    def test_returning_customers_count_by_the_design_effect(self):
        """3 decisions a customer with correlation 0.2: 1 + 2 x 0.2 = 1.4 times as many; more if some come oftener."""
        one = GroupPair(REWARD, REWARD, 0.5, 0.5).single_look(TRAFFIC, LiftTarget(0.5))
        related = replace(REWARD, correlation=0.2)
        pair = GroupPair(related, related, 0.5, 0.5)
        three = pair.single_look(replace(TRAFFIC, visits=3.0), LiftTarget(0.5))
        assert three == pytest.approx(1.4 * one, abs=2)
        uneven = pair.single_look(replace(TRAFFIC, visits=3.0, spread=2.0), LiftTarget(0.5))
        assert uneven == pytest.approx((0.8 + 0.2 * 2 * 3) * one, abs=2)
        assert clustered_variance(related, 9_000.0, replace(TRAFFIC, visits=3.0)) == pytest.approx(140.0)

    def test_a_fixed_number_of_customers_may_never_tell_it(self):
        """400 (0.8 / n + 0.2 / 1,000) = (lift / 2.8)^2. A lift of 1: 320 / (0.1274 - 0.08) = 6,749 decisions.

        With ever more decisions the error stays above sqrt(0.08) = 0.283, 2.8 times that is 0.79: less is never told.
        """
        related = replace(REWARD, correlation=0.2)
        pair, base = GroupPair(related, related, 0.5, 0.5), CustomerTraffic(7_000.0, customers=1_000.0)
        needed = pair.single_look(base, LiftTarget(1.0))
        assert needed == int(np.ceil(320 / ((1 / (Z + Z80)) ** 2 - 0.08)))
        assert pair.single_look(base, LiftTarget(0.79)) is None
        assert pair.single_look(base, LiftTarget(0.8)) > 100_000
        # As long as each customer decides once at most, they do not matter.
        assert pair.single_look(base, LiftTarget(2.0)) == pytest.approx(400 * ((Z + Z80) / 2) ** 2, abs=1)

    def test_it_waits_for_the_customers_and_outcomes_that_lift_asks_for(self):
        """A huge lift: 30 customers in a group of 10 % are 300, 600 decisions; 10 outcomes of 1 % are 10,000."""
        pair = GroupPair(REWARD, REWARD, 0.9, 0.1)
        assert pair.single_look(replace(TRAFFIC, visits=2.0), LiftTarget(1_000.0)) == 600
        rare = replace(REWARD, rate=0.01)
        assert GroupPair(rare, rare, 0.9, 0.1).single_look(TRAFFIC, LiftTarget(1_000.0)) == 10_000
        assert pair.single_look(CustomerTraffic(100.0, customers=200.0), LiftTarget(1_000.0)) is None
        assert smallest_share(0.01, 10_000.0, TRAFFIC) == pytest.approx(0.1)


class TestEveryDay:
    def test_the_last_look_alone_needs_at_least_the_time_that_is_said(self):
        """One look at the daily interval's width h takes until the lift is h + z_power errors: not sooner."""
        pair = GroupPair(REWARD, REWARD, 0.8, 0.2)
        target = LiftTarget(0.5)
        found = pair.daily_look(TRAFFIC, target)
        h = anytime_half_width(found.decisions, 0.95)
        assert pair.single_look(TRAFFIC, target) < found.decisions
        assert 0.5 / pair.error(found.decisions - 1_000, TRAFFIC) < h + Z80
        assert found.mean_weeks < found.weeks == pytest.approx(found.decisions / 7_000, abs=1e-3)

    def test_never_is_none(self):
        related = replace(REWARD, correlation=0.2)
        pair, base = GroupPair(related, related, 0.5, 0.5), CustomerTraffic(7_000.0, customers=1_000.0)
        found = pair.daily_look(base, LiftTarget(0.5))
        assert (found.decisions, found.weeks, found.mean_weeks) == (None, None, None)
        assert pair.daily_look(CustomerTraffic(7_000.0, customers=50.0), LiftTarget(50.0)).weeks is None

    def test_within_its_own_time_the_lift_is_as_large_as_it_must_be(self):
        """At the deadline that a lift needs, the error is what the signal needed allows, but for 3 % of the looks."""
        pair = GroupPair(REWARD, REWARD, 0.8, 0.2)
        found = pair.daily_look(TRAFFIC, LiftTarget(0.5))
        signal = pair.signal_within(TRAFFIC, LiftTarget(0.5, weeks=found.weeks))
        assert signal == pytest.approx(0.5 / float(pair.error(found.decisions, TRAFFIC)), rel=0.03)
        assert pair.signal_within(TRAFFIC, LiftTarget(0.5, weeks=4.0, look="once")) == pytest.approx(Z + Z80)
        assert pair.signal_within(CustomerTraffic(7.0), LiftTarget(0.5, weeks=1.0)) == np.inf


REPEATS = 1_500
VISITS, CORRELATION = 3, 0.3


def experiments(rng, customers, policy_share, lift):
    """Return (REPEATS, customers) means of the customers' three decisions, and who is in the policy's group.

    The standard deviation of a decision is 10 in the policy's group and 6 in the other.
    """
    mine = rng.random((REPEATS, customers)) < policy_share
    deviation = np.where(mine, 10.0, 6.0)
    variance = CORRELATION + (1.0 - CORRELATION) / VISITS
    return lift * mine + deviation * np.sqrt(variance) * rng.standard_normal(mine.shape), mine


def z_values(values, mine):
    """Return (REPEATS, customers) lifts in estimated standard errors after each number of customers."""
    z = 0.0
    error = 0.0
    for sign, member in ((1.0, mine), (-1.0, ~mine)):
        n = np.maximum(np.cumsum(member, axis=1), 2)
        mean = np.cumsum(values * member, axis=1) / n
        square = np.cumsum(values**2 * member, axis=1) / n - mean**2
        z = z + sign * mean
        error = error + square / (n - 1)
    return z / np.sqrt(error)


PAIR = GroupPair(GroupReward(100.0, CORRELATION), GroupReward(36.0, CORRELATION), 0.8, 0.2)
VISITED = CustomerTraffic(700.0, visits=VISITS)


class TestSimulated:
    """Shares of 1,500 experiments are known to sqrt(0.8 x 0.2 / 1,500) = 0.0103; four of these are the tolerance."""

    def test_the_planned_customers_have_the_power_and_half_of_them_do_not(self):
        """Half of them have Phi(2.8 / sqrt(2) - 1.96) = 51 %."""
        target = LiftTarget(1.5)
        customers = round(PAIR.single_look(VISITED, target) / VISITS)
        z = z_values(*experiments(np.random.default_rng(11), customers, 0.8, 1.5))
        assert np.mean(z[:, -1] > Z) == pytest.approx(0.8, abs=0.041)
        half = np.mean(z[:, customers // 2 - 1] > Z)
        assert half == pytest.approx(float(ndtr((Z + Z80) / np.sqrt(2) - Z)), abs=0.055)
        assert half < 0.8 - 0.041

    def test_a_look_every_day_tells_it_by_the_day_planned_and_not_by_half_of_it(self):
        """Looks thinned by 3 % make the plan late by up to 3 %: the power may be above 80 % by 0.02 more.

        Looking every day at the interval of one look would tell it sooner: that plan is the other control.
        """
        target = LiftTarget(1.5)
        planned = PAIR.daily_look(VISITED, target)
        days = round(planned.weeks * 7)
        per_day = VISITED.decisions_per_week / 7 / VISITS
        customers = np.floor(np.arange(1, days + 1) * per_day + 1e-9).astype(int)
        z = z_values(*experiments(np.random.default_rng(12), customers[-1], 0.8, 1.5))[:, customers - 1]
        widths = np.array([anytime_half_width(n, 0.95) for n in customers])
        usable = customers * 0.2 >= 30
        told = (z > widths) & usable
        share = told.any(axis=1).mean()
        assert 0.8 - 0.041 < share < 0.8 + 0.061
        assert told[:, : days // 2].any(axis=1).mean() < 0.8 - 0.15
        first = np.where(told.any(axis=1), told.argmax(axis=1) + 1, days)
        # The standard deviation of the first day is below a third of the time: 4 x days / 3 / sqrt(1,500).
        assert first.mean() / 7 == pytest.approx(planned.mean_weeks, abs=4 * days / 7 / 3 / np.sqrt(REPEATS))
        assert ((z > Z) & usable).any(axis=1).mean() > share + 0.05


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: GroupReward(0.0), "variance of a reward is 0"),
        (lambda: GroupReward(1.0, correlation=2.0), "correlation is 2"),
        (lambda: GroupReward(1.0, rate=0.0), "earn something is 0"),
        (lambda: CustomerTraffic(0.0), "decisions a week is 0"),
        (lambda: CustomerTraffic(1.0, visits=0.5), "decisions a customer is 0.5"),
        (lambda: CustomerTraffic(1.0, customers=1.0), "customers is 1"),
        (lambda: CustomerTraffic(1.0, spread=0.5), "spread"),
        (lambda: LiftTarget(0.0), "the lift to tell is 0"),
        (lambda: LiftTarget(float("nan")), "the lift to tell is nan"),
        (lambda: LiftTarget(1.0, power=0.2), "power is 0.2"),
        (lambda: LiftTarget(1.0, weeks=0.0), "weeks is 0"),
        (lambda: LiftTarget(1.0, level=95.0), "level is 95"),
    ],
)
def test_numbers_out_of_range_are_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()

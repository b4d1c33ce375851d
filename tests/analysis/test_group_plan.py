"""The plan of groups: its rows by hand, and the cheapest shares against a search over a grid."""

import json

import numpy as np
import pytest

from bandit.analysis.group_plan import COMPARED_POLICY_SHARES, plan_groups, plan_shares
from bandit.analysis.group_timing import CustomerTraffic, GroupReward, LiftTarget
from bandit.errors import InputError

REWARD = GroupReward(100.0, rate=0.1)
TWO = {"policy": 0.8, "rules": 0.2}
REWARDS = dict.fromkeys(("policy", "rules", "random", "holdout"), REWARD)
TRAFFIC = CustomerTraffic(10_000.0, visits=2.0)


def row_of(shares, lift, weeks=8.0, look="daily", traffic=TRAFFIC, rewards=REWARDS, against=()):
    return plan_groups(shares, rewards, traffic, LiftTarget(lift, weeks=weeks, look=look), against)


def test_a_row_by_hand():
    """100 / 0.8 + 100 / 0.2 = 625; (2.8016 / 0.5)^2 x 625 = 19,623 decisions, 1.9623 weeks, 9,811 customers.

    A fifth of 10,000 decisions forgoes 0.5 each: 1,000 a week, 1,962.3 until one look tells it.
    """
    found = row_of(TWO, 0.5, look="once")
    (pair,) = found.pairs
    assert (pair.group, pair.decisions, pair.customers) == ("rules", 19_623, 9_812)
    assert pair.group_customers == (7_849, 1_962)
    assert found.planned.weeks == pair.weeks == pytest.approx(1.9623)
    assert found.planned.cost_per_week == pytest.approx(1_000.0)
    assert found.planned.cost == pytest.approx(1_962.3)
    worse = row_of(TWO, -0.5, look="once").planned
    assert (worse.weeks, worse.cost_per_week) == (found.planned.weeks, pytest.approx(4_000.0))
    assert {round(row.shares["policy"], 6) for row in found.compared} == set(COMPARED_POLICY_SHARES) - {0.8}
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_cost_of_daily_looks_is_what_they_take_on_average():
    found = row_of(TWO, 0.5).planned
    assert found.weeks < found.mean_weeks < found.daily_weeks
    assert found.cost == pytest.approx(1_000.0 * found.mean_weeks)


def test_the_slowest_pair_counts_and_groups_keep_their_proportions():
    shares = {"policy": 0.8, "rules": 0.1, "random": 0.06, "holdout": 0.04}
    found = row_of(shares, 0.5)
    assert found.planned.weeks == max(pair.weeks for pair in found.pairs) == found.pairs[-1].weeks
    half = found.compared[0].shares
    assert half == pytest.approx({"policy": 0.5, "rules": 0.25, "random": 0.15, "holdout": 0.1})
    only = row_of(shares, 0.5, against=["rules"])
    assert only.planned.weeks == found.pairs[0].weeks
    assert (only.fastest.shares["random"], only.fastest.shares["holdout"]) == (0.06, 0.04)
    assert sum(only.fastest.shares.values()) == pytest.approx(1.0)


def cost_on_a_grid(shares, lift, weeks, look, rewards, against=()):
    """Return the policy share at the smallest cost until told among 48 that tell within the weeks, and that cost."""
    best = (np.nan, np.inf)
    fixed = {name: share for name, share in shares.items() if against and name not in {"policy", *against}}
    compared = [name for name in shares if name != "policy" and name not in fixed]
    variances = np.array([rewards[name].variance for name in compared])
    divided = 1.0 - sum(fixed.values())
    target = LiftTarget(lift, weeks=weeks, look=look)
    for share in np.linspace(0.03, 0.97, 48) * divided:
        rest = dict(zip(compared, (divided - share) * variances / variances.sum(), strict=True))
        row = plan_shares({"policy": share, **fixed, **rest}, rewards, TRAFFIC, target, against)
        lasts = row.weeks if look == "once" else row.daily_weeks
        if lasts is not None and lasts <= weeks and row.cost < best[1]:
            best = (share, row.cost)
    return best


@pytest.mark.parametrize(
    ("shares", "lift", "weeks", "look", "against"),
    [
        (TWO, 0.5, 4.0, "once", ()),
        (TWO, -0.5, 4.0, "once", ()),
        ({"policy": 0.7, "rules": 0.2, "holdout": 0.1}, 0.6, 20.0, "once", ("rules",)),
        (TWO, 0.5, 8.0, "daily", ()),
        pytest.param(TWO, -0.5, 8.0, "daily", (), marks=pytest.mark.slow),
        pytest.param({"policy": 0.7, "rules": 0.2, "holdout": 0.1}, 0.6, 6.0, "daily", (), marks=pytest.mark.slow),
    ],
)
def test_no_shares_of_a_grid_that_tell_it_in_time_are_cheaper(shares, lift, weeks, look, against):
    """By 2 % of the customers near the end a plan's cost changes by some per cent, and daily looks come in days."""
    rewards = REWARDS | {"policy": GroupReward(144.0, rate=0.1), "holdout": GroupReward(64.0, rate=0.1)}
    found = row_of(shares, lift, weeks, look, rewards=rewards, against=against).cheapest
    lasts = found.weeks if look == "once" else found.daily_weeks
    assert lasts <= weeks * (1.0 + 1e-3 if look == "once" else 1.03)
    share, cost = cost_on_a_grid(shares, lift, weeks, look, rewards, against)
    assert cost * 0.9 <= found.cost <= cost * 1.01
    assert found.shares["policy"] == pytest.approx(share, abs=0.06)


def test_with_one_look_the_cheapest_of_two_groups_is_the_largest_share_in_time():
    """100 / s + 100 / (1 - s) = 40,000 (0.5 / 2.8016)^2 = 1,274.0: s (1 - s) = 0.078491, s = 0.91413."""
    found = row_of(TWO, 0.5, 4.0, "once").cheapest
    assert found.shares["policy"] == pytest.approx(0.91413, abs=1e-4)
    assert found.weeks == pytest.approx(4.0, abs=1e-3)
    # Where the policy is worse, the smallest one.
    assert row_of(TWO, -0.5, 4.0, "once").cheapest.shares["policy"] == pytest.approx(1 - 0.91413, abs=1e-4)


def test_where_nothing_tells_it_in_time_there_are_no_cheapest_shares():
    """Halves need (2.8016 / 0.1)^2 x 400 = 313,960 decisions, 31.4 weeks."""
    found = row_of(TWO, 0.1, 8.0, "once")
    assert found.cheapest is None
    assert found.fastest.weeks == pytest.approx(31.396, abs=1e-2)
    assert row_of(TWO, 0.1, 31.3, "once").cheapest is None
    assert row_of(TWO, 0.1, 31.5, "once").cheapest is not None


def test_customers_who_return_make_the_group_that_varies_between_them_larger():
    """In the long run only differences between customers count: the fastest shares move to the group that has them."""
    rewards = {"policy": GroupReward(100.0, 0.5), "rules": GroupReward(100.0, 0.05)}
    target = LiftTarget(0.7, weeks=4.0, look="once")
    new = plan_groups(TWO, rewards, CustomerTraffic(10_000.0), target)
    same = plan_groups(TWO, rewards, CustomerTraffic(10_000.0, customers=2_000.0), target)
    assert new.fastest.shares["policy"] == pytest.approx(0.5)
    assert same.fastest.shares["policy"] > 0.6
    assert same.fastest.weeks > new.fastest.weeks


def test_a_group_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"sum to 0\.9"):
        row_of({"policy": 0.7, "rules": 0.2}, 0.5)
    with pytest.raises(InputError, match='told from a group "holdout"'):
        row_of(TWO, 0.5, against=["holdout"])

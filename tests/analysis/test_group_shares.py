"""The best shares by formula, against sums by hand and a search over a grid of shares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.analysis.group_shares import (
    check_compared,
    check_group_shares,
    fastest_shares,
    shares_within,
    split_share,
)
from bandit.errors import InputError

VARIANCES = st.floats(0.01, 100.0)


def worst(policy, others, share, divided):
    """The largest variance of a lift, the others' share being divided in proportion to their variances."""
    rest = split_share(divided - share, others)
    return max(policy / share + each / rest[name] for name, each in others.items())


def test_equal_variances_are_told_soonest_by_halves_and_by_the_square_root_rule():
    """One other group: a half each. Four: the policy has sqrt(4) = 2 parts to their one each, 2 / 6 in all."""
    assert fastest_shares(5.0, {"rules": 5.0}) == (pytest.approx(0.5), {"rules": pytest.approx(0.5)})
    share, others = fastest_shares(5.0, dict.fromkeys("abcd", 5.0))
    assert share == pytest.approx(1 / 3)
    assert others == pytest.approx(dict.fromkeys("abcd", 1 / 6))


@given(VARIANCES, st.lists(VARIANCES, min_size=1, max_size=3), st.floats(0.3, 1.0))
def test_no_shares_on_a_grid_tell_sooner(policy, variances, divided):
    others = {str(place): each for place, each in enumerate(variances)}
    share, rest = fastest_shares(policy, others, divided)
    assert share + sum(rest.values()) == pytest.approx(divided)
    smallest = worst(policy, others, share, divided)
    for each in np.linspace(0.01, 0.99, 99) * divided:
        assert worst(policy, others, each, divided) >= smallest * (1 - 1e-9)
    # Nor do shares that are not in proportion to the variances.
    rng = np.random.default_rng(5)
    for parts in rng.dirichlet(np.ones(len(others) + 1), 100) * divided:
        lifts = [policy / parts[0] + each / parts[1 + place] for place, each in enumerate(variances)]
        assert max(lifts) >= smallest * (1 - 1e-9)


@given(VARIANCES, st.lists(VARIANCES, min_size=1, max_size=3), st.floats(0.3, 1.0), st.floats(1.01, 50.0))
def test_the_ends_of_what_is_told_in_time_are_those_of_a_grid(policy, variances, divided, times):
    others = {str(place): each for place, each in enumerate(variances)}
    smallest = worst(policy, others, fastest_shares(policy, others, divided)[0], divided)
    largest = smallest * times
    (high, _), (low, _) = (shares_within(policy, others, largest, divided, larger=each) for each in (True, False))
    for share in (low, high):
        assert worst(policy, others, share, divided) == pytest.approx(largest, rel=1e-6)
    for each in np.linspace(0.001, 0.999, 200) * divided:
        told = worst(policy, others, each, divided) <= largest
        assert told == (low <= each <= high) or min(abs(each - low), abs(each - high)) < 1e-9
    assert shares_within(policy, others, smallest * 0.999, divided) is None


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"policy": 0.8, "rules": 0.1}, "sum to 0.9; give shares that sum to 1"),
        ({"policy": 1.5, "rules": -0.5}, 'share of the group "policy" is 1.5'),
        ({"rules": 0.5, "holdout": 0.5}, 'no group "policy" with a share above 0'),
        ({"policy": 1.0, "rules": 0.0}, "the policy has all customers"),
    ],
)
def test_shares_that_are_none_are_refused(shares, words):
    with pytest.raises(InputError, match=words):
        check_group_shares(shares)


def test_a_group_without_a_share_is_left_out_and_cannot_be_compared():
    shares = {"policy": 0.6, "rules": 0.4, "holdout": 0.0}
    assert check_group_shares(shares) == {"policy": 0.6, "rules": 0.4}
    assert check_compared(shares, ()) == ("rules",)
    with pytest.raises(InputError, match='told from a group "holdout"; the other groups with a share are rules'):
        check_compared(shares, ["holdout"])

"""The true lift of groups, by hand on a toy of six decisions."""

import numpy as np
import pytest

from simulator.live.truth import TrueValues

# Three decisions of the policy, two of the rules, one of the random control.
GROUPS = np.array(["policy", "rules", "policy", "random", "rules", "policy"], dtype=object)
TOY = TrueValues(
    groups=GROUPS,
    served=np.array([4.0, 1.0, 6.0, 2.5, 3.0, 5.0]),
    fixed={
        "rules": np.array([3.0, 1.0, 2.0, 4.0, 3.0, 4.0]),
        "random": np.array([1.0, 2.0, 3.0, 2.0, 1.0, 2.0]),
    },
)


def test_as_served_each_group_is_worth_the_mean_of_what_it_was_served():
    """policy (4 + 6 + 5) / 3 = 5, rules (1 + 3) / 2 = 2, random 2.5: policy minus rules 3, random minus rules 0.5."""
    assert [TOY.mean(name) for name in ("policy", "rules", "random")] == [5.0, 2.0, 2.5]
    assert TOY.lift("policy", "rules").served == 3.0
    assert TOY.lift("random", "rules").served == 0.5
    assert np.isnan(TOY.mean("holdout"))


def test_at_the_same_visits_the_policy_is_compared_where_it_served():
    """At the policy's visits 0, 2, 5: served 4, 6, 5; the rules would have given 3, 2, 4, random 1, 3, 2.
    (1 + 4 + 1) / 3 = 2 and (3 + 3 + 3) / 3 = 3. The other way round the sign changes."""
    assert TOY.lift("policy", "rules").same_visits == 2.0
    assert TOY.lift("policy", "random").same_visits == 3.0
    assert TOY.lift("rules", "policy").same_visits == -2.0


def test_two_groups_that_learn_nothing_are_compared_at_the_visits_of_both():
    """At visits 1, 3, 4 of rules and random: random 2, 2, 1 minus rules 1, 4, 3, so (1 - 2 - 2) / 3 = -1."""
    assert TOY.lift("random", "rules").same_visits == -1.0


def test_an_interval_has_the_truth_only_if_both_values_lie_in_it():
    """policy minus rules is 3 as served and 2 at the same visits."""
    truth = TOY.lift("policy", "rules")
    assert truth.within(1.5, 3.5)
    assert not truth.within(2.5, 3.5)
    assert not truth.within(1.5, 2.5)


def test_a_pair_of_which_nothing_is_known_at_the_same_visits_is_judged_as_served():
    """Two labels that are not of groups that learn nothing: 5 - 2 = 3, and no value at the same visits."""
    truth = TrueValues(GROUPS, TOY.served, {}).lift("policy", "rules")
    assert np.isnan(truth.same_visits)
    assert truth.within(2.5, 3.5)
    assert truth.to_dict() == {"group": "policy", "baseline": "rules", "served": 3.0, "same_visits": None}


@pytest.mark.parametrize("name", ["policy", "rules", "random"])
def test_a_group_against_itself_has_no_lift(name):
    assert TOY.lift(name, name).served == 0.0

"""The state of a roll-out: arms and shares, who is served by which, by frequency, and what a larger share moves."""

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency

from bandit.catalogue.customer_numbers import customer_numbers
from bandit.errors import StoreError
from bandit.rollout import LivePolicy, RolloutState

CUSTOMERS = [f"customer-{row}" for row in range(20_000)]
RIVALS = (LivePolicy(3, 0.7), LivePolicy(5, 0.2), LivePolicy(8, 0.1))


def shares(state):
    return {arm.name: pytest.approx(arm.share) for arm in state.arms}


def chi_square(places, expected):
    """Pearson's statistic of the frequencies of places against expected shares, all above 0."""
    counts = np.bincount(places, minlength=len(expected))
    meant = np.array(expected) * len(places)
    return float(((counts - meant) ** 2 / meant).sum())


class TestArms:
    def test_each_mode_has_its_shares(self):
        """A ramp of a tenth: 0.9 and 0.1. With rivals of 0.7, 0.2 and 0.1 in a ramp of a half: 0.35, 0.1, 0.05."""
        assert shares(RolloutState()) == {"fallback": 0.0, "policy": 1.0}
        assert shares(RolloutState("shadow", substitute="rules")) == {"rules": 1.0, "policy": 0.0}
        assert shares(RolloutState("apprentice", substitute="rules")) == {"rules": 1.0, "policy": 0.0}
        assert shares(RolloutState("ramp", 0.1, substitute="rules")) == {"rules": 0.9, "policy": 0.1}
        rivals = RolloutState("ramp", 0.5, RIVALS, "rules")
        assert shares(rivals) == {"rules": 0.5, "policy": 0.35, "challenger:5": 0.1, "challenger:8": 0.05}
        assert [arm.policy_id for arm in rivals.arms] == [None, 3, 5, 8]
        assert rivals.champion == 3

    def test_a_kill_has_the_fallback_alone_and_a_guardrail_the_substitute(self):
        assert shares(RolloutState("ramp", 0.5, RIVALS, "rules", halted="kill")) == {"fallback": 1.0}
        stopped = RolloutState("ramp", 0.5, RIVALS, "rules", halted="guardrail")
        assert shares(stopped) == {"rules": 1.0, "policy": 0.0, "challenger:5": 0.0, "challenger:8": 0.0}
        assert stopped.resumed() == RolloutState("ramp", 0.5, RIVALS, "rules")

    def test_what_is_plain_and_what_has_a_shadow(self):
        assert RolloutState().is_plain
        assert RolloutState("ramp", 1.0).is_plain
        assert not RolloutState("ramp", 0.5).is_plain
        assert not RolloutState(policies=RIVALS).is_plain
        assert not RolloutState(halted="kill").is_plain
        assert RolloutState("shadow").has_shadow
        assert not RolloutState("shadow", halted="kill").has_shadow

    def test_it_is_stored_and_read_back(self):
        state = RolloutState("ramp", 0.3, RIVALS, "rules", "spring", "guardrail", "v1", 7)
        assert RolloutState.from_json(state.to_json()) == state
        with pytest.raises(StoreError, match="cannot be read"):
            RolloutState.from_json('{"mode": "half"}')


class TestAssignment:
    @pytest.mark.parametrize("state", [RolloutState("ramp", 0.3, salt="a"), RolloutState("ramp", 0.4, RIVALS, "rules")])
    def test_the_arms_are_as_frequent_as_their_shares(self, state):
        """Chi-square of 20,000 customers below its 99.9 % quantile."""
        places = state.assign(CUSTOMERS)
        expected = [arm.share for arm in state.arms]
        assert chi_square(places, expected) < chi2.ppf(0.999, len(expected) - 1)

    def test_a_wrong_share_is_found(self):
        """The negative control: 0.27 of the customers instead of 0.3 is 9 standard errors away."""
        places = RolloutState("ramp", 0.27).assign(CUSTOMERS)
        assert chi_square(places, [0.7, 0.3]) > chi2.ppf(0.999, 1)

    @pytest.mark.parametrize("policies", [(), RIVALS])
    def test_who_is_served_by_a_policy_stays_with_it_at_every_larger_share(self, policies):
        """Nobody flips: the arm at a share is the arm at every larger share, for those whom the policies serve."""
        before = None
        for share in (0.01, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0):
            now = RolloutState("ramp", share, policies).assign(CUSTOMERS)
            if before is not None:
                served = before > 0
                assert (now[served] == before[served]).all()
                assert (now > 0).sum() > served.sum()
            before = now
        full = RolloutState("full", policies=policies).assign(CUSTOMERS)
        assert (full == before).all()

    def test_one_by_one_as_in_a_batch_and_killed_nobody_is_served_by_a_policy(self):
        state = RolloutState("ramp", 0.4, RIVALS, "rules", "spring")
        few = CUSTOMERS[:50]
        assert [int(state.assign([one])[0]) for one in few] == state.assign(few).tolist()
        assert not RolloutState("ramp", 0.4, RIVALS, halted="kill").assign(few).any()
        assert not RolloutState("shadow", policies=RIVALS).assign(few).any()

    def test_the_arm_says_nothing_about_the_group(self):
        """Under one salt for both, groups of 0.5, 0.3 and 0.2 have the arms in the same shares (p > 0.001)."""
        group = np.searchsorted([0.5, 0.8], customer_numbers(CUSTOMERS, "spring"), side="right")
        arm = RolloutState("ramp", 0.4, RIVALS, "rules", "spring").assign(CUSTOMERS)
        table = np.zeros((3, 4))
        np.add.at(table, (group, arm), 1)
        assert chi2_contingency(table).pvalue > 0.001

    def test_numbers_for_the_same_purpose_are_the_same(self):
        """The negative control: an arm dealt by the group's own number depends on the group."""
        number = customer_numbers(CUSTOMERS, "spring")
        arm = RolloutState("ramp", 0.4).arm_of(number, number)
        group = np.searchsorted([0.5, 0.8], number, side="right")
        table = np.zeros((3, 2))
        np.add.at(table, (group, arm), 1)
        assert chi2_contingency(table).pvalue < 1e-9

    def test_which_rival_serves_says_nothing_about_whether_one_does(self):
        """Both numbers are independent: among those of a ramp of a tenth, the rivals have their shares."""
        full = RolloutState(policies=RIVALS).assign(CUSTOMERS)
        early = RolloutState("ramp", 0.1).assign(CUSTOMERS) == 1
        assert chi_square(full[early] - 1, [0.7, 0.2, 0.1]) < chi2.ppf(0.999, 2)

    def test_another_salt_deals_anew(self):
        one, two = (RolloutState("ramp", 0.3, salt=salt).assign(CUSTOMERS) for salt in ("a", "b"))
        table = np.zeros((2, 2))
        np.add.at(table, (one, two), 1)
        assert chi2_contingency(table).pvalue > 0.001

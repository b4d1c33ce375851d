"""The bound of a difference of rates at every look: values by hand, clusters, few events, false alarms counted."""

import numpy as np
import pytest
from scipy.special import ndtr

from bandit.errors import InputError
from bandit.ope.guardrail_difference import LEAST_CUSTOMERS, _boundary, difference_bounds
from bandit.ope.intervals.anytime import TUNED_GROUPS


def customers(*groups):
    """Counts of customers, group by group given as (customers, decisions of each, customers all of whose have it)."""
    events, decisions = [], []
    for place, (n, visits, hit) in enumerate(groups):
        each = np.zeros((n, 2))
        each[:, place] = visits
        happened = np.zeros((n, 2))
        happened[:hit, place] = visits
        events.append(happened)
        decisions.append(each)
    return np.concatenate(events), np.concatenate(decisions)


class TestValue:
    def test_it_is_the_difference_of_the_rates(self):
        """30 of 200 customers and 10 of 400, one decision each: .15 - .025; a lower bound above 0 is found."""
        found = difference_bounds(*customers((200, 1, 30), (400, 1, 10)), 0.95)
        assert found.value == pytest.approx(0.125)
        assert 0.0 < found.low < 0.125 < found.high
        assert found.missing == ""

    def test_the_other_way_round_is_the_negative(self):
        events, decisions = customers((200, 1, 30), (400, 1, 10))
        one, other = (difference_bounds(events[:, order], decisions[:, order], 0.95) for order in ([0, 1], [1, 0]))
        assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))

    def test_a_customer_counts_once_however_many_decisions_it_has(self):
        """Ten decisions of each customer, all with the same outcome, say what one of each says."""
        one, ten = (difference_bounds(*customers((200, v, 30), (400, v, 10)), 0.95) for v in (1, 10))
        assert (ten.value, ten.low, ten.high) == pytest.approx((one.value, one.low, one.high))
        independent = difference_bounds(*customers((2_000, 1, 300), (4_000, 1, 100)), 0.95)
        assert independent.low > one.low + 0.02

    def test_the_boundary_solves_its_equation(self):
        """2 Phi(y) exp(y^2 / 2) / sqrt(1 + x) = 1 / alpha with y = z sqrt(x / (1 + x)), x = groups rho^2."""
        for level in (0.5, 0.95, 0.999):
            log = -np.log(1.0 - level)
            for groups in (100, 1_000, 1_000_000):
                x = groups * (2 * log + np.log(1 + 2 * log)) / TUNED_GROUPS
                y = _boundary(groups, level) * np.sqrt(x / (1 + x))
                evidence = 2 * ndtr(y) * np.exp(y**2 / 2) / np.sqrt(1 + x)
                assert evidence == pytest.approx(1 / (1 - level), rel=1e-9)


class TestTooEarly:
    def test_there_is_no_bound_below_100_customers_in_a_group(self):
        for groups, who in (((99, 1, 50), (400, 1, 10)), "the policy"), (((400, 1, 90), (99, 1, 1)), "the other"):
            found = difference_bounds(*customers(*groups), 0.95)
            assert (found.low, found.high) == (-1.0, 1.0)
            assert f"{who}" in found.missing
            assert f"99 customers and at least {LEAST_CUSTOMERS} are needed" in found.missing

    def test_there_is_no_bound_below_10_events(self):
        found = difference_bounds(*customers((5_000, 1, 9), (5_000, 1, 0)), 0.95)
        assert (found.low, found.high) == (-1.0, 1.0)
        assert found.missing == "9 decisions had it in both groups together and at least 10 are needed"

    def test_nobody_at_all_is_too_early(self):
        found = difference_bounds(np.zeros((0, 2)), np.zeros((0, 2)), 0.95)
        assert np.isnan(found.value)
        assert "0 customers" in found.missing

    def test_a_small_group_without_an_event_is_no_proof(self):
        """12 of 3,000 against none of 150, where chance alone gives none with probability exp(-.6): the errors of the
        two groups alone make it 3.5 errors, those at their common rate .7."""
        found = difference_bounds(*customers((3_000, 1, 12), (150, 1, 0)), 0.95)
        assert found.value / np.sqrt(0.004 * 0.996 / 3_000) > 3.4
        assert found.low < 0.0

    @pytest.mark.parametrize(("events", "decisions"), [((3, 2), (4, 2)), ((3, 3), (3, 3)), ((3,), (3,))])
    def test_counts_of_other_shapes_are_refused(self, events, decisions):
        with pytest.raises(InputError, match="customers, 2"):
            difference_bounds(np.zeros(events), np.zeros(decisions), 0.95)


class TestFalseAlarms:
    LOOKS, CUSTOMERS, CAMPAIGNS = 12, 600, 120

    def campaigns(self):
        """(events, decisions) after each look, without a difference: 5 visits of a customer, of whom a tenth have the
        event at four visits in five. New customers come between looks."""
        rng = np.random.default_rng(11)
        for _ in range(self.CAMPAIGNS):
            group = (rng.random(self.CUSTOMERS) < 0.3).astype(np.int64)
            often = rng.random(self.CUSTOMERS) < 0.1
            here = np.eye(2)[group]
            events = rng.binomial(5, np.where(often, 0.8, 0.0))[:, None] * here
            yield [
                (events[:n], 5.0 * here[:n])
                for n in np.linspace(self.CUSTOMERS // self.LOOKS, self.CUSTOMERS, self.LOOKS).astype(int)
                if n >= 400
            ] + [(events, 5.0 * here)]

    def test_few_campaigns_without_a_difference_are_ever_called_worse(self):
        """At most 5 % of 120, and three standard errors of .02. The control takes decisions for independent at one
        look's level."""
        broken = wrong = 0
        for looks in self.campaigns():
            broken += any(difference_bounds(*look, 0.95).low > 0.0 for look in looks)
            wrong += any(_unclustered(*look) > 0.0 for look in looks)
        assert broken / self.CAMPAIGNS <= 0.05 + 3 * 0.02
        assert wrong / self.CAMPAIGNS > 0.2


def _unclustered(events, decisions):
    """The 95 % lower bound of one look for independent decisions."""
    rate, n = events.sum(axis=0) / decisions.sum(axis=0), decisions.sum(axis=0)
    return rate[0] - rate[1] - 1.645 * np.sqrt((rate * (1 - rate) / n).sum())

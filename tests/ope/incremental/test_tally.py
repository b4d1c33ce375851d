"""Incremental outcomes: sums and errors by hand, batches in any order, blocks, and bad input."""

import numpy as np
import pytest

from bandit.errors import InputError
from bandit.ope.incremental import Cell, ControlBatch, ControlOptions, IncrementTally, Quotient, ServedBatch
from bandit.ope.incremental.blocks import BlockSums
from tests.ope.incremental.markets import experiment

# One dimension with the options "none" and "ten". Three decisions of two customers got ten, none, ten.
SERVED = ServedBatch(
    customer=np.array([0, 0, 1]),
    outcomes=np.array([[1.0, 50.0], [0.0, 0.0], [1.0, 30.0]]),
    has=np.array([[False, True], [True, False], [False, True]]),
    cost=np.array([[0.0, 5.0], [0.0, 0.0], [0.0, 3.0]]),
)
TEN = np.array([0.8, 0.2, 0.5, 0.5])
CONTROL = ControlBatch(
    customer=np.array([0, 1, 2, 2]),
    outcomes=np.array([[1.0, 40.0], [0.0, 0.0], [1.0, 20.0], [0.0, 0.0]]),
    options=(
        ControlOptions(
            np.stack([1.0 - TEN, TEN], axis=1), np.array([[0.0, 0.8 * 4.0], [0, 0], [0, 0.5 * 2.0], [0, 0]])
        ),
    ),
)


def tally_of(*batches):
    tally = IncrementTally(1, 2, 2, by_option=(0, 1))
    for batch in batches:
        if isinstance(batch, ServedBatch):
            tally.add_served(0, batch)
        else:
            tally.add_control(batch)
    return tally


def part(batch, rows):
    if isinstance(batch, ServedBatch):
        return ServedBatch(batch.customer[rows], batch.outcomes[rows], batch.has[rows], batch.cost[rows])
    options = tuple(ControlOptions(each.probability[rows], each.cost[rows]) for each in batch.options)
    return ControlBatch(batch.customer[rows], batch.outcomes[rows], options)


def added(tally):
    served = Quotient(tally.outcome(0, 0), tally.count(0))
    return served, Quotient(tally.outcome(None, 0), tally.count(None), -1.0)


def value(tally, *quotients):
    return tally.estimates([quotients])[0].value


class TestByHand:
    def test_what_was_added_is_the_difference_of_the_rates_with_errors_by_customer(self):
        """2 / 3 - 2 / 4. By customer, conversions less rate times decisions: -1/3 and 1/3; 1/2, -1/2 and 0. With 5
        customers the variance is 5/4 ((2/9) / 9 + (1/2) / 16)."""
        tally = tally_of(SERVED, CONTROL)
        (estimate,) = tally.estimates([added(tally)])
        assert estimate.value == pytest.approx(2 / 3 - 1 / 2)
        assert estimate.standard_error == pytest.approx(np.sqrt(5 / 4 * (2 / 81 + 1 / 32)))
        assert (estimate.n, estimate.clusters) == (3, 2)
        assert (tally.decisions(0), tally.customers(0), tally.decisions(None), tally.customers(None)) == (3, 2, 4, 3)

    def test_an_option_is_compared_with_the_control_weighted_by_its_probability(self):
        """2 / 2 got ten and bought; (.8 + .5) / 2 would have bought anyway; plainly it were 2 / 4."""
        tally = tally_of(SERVED, CONTROL)
        served = Quotient(tally.weighted(0, 1, 0), tally.weight(0, 1))
        anyway = Quotient(tally.weighted(0, 1, 0, control=True), tally.weight(0, 1, control=True))
        assert value(tally, served) == 1.0
        assert value(tally, anyway) == pytest.approx(0.65)
        revenue = Quotient(tally.weighted(0, 1, 1, control=True), tally.weight(0, 1, control=True))
        assert value(tally, revenue) == pytest.approx((0.8 * 40 + 0.5 * 20) / 2)
        assert tally.effective_conversions(0, 1) == 2.0
        assert tally.effective_conversions(0, 1, control=True) == pytest.approx(1.3**2 / (0.64 + 0.25))
        (estimate,) = tally.estimates([[anyway]])
        assert estimate.effective_sample_size == pytest.approx(2.0**2 / (TEN @ TEN))

    def test_money_on_what_came_anyway_is_what_options_would_have_cost_there(self):
        """(.8 x 4 + .5 x 2) / 4 = 1.05 of the 8 / 3 that was spent; as a share .39375."""
        tally = tally_of(SERVED, CONTROL)
        wasted = Quotient(tally.total_cost(0, control=True), tally.count(None))
        spent = Quotient(tally.total_cost(0), tally.count(0))
        assert value(tally, wasted) == pytest.approx(1.05)
        assert value(tally, spent) == pytest.approx(8 / 3)
        share = Quotient(wasted.above, wasted.below, 1.0, spent)
        assert value(tally, share) == pytest.approx(1.05 * 3 / 8)
        by_option = [value(tally, Quotient(tally.cost(0, each, control=True), tally.count(None))) for each in (0, 1)]
        assert by_option == [0.0, pytest.approx(1.05)]

    def test_the_error_of_a_share_is_that_of_the_delta_method(self):
        """For small relative errors a and b of independent numbers, the quotient has the error sqrt(a^2 + b^2)."""
        tally = experiment(np.random.default_rng(0))
        wasted = Quotient(tally.total_cost(0, control=True), tally.count(None))
        spent = Quotient(tally.total_cost(0), tally.count(0))
        above, below, share = (
            tally.estimates([[each]])[0] for each in (wasted, spent, Quotient(wasted.above, wasted.below, 1.0, spent))
        )
        relative = [each.standard_error / each.value for each in (above, below, share)]
        assert relative[2] == pytest.approx(np.hypot(*relative[:2]), rel=1e-3)

    def test_a_share_of_nothing_is_not_defined(self):
        nothing = ServedBatch(SERVED.customer, SERVED.outcomes * 0.0, SERVED.has, SERVED.cost * 0.0)
        tally = tally_of(nothing, CONTROL)
        anyway, served = (Quotient(tally.outcome(side, 0), tally.count(side)) for side in (None, 0))
        (estimate,) = tally.estimates([[Quotient(anyway.above, anyway.below, 1.0, served)]])
        assert np.isnan(estimate.value)
        assert (estimate.low, estimate.high) == (-np.inf, np.inf)


class TestStreaming:
    def test_batches_in_any_order_give_the_same_sums(self):
        whole = tally_of(SERVED, CONTROL)
        parts = [part(CONTROL, slice(2, 4)), part(SERVED, [2]), part(SERVED, slice(0, 2)), part(CONTROL, [1, 0])]
        split = tally_of(*parts)
        for statistic in (added(whole), added(whole)[:1]):
            one, other = (each.estimates([statistic])[0] for each in (whole, split))
            assert (other.value, other.low, other.high) == pytest.approx((one.value, one.low, one.high))

    def test_blocks_of_customers_have_the_errors_of_customers(self):
        """20,000 customers of one decision in 8,192 blocks: the error sqrt(p (1 - p) / n) is known to .8 % then; three
        times that. Of two copies
        of each decision by the same customer the error is the same; by decision it would be smaller by sqrt(2)."""
        bought = np.random.default_rng(1).random(20_000) < 0.2
        for copies in (1, 2):
            customer = np.tile(np.arange(20_000), copies)
            outcomes = np.tile(bought, copies)[:, None].astype(np.float64)
            tally = IncrementTally(1, 1, 0)
            empty = np.zeros((len(customer), 0))
            tally.add_served(0, ServedBatch(customer, outcomes, empty > 0.0, empty))
            (estimate,) = tally.estimates([[Quotient(tally.outcome(0, 0), tally.count(0))]])
            assert estimate.clusters == 20_000
            p = bought.mean()
            assert estimate.standard_error == pytest.approx(np.sqrt(p * (1 - p) / 20_000), rel=0.024)
        assert BlockSums(2).blocks == 8_192
        assert BlockSums(10_000).blocks == (1 << 24) // 10_000

    def test_intervals_of_several_statistics_hold_together(self):
        """Two are wider than one; those for every look are wider than those for one look."""
        tally = experiment(np.random.default_rng(3))
        one = added(tally)
        other = (Quotient(tally.total_cost(0, control=True), tally.count(None)),)
        for interval in ("skew", "anytime-skew"):
            alone, (joint, _) = tally.estimates([one], 0.95, interval)[0], tally.estimates([one, other], 0.95, interval)
            assert joint.value == alone.value
            assert joint.high - joint.low > alone.high - alone.low
        once, daily = (tally.estimates([one], 0.95, each)[0] for each in ("skew", "anytime-skew"))
        assert daily.high - daily.low > once.high - once.low

    def test_a_group_whose_choices_are_not_always_known_has_no_options(self):
        tally = tally_of(SERVED, CONTROL)
        assert tally.knows_options(0)
        tally.add_control(ControlBatch(np.array([3]), np.array([[1.0, 9.0]]), (None,)))
        assert not tally.knows_options(0)
        assert value(tally, Quotient(tally.outcome(None, 0), tally.count(None))) == pytest.approx(3 / 5)


class TestBadInput:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"customer": np.array([0, 1])}, "there are 2 customers"),
            ({"customer": np.array([0.0, 0.0, 1.0])}, "number the customers first"),
            ({"customer": np.array([0, -1, 1])}, "number the customers from 0"),
            ({"outcomes": np.array([[1.0, np.nan], [0.0, 0.0], [1.0, 1.0]])}, "not finite in row 0"),
            ({"has": np.ones((3, 2))}, "has is float64"),
            ({"has": np.ones((3, 3), dtype=bool)}, "one column an option"),
            ({"cost": np.array([[0.0, 5.0], [0.0, 1.0], [0.0, 3.0]])}, "does not have in row 1"),
        ],
    )
    def test_wrong_columns_of_a_group_are_refused(self, changes, words):
        columns = {name: getattr(SERVED, name) for name in ("customer", "outcomes", "has", "cost")}
        with pytest.raises(InputError, match=words):
            ServedBatch(**(columns | changes))

    @pytest.mark.parametrize(
        ("probability", "cost", "words"),
        [
            (np.array([[0.5, 1.1]]), np.zeros((1, 2)), "outside"),
            (np.array([[0.5, -0.1]]), np.zeros((1, 2)), "outside"),
            (np.array([[0.5, 0.5]]), np.zeros((1, 3)), "one column an option"),
            (np.array([[0.5, 0.5]]), np.array([[0.0, np.inf]]), "not finite"),
        ],
    )
    def test_wrong_probabilities_are_refused(self, probability, cost, words):
        with pytest.raises(InputError, match=words):
            ControlOptions(probability, cost)

    def test_batches_that_do_not_fit_the_tally_are_refused(self):
        with pytest.raises(InputError, match="probabilities of 4 decisions"):
            ControlBatch(np.array([0]), np.array([[1.0, 1.0]]), CONTROL.options)
        with pytest.raises(InputError, match="options of 1 groups for 2"):
            IncrementTally(2, 2, 2).add_control(CONTROL)
        for tally in (IncrementTally(1, 3, 2), IncrementTally(1, 2, 3)):
            with pytest.raises(InputError, match="have 2 measures and 2 options"):
                tally.add_served(0, SERVED)
            with pytest.raises(InputError, match="have 2 measures and 2 options"):
                tally.add_control(CONTROL)
        with pytest.raises(InputError, match="at least one group"):
            IncrementTally(0, 1, 1)
        with pytest.raises(InputError, match="measures by their numbers"):
            IncrementTally(1, 1, 1, by_option=(1,))

    def test_estimates_of_nothing_and_by_unknown_intervals_are_refused(self):
        tally = tally_of(SERVED)
        with pytest.raises(InputError, match="no decisions to compare"):
            tally.estimates([added(tally)])
        with pytest.raises(InputError, match="no decisions to compare"):
            tally.estimates([])
        with pytest.raises(InputError, match='no interval "bootstrap"'):
            tally.estimates([[Quotient(Cell(0, 1), Cell(0, 0))]], 0.95, "bootstrap")
        with pytest.raises(InputError, match="level is 95"):
            tally.estimates([[Quotient(Cell(0, 1), Cell(0, 0))]], 95.0)

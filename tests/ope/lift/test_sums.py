"""Values and differences of groups: by hand, in parts, in any order."""

import numpy as np
import pytest

from bandit.errors import InputError
from bandit.ope.lift import LiftBatch, LiftTally
from tests.ope.lift.experiments import HALVES, favourites

SMALL = LiftBatch(
    reward=[4.0, 2.0, 0.0, 1.0, 3.0, 0.0, 5.0],
    group=[0, 0, 0, 1, 1, 1, 1],
    customer=[1, 1, 2, 3, 4, 4, 5],
    weights=[[1.5, 0.5], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.5, 1.5], [1.0, 1.0], [0.5, 1.5]],
)
"""Group 0 has customers 1 and 2, group 1 customers 3, 4 and 5."""
KINDS = [("means", "decision"), ("means", "customer"), ("balanced", "decision"), ("balanced", "customer")]


def sums_of(*batches, shares=HALVES):
    tally = LiftTally(shares, weighted=batches[0].weights is not None)
    for batch in batches:
        tally.add(batch)
    return tally.overall


def numbers(sums, groups=2):
    """Every number that the sums give, as an array."""
    pairs = [(a, b) for a in range(groups) for b in range(groups) if a != b]
    found = [
        each
        for method, unit in KINDS
        for interval in ("skew", "normal", "anytime", "anytime-skew")
        for each in sums.differences(pairs, method, unit, interval=interval)
    ]
    return np.array(
        [
            [
                x.estimate.value,
                x.estimate.low,
                x.estimate.high,
                x.estimate.effective_sample_size,
                x.p_value or 0,
                x.events,
            ]
            for x in found
        ]
        + [[x.value, x.low, x.high, x.effective_sample_size, x.mean_weight, x.max_weight] for x in sums.calibration()]
    )


@pytest.mark.parametrize(
    ("method", "unit", "values"),
    [
        # 6 / 3 and 9 / 4 per decision; 6 / 2 and 9 / 3 per customer.
        ("means", "decision", (2.0, 2.25)),
        ("means", "customer", (3.0, 3.0)),
        # Group 0: 6 + 2 + 0 + 1 + 1.5 + 0 + 2.5 = 13 over weights of 6.5; group 1: 2 + 2 + 1 + 4.5 + 7.5 = 17 over 7.5.
        ("balanced", "decision", (2.0, 17 / 7.5)),
        # Seven decisions of five customers.
        ("balanced", "customer", (2.0 * 7 / 5, 17 / 7.5 * 7 / 5)),
    ],
)
def test_values_and_differences_are_those_by_hand(method, unit, values):
    sums = sums_of(SMALL)
    assert [sums.value(group, method, unit).value for group in (0, 1)] == pytest.approx(values)
    (difference,) = sums.differences([(1, 0)], method, unit)
    assert (difference.group, difference.baseline) == (1, 0)
    assert difference.estimate.value == pytest.approx(values[1] - values[0])


def test_a_trajectorys_value_per_customer_divides_by_the_weights_of_the_last_decisions():
    """By weight (see above) group 0 earns 13, over 1 + 1 + 1 + 1 + .5, and group 1 17, over 1 + 1 + 1 + 1 + 1.5.

    Per decision they are those without trajectories. The fifth customer's only decision is its last one.
    """
    whole = None
    for parts in ([SMALL], parts_of(SMALL, [2, 5, 6]), [SMALL.part([row]) for row in range(7)]):
        tally = LiftTally(HALVES, weighted=True, trajectory=True)
        for part in parts:
            tally.add(part)
        values = [tally.overall.value(group, "balanced", "customer") for group in (0, 1)]
        assert [each.value for each in values] == pytest.approx([13 / 4.5, 17 / 5.5])
        assert tally.overall.value(0, "balanced", "decision").value == pytest.approx(2.0)
        assert tally.overall.value(0, "means", "customer").value == pytest.approx(3.0)
        whole = whole or tally.overall
    merged = None
    for part in parts_of(SMALL, [2, 5, 6]):
        tally = LiftTally(HALVES, weighted=True, trajectory=True)
        tally.add(part)
        merged = tally if merged is None else merged + tally
    found, expected = (
        sums.differences([(0, 1)], "balanced", "customer")[0].estimate for sums in (merged.overall, whole)
    )
    assert found.value == pytest.approx(expected.value)
    assert found.standard_error == pytest.approx(expected.standard_error)
    with pytest.raises(InputError, match="other groups, shares or weights"):
        whole + sums_of(SMALL)


def test_the_error_of_means_is_that_of_the_delta_method_by_customer():
    """Influences by customer, of rewards less 2 over 3 decisions: 2 / 3 and -2 / 3; less 2.25 over 4: -1.25 / 4,
    -1.5 / 4 and 2.75 / 4. The variance is 5 / 4 of the sum of their squares.
    """
    (difference,) = sums_of(SMALL).differences([(1, 0)])
    squares = 2 * (2 / 3) ** 2 + (1.25**2 + 1.5**2 + 2.75**2) / 16
    assert difference.estimate.standard_error == pytest.approx(np.sqrt(5 / 4 * squares))


def test_the_error_of_balanced_weights_is_that_of_the_paired_ratio_by_customer():
    """Influences of a row: w1 (r - V1) / 7.5 - w0 (r - V0) / 6.5, summed by customer."""
    v, total = np.array([2.0, 17 / 7.5]), np.array([6.5, 7.5])
    by_row = SMALL.weights * (SMALL.reward[:, None] - v) / total
    by_customer = np.bincount(SMALL.customer, weights=by_row[:, 1] - by_row[:, 0])[1:]
    (difference,) = sums_of(SMALL).differences([(1, 0)], "balanced")
    assert difference.estimate.standard_error == pytest.approx(np.sqrt(5 / 4 * (by_customer**2).sum()))


def test_an_estimate_says_how_many_customers_and_decisions_it_is_based_on():
    """The smaller group has 3 decisions and 2 customers. Kish's numbers are 6.5^2 / 6.75 and 7.5^2 / 8.75."""
    sums = sums_of(SMALL)
    means, balanced = (sums.differences([(0, 1)], method)[0].estimate for method in ("means", "balanced"))
    assert (means.n, means.clusters, means.effective_sample_size, means.max_weight) == (3, 2, 3.0, 1.0)
    assert (balanced.n, balanced.clusters, balanced.max_weight) == (7, 5, 1.5)
    assert balanced.effective_sample_size == pytest.approx(6.5**2 / 6.75)
    assert balanced.mean_weight == pytest.approx(6.5 / 7)


def test_events_are_the_outcomes_to_be_expected_in_the_smaller_side():
    """Five of seven decisions earned. By means 3 x 5 / 7; binary outcomes count the other two, 3 x 2 / 7.

    The weights differ by 1 in three rows, in one of them for group 0: 1 x 5 / 7.
    """
    sums = sums_of(SMALL)
    assert sums.differences([(0, 1)])[0].events == pytest.approx(15 / 7)
    assert sums.differences([(0, 1)], binary=True)[0].events == pytest.approx(6 / 7)
    assert [sums.differences([pair], "balanced")[0].events for pair in ((0, 1), (1, 0))] == pytest.approx([5 / 7] * 2)


def test_customers_are_counted_once_and_those_in_several_groups_apart():
    batch = LiftBatch([0.0] * 5, [0, 0, 1, 1, 0], [1, 1, 2, 3, 3])
    counts, several = sums_of(batch).customers()
    assert (counts.tolist(), several) == ([1, 1], 1)


def test_where_groups_agree_and_earn_the_same_balanced_weights_have_no_error_at_all():
    """All weights are 1, so both groups' values are the same mean, row by row."""
    rng = np.random.default_rng(0)
    batch = LiftBatch(rng.normal(size=50), rng.integers(0, 2, 50), np.arange(50), weights=np.ones((50, 2)))
    estimate = sums_of(batch).differences([(0, 1)], "balanced")[0].estimate
    assert (estimate.value, estimate.standard_error, estimate.low, estimate.high) == (0.0, 0.0, 0.0, 0.0)
    assert sums_of(batch).differences([(0, 1)])[0].estimate.standard_error > 0.1


def test_a_constant_added_to_all_rewards_changes_no_difference_per_decision():
    e = favourites(np.random.default_rng(3), 200, 0.5, lift=0.1, visits=2)
    more = LiftBatch(e.reward + 100.0, e.group, e.customer, weights=e.batch().weights)
    for method in ("means", "balanced"):
        pair = [each.differences([(0, 1)], method)[0].estimate for each in (e.sums(), sums_of(more))]
        assert pair[1].value == pytest.approx(pair[0].value)
        assert (pair[1].low, pair[1].high) == pytest.approx((pair[0].low, pair[0].high))


def parts_of(batch, cuts):
    return [batch.part(slice(a, b)) for a, b in zip((0, *cuts), (*cuts, len(batch)), strict=True)]


@pytest.mark.parametrize("cuts", [(), (1,), (5, 5, 300), tuple(range(20, 600, 20))])
def test_batches_and_merged_parts_give_what_all_rows_at_once_give(cuts):
    """A customer's rows lie in several parts."""
    batch = favourites(np.random.default_rng(4), 300, 0.5, lift=0.1, visits=2, shares=[0.5, 0.3, 0.2]).batch()
    shares, parts = [0.5, 0.3, 0.2], parts_of(batch, cuts)
    whole = numbers(sums_of(batch, shares=shares), 3)
    assert numbers(sums_of(*parts, shares=shares), 3) == pytest.approx(whole, rel=1e-9, abs=1e-12)
    merged = sums_of(parts[0], shares=shares)
    for part in parts[1:]:
        merged = merged + sums_of(part, shares=shares)
    assert numbers(merged, 3) == pytest.approx(whole, rel=1e-9, abs=1e-12)


def test_the_order_of_rows_changes_nothing():
    rng = np.random.default_rng(5)
    batch = favourites(rng, 300, 0.5, lift=0.1, visits=2).batch()
    shuffled = batch.part(rng.permutation(len(batch)))
    assert numbers(sums_of(shuffled)) == pytest.approx(numbers(sums_of(batch)), rel=1e-9, abs=1e-12)


def test_exchanging_the_groups_changes_the_sign_only():
    e = favourites(np.random.default_rng(6), 300, 0.5, lift=0.1)
    for method, unit in KINDS:
        one, other = (e.sums().differences([pair], method, unit)[0].estimate for pair in ((0, 1), (1, 0)))
        assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


@pytest.mark.parametrize("interval", ["skew", "normal", "anytime-skew"])
def test_intervals_that_hold_together_are_wider_than_each_alone(interval):
    sums = favourites(np.random.default_rng(7), 600, 0.5, shares=[0.4, 0.3, 0.3]).sums()
    alone = [sums.differences([pair], interval=interval)[0] for pair in ((0, 2), (1, 2))]
    together = sums.differences([(0, 2), (1, 2)], interval=interval)
    for one, both in zip(alone, together, strict=True):
        ratio = (both.estimate.high - both.estimate.low) / (one.estimate.high - one.estimate.low)
        # Max-t of two positively correlated statistics is below Bonferroni's 2.24 / 1.96 = 1.14.
        assert 1.05 < ratio < 1.145
        assert both.estimate.level == 0.95
        assert (
            (both.p_value is None) if interval == "anytime-skew" else (one.p_value <= both.p_value <= 2 * one.p_value)
        )


def test_an_adjusted_p_value_is_below_5_per_cent_exactly_where_the_interval_excludes_0():
    for seed in range(40):
        sums = favourites(np.random.default_rng(seed), 300, 0.3, lift=0.1, shares=[0.4, 0.3, 0.3]).sums()
        for method in ("means", "balanced"):
            for each in sums.differences([(0, 2), (1, 2)], method):
                assert (each.p_value < 0.05) == (not each.estimate.low <= 0.0 <= each.estimate.high)


def test_a_group_without_rows_has_no_value_and_an_infinite_interval():
    sums = sums_of(LiftBatch([1.0, 0.0, 2.0], [0, 0, 0], [1, 2, 3]))
    (difference,) = sums.differences([(0, 1)])
    assert np.isnan(difference.estimate.value)
    assert (difference.estimate.low, difference.estimate.high) == (-np.inf, np.inf)
    assert (difference.estimate.clusters, difference.events) == (0, 0.0)


def test_right_weights_are_calibrated_and_exchanged_ones_are_not():
    """Weights of the other group: [in the group] and its weight are then negatively related."""
    e = favourites(np.random.default_rng(8), 400, 0.2)
    assert all(each.low <= 0.0 <= each.high for each in e.sums().calibration())
    batch = e.batch()
    wrong = LiftBatch(e.reward, e.group, e.customer, weights=batch.weights[:, ::-1])
    assert all(each.high < 0.0 for each in sums_of(wrong).calibration())


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda: sums_of(SMALL).differences([(0, 1)], interval="bootstrap"), 'no interval "bootstrap"'),
        (lambda: sums_of(SMALL).differences([(0, 1)], level=1.0), "level is 1.0"),
        (lambda: sums_of(LiftBatch([1.0], [0], [1])).differences([(0, 1)], "balanced"), "no weights"),
        (lambda: sums_of(LiftBatch([1.0], [0], [1])).calibration(), "no weights"),
        (lambda: LiftTally(HALVES).overall.value(0), "no decisions"),
        (lambda: sums_of(LiftBatch([1.0], [2], [1])), "groups range from 2"),
        (lambda: sums_of(LiftBatch([1.0], [0], [1], weights=[[1.0, 1.0, 1.0]])), "3 columns"),
        (lambda: sums_of(SMALL, LiftBatch([1.0], [0], [1])), "some do not"),
        (lambda: sums_of(SMALL) + sums_of(SMALL, shares=[0.4, 0.6]), "other groups"),
        (lambda: sums_of(SMALL) + LiftTally(HALVES).overall, "other groups"),
    ],
)
def test_what_cannot_be_computed_is_refused(use, words):
    with pytest.raises(InputError, match=words):
        use()


def test_no_pairs_give_no_differences():
    assert sums_of(SMALL).differences([]) == ()

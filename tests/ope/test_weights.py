"""Rows that stand for other numbers of decisions than one: what their weights do to estimates and intervals."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import InputError, NumberError
from bandit.ope import ConfidenceSequence, Feedback, Tally, estimate
from bandit.ope.contrast import PolicyContrast
from bandit.ope.sums import SUM_BLOCKS, ClusterSums, RowSums
from tests.ope.tools import SHARP, another_policy, make, numbers, rows

INTERVALS = ("skew", "normal", "bootstrap", "bernstein", "anytime", "anytime-skew")


def tallied(*feedback):
    tally = Tally(len(feedback), SHARP)
    tally.add(*feedback)
    return tally


def everything(tally, interval):
    """All numbers of two policies: values, differences, mean weights."""
    parts = [tally.estimates(0, interval=interval), tally.estimates(1, interval=interval)]
    parts += [tally.difference(1, 0, interval=interval), (tally.mean_weight(1, interval=interval),)]
    if interval in {"skew", "normal"}:
        parts.append(tuple(each.estimate for each in tally.simultaneous([(0, None), (1, 0)], "dr", interval=interval)))
    return np.concatenate([numbers(each) for each in parts])


def test_means_are_weighted_by_hand():
    """Rewards 1, 0, 0 with weights 1, 10, 5: mean 1 / 16; w = 2, 1, 0: snips = 2 / (2 + 10) = 1 / 6, ips = 2 / 16.

    Effective decisions of the target are (2 + 10)^2 / (2^2 + 10^2) = 144 / 104.
    """
    feedback = Feedback([1.0, 0.0, 0.0], [0.5] * 3, [1.0, 0.5, 0.0], weight=[1.0, 10.0, 5.0])
    ips, snips = estimate(feedback)
    assert (ips.value, snips.value) == (pytest.approx(2 / 16), pytest.approx(1 / 6))
    assert (ips.n, ips.mean_weight) == (3, pytest.approx(12 / 16))
    assert ips.effective_sample_size == pytest.approx(144 / 104)
    assert ips.max_weight == 2.0


@pytest.mark.parametrize("groups", [None, 40], ids=["rows", "clusters"])
@pytest.mark.parametrize("interval", INTERVALS)
def test_weights_of_one_are_bit_equal_to_no_weights(groups, interval):
    rng = np.random.default_rng(21)
    plain = make(rng, 300, groups)
    other = another_policy(rng, plain)
    ones = [replace(each, weight=np.ones(300)) for each in (plain, other)]
    assert np.array_equal(
        everything(tallied(plain, other), interval), everything(tallied(*ones), interval), equal_nan=True
    )


@pytest.mark.parametrize("interval", INTERVALS)
def test_a_row_of_weight_three_is_three_rows_of_its_cluster(interval):
    """Clusters, their sums and their sizes are then the same numbers: so is every value and every interval.

    Not so the effective number of rows: one row of weight three says less than three rows.
    """
    rng = np.random.default_rng(22)
    plain = make(rng, 200, 30)
    other, times = another_policy(rng, plain), rng.integers(1, 5, 200)
    weighed = tallied(*(replace(each, weight=times.astype(float)) for each in (plain, other)))
    repeated = tallied(*(rows(each, np.repeat(np.arange(200), times)) for each in (plain, other)))
    one, two = (np.delete(everything(each, interval), 4, axis=1) for each in (weighed, repeated))
    assert one == pytest.approx(two, rel=1e-8, nan_ok=True)
    assert weighed.estimates()[0].n == 200


@pytest.mark.parametrize(
    ("groups", "interval"),
    [
        (None, "skew"),
        (None, "bernstein"),
        pytest.param(30, "bootstrap", marks=pytest.mark.slow),
        (30, "anytime-skew"),
    ],
)
def test_only_ratios_of_weights_matter(groups, interval):
    rng = np.random.default_rng(23)
    plain = make(rng, 200, groups)
    other, weight = another_policy(rng, plain), rng.uniform(0.5, 10.0, 200)
    one, two = (
        everything(tallied(*(replace(each, weight=scale * weight) for each in (plain, other))), interval)
        for scale in (1.0, 37.0)
    )
    assert one == pytest.approx(two, rel=1e-8, nan_ok=True)


@pytest.mark.parametrize("interval", INTERVALS)
def test_single_rows_are_clusters_of_one(interval):
    rng = np.random.default_rng(24)
    plain = replace(make(rng, 250), weight=rng.uniform(0.5, 10.0, 250))
    alone = replace(plain, cluster=np.arange(250))
    one, two = (everything(tallied(each, each), interval) for each in (plain, alone))
    assert one == pytest.approx(two, rel=1e-7, abs=1e-9, nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=2, max_size=5),
    st.lists(st.booleans(), min_size=5, max_size=5),
    st.booleans(),
    st.integers(0, 1_000),
)
def test_parts_merge_to_the_whole_whether_or_not_they_have_weights(sizes, weighted, clustered, seed):
    rng = np.random.default_rng(seed)
    n = 20 + sum(sizes)
    whole = make(rng, n, 12 if clustered else None)
    weight = np.ones(n)
    cuts = [0, *(20 + np.cumsum(sizes)).tolist()]
    for place, (start, stop) in enumerate(pairwise(cuts)):
        if weighted[place]:
            weight[start:stop] = rng.uniform(0.2, 9.0, stop - start)
    whole = replace(whole, weight=weight)
    parts = [tallied(rows(whole, slice(start, stop))) for start, stop in pairwise(cuts)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged + part
    added = Tally(1, SHARP)
    for start, stop in pairwise(cuts):
        added.add(rows(whole, slice(start, stop)))
    for interval in ("skew", "bernstein"):
        want = numbers(tallied(whole).estimates(interval=interval))
        for found in (merged, added):
            assert numbers(found.estimates(interval=interval)) == pytest.approx(want, rel=1e-6, abs=1e-8, nan_ok=True)


def test_blocks_of_weighted_rows_are_every_blocks_th_row_in_any_batches_and_after_a_merge():
    rng = np.random.default_rng(25)
    n = 2 * SUM_BLOCKS + 100
    terms, weight = rng.normal(5.0, 1.0, (2, n)), rng.uniform(0.5, 4.0, n)
    weight[:1_000] = 1.0
    sums, counts = np.zeros((2, SUM_BLOCKS)), np.zeros(SUM_BLOCKS)
    np.add.at(sums, (slice(None), np.arange(n) % SUM_BLOCKS), terms * weight)
    np.add.at(counts, np.arange(n) % SUM_BLOCKS, weight)
    pieces, left, right, alone = RowSums(2), RowSums(2), RowSums(2), ClusterSums(2)
    pieces.add(terms[:, :1_000])
    pieces.add(terms[:, 1_000:], weight=weight[1_000:])
    left.add(terms[:, :9_999], weight=weight[:9_999])
    right.add(terms[:, 9_999:], weight=weight[9_999:])
    alone.add(terms, np.arange(n), weight)
    for each in (pieces, left + right, alone):
        summary = each.summary()
        assert summary.deviations + summary.mean[:, None] * summary.counts == pytest.approx(sums, rel=1e-9)
        assert summary.counts == pytest.approx(counts, rel=1e-9)
        assert (summary.n, summary.groups) == (n, n)
        assert summary.total == pytest.approx(weight.sum())
        assert summary.squared_counts == pytest.approx((weight**2).sum())
        assert summary.largest_group == pytest.approx(weight.max())
        deviation = (terms - (terms @ weight / weight.sum())[:, None]) * weight
        assert summary.scatter == pytest.approx(deviation @ deviation.T, rel=1e-8)
        assert summary.with_counts == pytest.approx(deviation @ weight, rel=1e-6, abs=1e-6)


def test_a_log_that_was_thinned_where_nothing_was_earned_is_judged_as_the_whole_one():
    """Nine in ten rows without a reward are dropped; the kept ones stand for ten. 400 logs of 4,000 rows, arm 1 of 2.

    The value is .3 x 1 = .3: the mean of 400 weighted estimates must be within 4 errors of it, and 95 % intervals of
    the weighted estimate must cover it in 92 to 98 % of the logs. Without the weights the value is far too high.
    """
    rng = np.random.default_rng(26)
    values, plain, covered = [], [], 0
    for _ in range(400):
        n = 4_000
        arm = rng.integers(0, 2, n)
        reward = (rng.random(n) < np.where(arm == 1, 0.3, 0.15)).astype(float)
        kept = (reward > 0) | (rng.random(n) < 0.1)
        weight = np.where(reward > 0, 1.0, 10.0)[kept]
        feedback = Feedback(reward[kept], np.full(kept.sum(), 0.5), (arm == 1)[kept].astype(float))
        found = estimate(replace(feedback, weight=weight), ("snips",))[0]
        values.append(found.value)
        covered += found.low <= 0.3 <= found.high
        plain.append(estimate(feedback, ("snips",))[0].value)
    error = np.std(values) / 20
    assert abs(np.mean(values) - 0.3) < 4 * error
    assert 0.92 <= covered / 400 <= 0.98
    assert np.mean(plain) > 0.7


def test_the_contrast_of_policies_counts_what_rows_stand_for():
    """|d| = 1, 1 on one side with weights 3, 1: (3 + 1)^2 / (9 + 1) = 1.6; the other side has a row, then two."""
    contrast = PolicyContrast()
    contrast.add(np.array([1.0, 1.0, -1.0, 0.001]), np.array([3.0, 1.0, 2.0, 9.0]))
    assert contrast.size == 1.0
    contrast.add(np.array([-1.0]), np.array([2.0]))
    assert contrast.size == pytest.approx(1.6)


@pytest.mark.parametrize("weight", [[0.0, 1.0], [-1.0, 1.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_weight_that_is_no_finite_number_above_zero_is_rejected(weight):
    with pytest.raises(NumberError, match="weight has"):
        Feedback([1.0, 0.0], [0.5] * 2, [0.5] * 2, weight=weight)


def test_weights_of_another_length_and_other_weights_of_the_other_policy_are_rejected():
    with pytest.raises(InputError, match="weight has 1 rows"):
        Feedback([1.0, 0.0], [0.5] * 2, [0.5] * 2, weight=[2.0])
    one = Feedback([1.0, 0.0], [0.5] * 2, [0.5] * 2, weight=[2.0, 3.0])
    for other in (replace(one, weight=None), replace(one, weight=[2.0, 4.0])):
        with pytest.raises(InputError, match="clusters or weights differ"):
            tallied(one, other)


def test_a_confidence_sequence_takes_no_weights():
    sequence = ConfidenceSequence(reward_range=(0.0, 1.0))
    with pytest.raises(InputError, match="interval anytime"):
        sequence.add(Feedback([1.0, 0.0], [0.5] * 2, [0.5] * 2, weight=[2.0, 3.0]))

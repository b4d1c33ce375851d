"""Sealed tallies: any split of the customers into parts, in any order, gives the numbers of the whole log."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.domain.mixed_numbers import mixed
from bandit.errors import InputError
from bandit.ope import ESTIMATORS, Tally
from bandit.ope.group_moments import GroupMoments
from bandit.ope.sums import SUM_BLOCKS, ClusterSums
from tests.ope import tools

INTERVALS = ("skew", "normal", "bernstein", "anytime", "anytime-skew")
EVERY = tuple(ESTIMATORS.values())
FEW_CUSTOMERS, MANY_CUSTOMERS = 300, 12_000


def hashes(n):
    return mixed(np.arange(1, n + 1, dtype=np.uint64))


def tallied(feedback, rows, estimators=EVERY):
    """The tally of some rows, its customers numbered in the order in which they appear, as a part of a log has them."""
    ids, places = np.unique(feedback[0].cluster[rows], return_inverse=True)
    tally = Tally(len(feedback), estimators)
    parts = [tools.rows(each, rows) for each in feedback]
    for part in parts:
        object.__setattr__(part, "cluster", places.astype(np.int64))
    tally.add(*parts)
    return tally, hashes(int(feedback[0].cluster.max()) + 1)[ids]


def sealed_in_parts(feedback, part_of_customer, order, estimators=EVERY):
    """The merge of the sealed tallies of parts, in the order given."""
    total = None
    for part in order:
        rows = np.flatnonzero(part_of_customer[feedback[0].cluster] == part)
        if not len(rows):
            continue
        one, keys = tallied(feedback, rows, estimators)
        total = one.sealed(keys) if total is None else total + one.sealed(keys)
    return total


def all_numbers(tally, interval):
    estimates = (*tally.estimates(0, interval=interval), *tally.estimates(1, interval=interval))
    return tools.numbers((*estimates, *tally.difference(1, 0, interval=interval)))


def close(one, other, tolerance=1e-12):
    """Whether numbers agree, relative to themselves or, near 0, to the standard error in their row."""
    size = np.maximum(np.abs(one), np.nan_to_num(one[:, 1:2], posinf=0.0))
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        return bool((same | (np.abs(one - other) <= tolerance * size)).all())


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 7), level=st.sampled_from([0.0, 1e3]))
def test_any_split_of_few_customers_gives_each_estimate_and_interval_of_the_whole(seed, parts, level):
    """Of at most SUM_BLOCKS customers each is a block, so that the sums that are not sealed agree, too."""
    rng = np.random.default_rng(seed)
    first = tools.make(rng, 1_500, groups=FEW_CUSTOMERS, level=level)
    feedback = (first, tools.another_policy(rng, first))
    whole, keys = tallied(feedback, np.arange(len(first)))
    seven = sealed_in_parts(feedback, rng.integers(0, parts, FEW_CUSTOMERS), rng.permutation(parts))
    # Errors of ratios are small differences of squares: rewards around 1,000 deviating by 2 cost 2 log10(500) digits,
    # in the whole as in the parts.
    tolerance = 1e-12 if level == 0.0 else 1e-12 * (level / 2.0) ** 2
    for interval in INTERVALS:
        assert close(all_numbers(whole.sealed(keys), interval), all_numbers(seven, interval), tolerance)
        assert close(all_numbers(whole, interval), all_numbers(seven, interval), tolerance)


def test_the_bootstrap_draws_the_same_customers_however_they_are_split():
    rng = np.random.default_rng(3)
    first = tools.make(rng, 400, groups=60)
    feedback, some = (first, tools.another_policy(rng, first)), (ESTIMATORS["snips"], ESTIMATORS["dr"])
    whole, keys = tallied(feedback, np.arange(len(first)), some)
    seven = sealed_in_parts(feedback, rng.integers(0, 7, 60), range(7), some)
    assert close(all_numbers(whole.sealed(keys), "bootstrap"), all_numbers(seven, "bootstrap"))


@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_split_of_many_customers_gives_the_same_blocks(seed):
    rng = np.random.default_rng(seed)
    first = tools.make(rng, 30_000, groups=MANY_CUSTOMERS)
    feedback = (first, tools.another_policy(rng, first))
    whole, keys = tallied(feedback, np.arange(len(first)))
    one = whole.sealed(keys)
    seven = sealed_in_parts(feedback, rng.integers(0, 7, MANY_CUSTOMERS), rng.permutation(7))
    for interval in INTERVALS:
        assert close(all_numbers(one, interval), all_numbers(seven, interval))
    assert close(all_numbers(whole, "normal"), all_numbers(seven, "normal"))


def test_without_hashes_of_the_keys_the_split_shows():
    """Negative control: customers dealt to blocks by their number in the part give another skewness."""
    rng = np.random.default_rng(4)
    first = tools.make(rng, 30_000, groups=MANY_CUSTOMERS)
    whole, keys = tallied((first, first), np.arange(len(first)))
    assert not close(all_numbers(whole.sealed(keys), "skew"), all_numbers(whole.sealed(keys[::-1].copy()), "skew"))


def test_hashed_blocks_have_all_sums_and_weights():
    sums, n = ClusterSums(1), SUM_BLOCKS + 5
    sums.add(np.arange(float(n))[None], np.arange(n))
    found = GroupMoments.of(sums, hashes(n))
    assert found.keys is None
    assert found.blocks.shape == (2, SUM_BLOCKS)
    assert found.blocks.sum(axis=1) == pytest.approx([n, n * (n - 1) / 2])
    assert found.summary().mean == pytest.approx([(n - 1) / 2])


def test_a_sealed_tally_takes_no_more_rows_and_merges_with_sealed_ones_only():
    first = tools.make(np.random.default_rng(1), 50, groups=10)
    tally, keys = tallied((first, first), np.arange(50))
    with pytest.raises(InputError, match="sealed; add the rows to another one"):
        tally.sealed(keys).add(first, first)
    with pytest.raises(InputError, match="seal both"):
        _ = tally + tally.sealed(keys)

"""Blocks of the streaming sums: the same in any batches, and unbiased for the skewness."""

import numpy as np
import pytest

from bandit.ope.sums import SUM_BLOCKS, ClusterSums, RowSums


def test_blocks_of_rows_are_every_blocks_th_row_in_any_batches_and_after_a_merge():
    rng = np.random.default_rng(9)
    terms = rng.normal(5.0, 1.0, (2, 3 * SUM_BLOCKS + 100))
    want = np.zeros((2, SUM_BLOCKS))
    np.add.at(want, (slice(None), np.arange(terms.shape[1]) % SUM_BLOCKS), terms)
    whole, pieces, left, right = (RowSums(2) for _ in range(4))
    whole.add(terms)
    for start in range(0, terms.shape[1], 1_000):
        pieces.add(terms[:, start : start + 1_000])
    left.add(terms[:, :9_999])
    right.add(terms[:, 9_999:])
    for each in (whole, pieces, left + right):
        summary = each.summary()
        assert summary.deviations + summary.mean[:, None] * summary.counts == pytest.approx(want, rel=1e-11)
        assert summary.counts.sum() == summary.n


@pytest.mark.parametrize("scatter", [RowSums, ClusterSums])
def test_skewness_from_blocks_is_that_of_all_groups_up_to_its_noise(scatter):
    """The total's skewness is 2 / sqrt(n) for exponential rows; blocks add noise of sqrt(15) / SUM_BLOCKS = .0005."""
    rng = np.random.default_rng(10)
    rows = rng.exponential(1.0, 3 * SUM_BLOCKS)
    seen = scatter(1)
    seen.add(rows[None], np.arange(len(rows)))
    summary = seen.summary()
    centred = rows - rows.mean()
    exact = np.sum(centred**3) / np.sum(centred**2) ** 1.5
    blocks = np.sum(summary.deviations[0] ** 3) / summary.scatter[0, 0] ** 1.5
    assert summary.deviations.shape == (1, SUM_BLOCKS)
    assert blocks == pytest.approx(exact, abs=4 * np.sqrt(15) / SUM_BLOCKS)
    assert exact > 6 * np.sqrt(15) / SUM_BLOCKS


def test_the_sums_of_clusters_are_those_added_so_far_and_0_for_unknown_ones():
    sums = ClusterSums(2)
    assert sums.sums_of(np.array([3])).tolist() == [[0.0, 0.0]]
    sums.add(np.array([[1.0, 2.0, 4.0], [0.5, 0.5, 0.5]]), np.array([7, 3, 7]))
    assert sums.sums_of(np.array([3, 9, 7, 1])).tolist() == [[2.0, 0.5], [0.0, 0.0], [5.0, 1.0], [0.0, 0.0]]

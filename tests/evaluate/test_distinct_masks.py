"""Distinct eligible sets, numbered over batches."""

import numpy as np

from bandit.evaluate.distinct_masks import DistinctMasks


def test_equal_sets_share_a_number_over_batches_and_sets_shared_by_a_batch_need_no_copy():
    """Sets a, b, a, then a for all three rows of a batch, then c and b: three distinct sets."""
    masks = DistinctMasks()
    a, b, c = [True, False, True], [False, True, True], [True, True, True]
    first = masks.number(np.array([a, b, a]))
    shared = masks.number(np.broadcast_to(np.array(a), (3, 3)))
    last = masks.number(np.array([c, b]))
    assert (masks.stack()[first] == [a, b, a]).all()
    assert (masks.stack()[shared] == [a, a, a]).all()
    assert (masks.stack()[last] == [c, b]).all()
    assert len(masks.stack()) == 3


def test_empty_batch_has_no_numbers_and_adds_no_set():
    masks = DistinctMasks()
    assert len(masks.number(np.zeros((0, 3), dtype=bool))) == 0
    masks.number(np.ones((1, 3), dtype=bool))
    assert len(masks.stack()) == 1

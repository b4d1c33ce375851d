"""The effective number of decisions that tell two policies apart, in parts."""

import numpy as np
import pytest

from bandit.ope.contrast import PolicyContrast


def contrast_of(apart):
    contrast = PolicyContrast()
    contrast.add(np.asarray(apart))
    return contrast


def test_merged_contrasts_are_those_of_all_rows():
    """On one side 1, 1 and 2: 4^2 / 6; on the other 1 and 3: 4^2 / 10, which is smaller."""
    both = contrast_of([1.0, -1.0, 1.0]) + contrast_of([2.0, -3.0, 0.0])
    assert both.size == contrast_of([1.0, -1.0, 1.0, 2.0, -3.0, 0.0]).size == pytest.approx(1.6)


def test_a_merge_with_rows_that_agree_changes_nothing():
    assert (contrast_of([1.0, -1.0]) + contrast_of([0.0, 0.001])).size == 1.0

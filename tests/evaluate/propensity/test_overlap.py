"""Overlap of a target policy with an estimated logging policy."""

import numpy as np
import pytest

from bandit.evaluate.propensity.overlap import TargetOverlap


def test_overlap_is_the_share_of_the_target_on_offers_that_were_hardly_made():
    """Of six offers hardly is below .05 / 6 = .0083: half the target of the first row, none of the second."""
    overlap = TargetOverlap()
    old = np.array([[0.004, 0.9, 0.02, 0.02, 0.02, 0.036], [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]])
    new = np.array([[0.5, 0.5, 0.0, 0.0, 0.0, 0.0], [0.3, 0.7, 0.0, 0.0, 0.0, 0.0]])
    assert overlap.share == 0.0
    overlap.add(old[:1], new[:1])
    overlap.add(old[1:], new[1:])
    assert overlap.share == pytest.approx(0.25)
    many = TargetOverlap()
    many.add(np.full((1, 144), 1 / 144), np.full((1, 144), 1 / 144))
    assert many.share == 0.0

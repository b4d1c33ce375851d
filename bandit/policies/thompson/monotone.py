"""Monotone constraints: scores that never fall along an ordered attribute, where the catalogue declares it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandit.catalogue import Catalogue
from bandit.domain import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class MonotoneConstraint:
    """Sequences of offers that differ in one dimension only, from the lowest value of an attribute to the highest.

    `steps` is (sequences, longest), numbers of offers, the last one repeated where a sequence is shorter. `lower` and
    `higher`, of the same shape, are the places in the sequence of the next step of strictly lower or higher value, or
    the step's own place where there is none: options of the same value are not ordered.
    """

    steps: IntArray
    lower: IntArray
    higher: IntArray

    def apply(self, scores: NDArray[np.floating]) -> None:
        """Change (..., N) scores in place so that they are nondecreasing along every sequence.

        The result is the mean of the smallest nondecreasing sequence above the scores and the largest one below them:
        scores that are nondecreasing already do not change.
        """
        sequences = scores[..., self.steps]
        highest = np.maximum.accumulate(sequences, axis=-1)
        lowest = np.minimum.accumulate(sequences[..., ::-1], axis=-1)[..., ::-1]
        here = np.arange(self.steps.shape[1])
        below = np.take_along_axis(highest, np.broadcast_to(self.lower, sequences.shape), axis=-1)
        above = np.take_along_axis(lowest, np.broadcast_to(self.higher, sequences.shape), axis=-1)
        lifted = np.where(self.lower != here, np.maximum(sequences, below), sequences)
        lowered = np.where(self.higher != here, np.minimum(sequences, above), sequences)
        scores[..., self.steps] = 0.5 * (lifted + lowered)


def monotone_constraints(catalogue: Catalogue) -> tuple[MonotoneConstraint, ...]:
    """Return a constraint for each attribute that is declared monotone."""
    found = []
    for place, dimension in enumerate(catalogue.dimensions):
        for attribute, direction in dimension.monotone.items():
            values = np.array(
                [
                    option.rate if attribute == "rate" else option.attributes.get(attribute, 0.0)
                    for option in dimension.options
                ]
            )
            found.append(_constraint(catalogue, place, values if direction == "increasing" else -values))
    return tuple(found)


def _constraint(catalogue: Catalogue, place: int, values: FloatArray) -> MonotoneConstraint:
    """Return the constraint of one dimension; `values` (options,) are to be increasing."""
    height = values[catalogue.options[:, place]]
    others = np.delete(catalogue.options, place, axis=1)
    sequence = np.unique(others, axis=0, return_inverse=True)[1].ravel() if others.shape[1] else np.zeros_like(height)
    sequence = sequence.astype(np.int64)
    order = np.lexsort((height, sequence))
    sizes = np.bincount(sequence)
    ends = np.cumsum(sizes)
    reach = np.minimum((ends - sizes)[:, None] + np.arange(sizes.max()), (ends - 1)[:, None])
    steps = np.asarray(order[reach], dtype=np.int64)
    heights = height[steps]
    place_in_sequence = np.arange(steps.shape[1])
    lower = (heights[:, :, None] > heights[:, None, :]).sum(axis=2) - 1
    higher = steps.shape[1] - (heights[:, :, None] < heights[:, None, :]).sum(axis=2)
    return MonotoneConstraint(
        steps,
        np.where(lower < 0, place_in_sequence, lower),
        np.where(higher >= steps.shape[1], place_in_sequence, higher),
    )

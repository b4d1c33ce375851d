"""Response never falls along an ordered attribute, where the catalogue says so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandit.catalogue import Catalogue
from bandit.domain import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class MonotoneConstraint:
    """Offers in flights that differ in one dimension alone, from the lowest step of an attribute to the highest.

    `steps` is (flights, longest), numbers of offers, a flight's last repeated where it is shorter. `lower` and
    `higher`, of the same shape, are the places in the flight of the next step that is strictly lower or higher, or
    the own place where there is none: options of the same height are not ordered.
    """

    steps: IntArray
    lower: IntArray
    higher: IntArray

    def apply(self, scores: NDArray[np.floating]) -> None:
        """Lift and lower (..., N) scores in place so that they rise along every flight.

        Halfway between the smallest rising curve above the scores and the largest below them: where they rise already
        nothing changes.
        """
        flights = scores[..., self.steps]
        highest = np.maximum.accumulate(flights, axis=-1)
        lowest = np.minimum.accumulate(flights[..., ::-1], axis=-1)[..., ::-1]
        own = np.arange(self.steps.shape[1])
        below = np.take_along_axis(highest, np.broadcast_to(self.lower, flights.shape), axis=-1)
        above = np.take_along_axis(lowest, np.broadcast_to(self.higher, flights.shape), axis=-1)
        lifted = np.where(self.lower != own, np.maximum(flights, below), flights)
        lowered = np.where(self.higher != own, np.minimum(flights, above), flights)
        scores[..., self.steps] = 0.5 * (lifted + lowered)


def ladders(catalogue: Catalogue) -> tuple[MonotoneConstraint, ...]:
    """Return a ladder for each attribute that is declared monotone."""
    found = []
    for place, dimension in enumerate(catalogue.dimensions):
        for attribute, direction in dimension.monotone.items():
            values = np.array(
                [
                    option.rate if attribute == "rate" else option.attributes.get(attribute, 0.0)
                    for option in dimension.options
                ]
            )
            found.append(_ladder(catalogue, place, values if direction == "increasing" else -values))
    return tuple(found)


def _ladder(catalogue: Catalogue, place: int, values: FloatArray) -> MonotoneConstraint:
    height = values[catalogue.options[:, place]]
    others = np.delete(catalogue.options, place, axis=1)
    flight = np.unique(others, axis=0, return_inverse=True)[1].ravel() if others.shape[1] else np.zeros_like(height)
    flight = flight.astype(np.int64)
    order = np.lexsort((height, flight))
    sizes = np.bincount(flight)
    ends = np.cumsum(sizes)
    reach = np.minimum((ends - sizes)[:, None] + np.arange(sizes.max()), (ends - 1)[:, None])
    steps = np.asarray(order[reach], dtype=np.int64)
    climbing = height[steps]
    own = np.arange(steps.shape[1])
    lower = (climbing[:, :, None] > climbing[:, None, :]).sum(axis=2) - 1
    higher = steps.shape[1] - (climbing[:, :, None] < climbing[:, None, :]).sum(axis=2)
    return MonotoneConstraint(steps, np.where(lower < 0, own, lower), np.where(higher >= steps.shape[1], own, higher))

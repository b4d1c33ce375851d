"""Amounts as policies learn them: within the largest that the catalogue calls plausible."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import Log, LoggedBatch, Outcomes
from bandit.domain.logs import LogView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.domain import FloatArray


def within_bounds(outcomes: Outcomes, largest: float) -> Outcomes:
    """Return outcomes whose revenues and rewards, present and previous, are within +-largest; often the same object."""
    previous = outcomes.previous
    columns = (outcomes.revenue, outcomes.reward, previous.revenue, previous.reward)
    if all(_are_within(column, largest) for column in columns):
        return outcomes
    before = replace(previous, revenue=_clipped(previous.revenue, largest), reward=_clipped(previous.reward, largest))
    return replace(outcomes, batch=_bounded(outcomes.batch, largest), previous=before)


@dataclass(frozen=True, slots=True)
class BoundedLog(LogView):
    """A log whose revenues and rewards are within +-`largest`."""

    log: Log
    largest: float

    @property
    def n(self) -> int:
        """The number of decisions of the other log."""
        return self.log.n

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions of the other log, with amounts within the bounds."""
        for batch in self.log.batches(size):
            sound = _are_within(batch.revenue, self.largest) and _are_within(batch.reward, self.largest)
            yield batch if sound else _bounded(batch, self.largest)


def _are_within(column: FloatArray, largest: float) -> bool:
    if len(column) == 1:  # several times faster than an array of one
        return -largest <= column.item() <= largest
    return not len(column) or bool(-largest <= column.min() and column.max() <= largest)


def _bounded(batch: LoggedBatch, largest: float) -> LoggedBatch:
    return replace(batch, revenue=_clipped(batch.revenue, largest), reward=_clipped(batch.reward, largest))


def _clipped(column: FloatArray, largest: float) -> FloatArray:
    return np.clip(column, -largest, largest)

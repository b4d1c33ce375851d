"""A bounded sample of the decisions of a log in parts, in order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bandit.domain import Log, LoggedBatch, LogPart
from bandit.domain.mixed_numbers import UnsignedArray, mixed
from bandit.policies.bounded_outcomes import BoundedLog
from bandit.policies.thompson.part_fit import LogParts, tree_sum
from bandit.policies.thompson.time_steps import ordered_batches, time_span
from bandit.policies.thompson.training_rows import FIT_ROWS, customer_keys

ORDERED_ROWS = 65_536
"""Most decisions that a fit learns in order of time, to find out whether the market moves."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnDecisions:
    """The decisions of the `most` lowest keys, which follow from what a decision is; merge with `+`."""

    most: int
    key: UnsignedArray
    batch: LoggedBatch

    def __add__(self, other: DrawnDecisions) -> DrawnDecisions:
        key, batch = np.concatenate([self.key, other.key]), LoggedBatch.concat([self.batch, other.batch])
        return DrawnDecisions(self.most, key, batch).lowest()

    def lowest(self) -> DrawnDecisions:
        """Return the decisions of the lowest keys."""
        if len(self.key) <= self.most:
            return self
        order = np.sort(np.argsort(self.key, kind="stable")[: self.most])
        return DrawnDecisions(self.most, self.key[order], self.batch.take(order))


def sampled_in_order(parts: LogParts, largest: float) -> Iterator[LoggedBatch]:
    """Yield decisions of a log in order of time: all of them, or of more than ORDERED_ROWS as many, drawn at random.

    They are the same whatever the parts are. `largest` bounds revenues and rewards.
    """
    if parts.log.n <= ORDERED_ROWS:
        yield from ordered_batches(BoundedLog(parts.log, largest), FIT_ROWS)
        return
    drawn = parts.runner.map(_drawn_of_part, parts.parts, None, ORDERED_ROWS, largest)
    found = tree_sum(each for each in drawn if each is not None)
    if found is None:
        return
    order = np.lexsort((found.key, found.batch.time))
    for start in range(0, len(order), FIT_ROWS):
        yield found.batch.take(order[start : start + FIT_ROWS])


def span_of_parts(parts: LogParts) -> tuple[int, int]:
    """Return the first and the last time of a log, (0, 0) for one without times."""
    found = [span for span in parts.runner.map(_span_of_part, parts.parts, None) if span is not None]
    return min((first for first, _ in found), default=0), max((last for _, last in found), default=0)


def _span_of_part(part: LogPart) -> tuple[int, int] | None:
    found = time_span(part.open())
    return None if found == (0, 0) else found


def _drawn_of_part(part: LogPart, most: int, largest: float) -> DrawnDecisions | None:
    held: list[DrawnDecisions] = []
    log: Log = BoundedLog(part.open(), largest)
    limit = np.uint64(np.iinfo(np.uint64).max)
    for whole in log.batches(FIT_ROWS):
        batch = replace(whole, eligible=np.zeros((len(whole), 0), dtype=np.bool_))  # nothing is learned of these
        key = _keys(batch)
        chosen = np.flatnonzero(key <= limit)
        held.append(DrawnDecisions(most, key[chosen], batch.take(chosen)))
        if sum(len(each.key) for each in held) > 2 * most:
            held = [_joined(held)]
            limit = held[0].key.max()
    return _joined(held) if held else None


def _joined(held: list[DrawnDecisions]) -> DrawnDecisions:
    whole = LoggedBatch.concat([each.batch for each in held])
    return DrawnDecisions(held[0].most, np.concatenate([each.key for each in held]), whole).lowest()


def _keys(batch: LoggedBatch) -> UnsignedArray:
    """Return a mixed number for each decision, (n,), by its offer, customer, time and outcome."""
    found = mixed(batch.offer.astype(np.uint64) + np.uint64(1))
    if len(batch.contexts.customers):
        found = mixed(found ^ customer_keys(batch.contexts.customers))
    if len(batch.time):
        found = mixed(found ^ batch.time.astype(np.uint64))
    return mixed(found ^ np.ascontiguousarray(batch.reward, dtype=np.float64).view(np.uint64))

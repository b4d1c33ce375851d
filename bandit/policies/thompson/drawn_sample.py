"""A bounded sample of the outcomes of a log in parts: drawn in each part by what an outcome is, and merged.

The sample is that of `OutcomeSample`, priority sampling, but for what depends on the order of arrival there: the u of
an outcome follows from what it is (`TrainingRows.keys`), and the absence of a response has the importance of the share
of responses in the whole log. So the same outcomes are drawn whatever the parts are, and whoever reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bandit.domain import FloatArray, IntArray
from bandit.domain.mixed_numbers import UnsignedArray, mixed
from bandit.models.arrays import Float32Array
from bandit.policies.thompson.outcome_sample import OutcomeSample, uniforms
from bandit.policies.thompson.training_rows import ModelColumns, TrainingRows


@dataclass(frozen=True, slots=True, eq=False)
class DrawnOutcomes:
    """m outcomes of the highest priority, by falling priority: up to `size` + 1, of which the last is not kept.

    Context columns (m, d); offers, responses or amounts, weights, importances and priorities (m,); times and keys (m,),
    which give their order. Merge with `+`.
    """

    size: int
    contexts: Float32Array
    offer: IntArray
    y: FloatArray
    weight: FloatArray
    importance: FloatArray
    priority: FloatArray
    time: IntArray
    key: UnsignedArray

    def __add__(self, other: DrawnOutcomes) -> DrawnOutcomes:
        return self.joined(other).ordered()

    def joined(self, other: DrawnOutcomes) -> DrawnOutcomes:
        """Return the outcomes of both, one after the other."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__ if name != "size")
        joined = [np.concatenate(pair) for pair in pairs]
        return DrawnOutcomes(self.size, *joined)

    def ordered(self) -> DrawnOutcomes:
        """Return the outcomes of the highest priority; among equal ones those of the lowest key."""
        order = np.lexsort((self.key, -self.priority))[: self.size + 1]
        parts = [getattr(self, name)[order] for name in self.__slots__ if name != "size"]
        return DrawnOutcomes(self.size, *parts)

    def put_into(self, sample: OutcomeSample, n: int, responses: float) -> None:
        """Let a sample begin with these, drawn from n outcomes with so many responses, in order of time."""
        threshold = float(self.priority[self.size]) if len(self.priority) > self.size else 0.0
        kept = np.arange(min(len(self.priority), self.size))
        order = kept[np.lexsort((self.key[kept], self.time[kept]))]
        columns = (self.offer, self.y, np.zeros(len(self.y)), self.weight, self.importance, self.priority)
        values = np.zeros((len(order), len(columns) + 1))
        for place, column in enumerate(columns):
            values[:, place] = column[order]
        values[:, -1] = np.arange(len(order))
        sample.begin_with(self.contexts[order], values, threshold, n, responses)


@dataclass(frozen=True, slots=True)
class SampleDraw:
    """How a sample is drawn: its size, and the importance of an outcome without a response, 1 where all are alike."""

    size: int
    importance: float

    def of(
        self, columns: ModelColumns, parts: Iterable[TrainingRows], again: Iterable[TrainingRows]
    ) -> DrawnOutcomes | None:
        """Return what is drawn of some outcomes, None without any.

        They are read twice: to find the priorities, and for what is kept.
        """
        found = [(rows.keys(), self._importance(rows.y)) for rows in parts]
        keys = np.concatenate([np.zeros(0, dtype=np.uint64), *(key for key, _ in found)])
        importance = np.concatenate([np.zeros(0), *(share for _, share in found)])
        keys = _told_apart(keys)
        priority = importance / uniforms(keys)
        chosen = np.sort(np.lexsort((keys, -priority))[: self.size + 1])
        drawn: DrawnOutcomes | None = None
        start = 0
        for rows in again:
            own = chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, start + len(rows))]
            if len(own):
                more = self._drawn(columns, rows.take(own - start), keys[own], importance[own], priority[own])
                drawn = more if drawn is None else drawn.joined(more)
            start += len(rows)
        return None if drawn is None else drawn.ordered()

    def _importance(self, y: FloatArray) -> FloatArray:
        return np.where(y > 0.0, 1.0, self.importance) if self.importance < 1.0 else np.ones(len(y))

    def _drawn(
        self,
        columns: ModelColumns,
        rows: TrainingRows,
        key: UnsignedArray,
        importance: FloatArray,
        priority: FloatArray,
    ) -> DrawnOutcomes:
        time = rows.time if len(rows.time) else np.zeros(len(rows), dtype=np.int64)
        contexts = rows.contexts.astype(np.float32)
        y = columns.scaled(rows.y)
        return DrawnOutcomes(self.size, contexts, rows.offer, y, rows.counted, importance, priority, time, key)


def _told_apart(keys: UnsignedArray) -> UnsignedArray:
    """Return the keys, (n,), those of outcomes that are alike mixed with how many came before."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(keys)])
    if len(first) == len(keys):
        return keys
    found = keys.copy()
    rank = np.arange(len(keys)) - np.repeat(first, np.diff(np.append(first, len(keys))))
    again = rank > 0
    found[order[again]] = mixed(ordered[again] ^ rank[again].astype(np.uint64))
    return found

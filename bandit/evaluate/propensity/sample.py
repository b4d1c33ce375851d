"""A uniform sample of a log's choices in bounded memory, and its facts as columns with steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import Contexts, ObjectArray
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import fit_scales
from bandit.evaluate.distinct_masks import DistinctMasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, LoggedBatch

NUMERIC_STEPS = 16
"""How many parts of about equally many decisions a numeric fact is cut into."""

_NO_CUSTOMERS: ObjectArray = np.empty(0, dtype=object)


class FactColumns:
    """Facts as numbers: the encoder's columns without the intercept, and for a numeric fact one column a step.

    A step's column is 1 where the fact is above one of its quantiles, so that the penalty makes neighbouring parts
    alike unless the data say otherwise. Quantiles and scales are those of the contexts given.
    """

    def __init__(self, catalogue: Catalogue, contexts: Contexts) -> None:
        self._encoder = Encoder(catalogue, fit_scales(catalogue, contexts), pairs=False)
        self._cuts: dict[str, FloatArray] = {}
        for name, fact in catalogue.facts.items():
            column = contexts.columns[name]
            known = column[~np.isnan(column)] if fact.kind == "numeric" else column[:0]
            if len(known):
                cuts = np.unique(np.quantile(known, np.arange(1, NUMERIC_STEPS) / NUMERIC_STEPS, method="lower"))
                self._cuts[name] = np.asarray(cuts[cuts < known.max()], dtype=np.float64)

    def of(self, contexts: Contexts) -> FloatArray:
        """Return the (n, d) columns."""
        parts = [self._encoder.context_matrix(contexts)[:, 1:]]
        # A comparison with NaN is false: a missing fact is above no quantile; the encoder has a column for missing.
        parts += [(contexts.columns[name][:, None] > cuts).astype(np.float64) for name, cuts in self._cuts.items()]
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class SampledChoices:
    """n sampled decisions: contexts, chosen offers, distinct eligible sets (u, N) and that of each row, shares.

    `shares` (n,) in [0, 1) are those of the rows' customers. `weight` (n,), with a mean of 1, is how much each counts,
    empty where all count alike.
    """

    contexts: Contexts
    offer: IntArray
    masks: BoolArray
    which: IntArray
    shares: FloatArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.offer)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Decisions of the sample with a random number each, (n,): those with the smallest numbers are kept."""

    numbers: FloatArray
    contexts: Contexts
    offer: IntArray
    which: IntArray
    shares: FloatArray
    weight: FloatArray

    def take(self, rows: IntArray | BoolArray) -> _Part:
        return _Part(
            self.numbers[rows],
            self.contexts.take(rows),
            self.offer[rows],
            self.which[rows],
            self.shares[rows],
            self.weight[rows],
        )

    @staticmethod
    def concat(parts: Sequence[_Part]) -> _Part:
        return _Part(
            np.concatenate([part.numbers for part in parts]),
            Contexts.concat([part.contexts for part in parts]),
            np.concatenate([part.offer for part in parts]),
            np.concatenate([part.which for part in parts]),
            np.concatenate([part.shares for part in parts]),
            np.concatenate([part.weight for part in parts]),
        )


class ChoiceSample:
    """At most `most` decisions of those added, each equally likely to be among them, in random order.

    Once a decision of unknown propensity (NaN) is added, only such decisions are kept.
    """

    def __init__(self, most: int, rng: Generator) -> None:
        self.most, self.n_seen = most, 0
        self._rng, self._limit = rng, 1.0
        self._unknown_only = False
        self._masks = DistinctMasks()
        self._parts: list[_Part] = []
        self._kept = 0

    def add(self, batch: LoggedBatch, shares: FloatArray) -> None:
        """Add decisions with the share in [0, 1) of each one's customer."""
        unknown = np.isnan(batch.propensity)
        if unknown.any() and not self._unknown_only:
            self._unknown_only, self._limit, self._kept, self.n_seen = True, 1.0, 0, 0
            self._parts.clear()
        numbers = self._rng.random(len(batch))
        usable = unknown if self._unknown_only else np.ones(len(batch), dtype=np.bool_)
        self.n_seen += int(usable.sum())
        rows = np.flatnonzero(usable & (numbers < self._limit))
        if not len(rows):
            return
        contexts, eligible = batch.contexts.take(rows), batch.eligible
        facts = Contexts(contexts.n, contexts.columns, {}, _NO_CUSTOMERS)
        # All rows of a batch may share one set without a copy each; indexing by rows would make the copies.
        which = self._masks.number(eligible[: len(rows)] if eligible.strides[0] == 0 else eligible[rows])
        self._parts.append(_Part(numbers[rows], facts, batch.offer[rows], which, shares[rows], batch.weights[rows]))
        self._kept += len(rows)
        if self._kept > 2 * self.most:
            self._thin()

    def result(self) -> SampledChoices:
        """Return the sample so far."""
        if self._kept > self.most:
            self._thin()
        if not self._parts:
            none = np.empty(0, dtype=np.int64)
            return SampledChoices(
                Contexts(0, {}, {}, _NO_CUSTOMERS),
                none,
                np.zeros((0, 0), dtype=np.bool_),
                none,
                np.empty(0),
                np.empty(0),
            )
        whole = _Part.concat(self._parts)
        rows = whole.take(np.argsort(whole.numbers))
        weight = np.empty(0) if (rows.weight == 1.0).all() else rows.weight / rows.weight.mean()
        return SampledChoices(rows.contexts, rows.offer, self._masks.stack(), rows.which, rows.shares, weight)

    def _thin(self) -> None:
        """Drop the decisions with the largest numbers, so that `most` are left."""
        numbers = np.concatenate([part.numbers for part in self._parts])
        self._limit = float(np.partition(numbers, self.most)[self.most])
        self._parts = [part.take(part.numbers < self._limit) for part in self._parts]
        self._kept = sum(len(part.offer) for part in self._parts)

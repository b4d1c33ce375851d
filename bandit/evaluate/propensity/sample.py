"""An even sample of a log's choices in bounded memory, and its facts as columns with steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import Contexts, ObjectArray
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import fit_scales

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, LoggedBatch

STEPS = 16
"""Parts of about equally many decisions that a numeric fact is cut into."""

_NOBODY: ObjectArray = np.empty(0, dtype=object)


class FactColumns:
    """Facts as numbers: the encoder's columns without the intercept, and for a numeric fact a column a step.

    A step's column is 1 where the fact is above one of its quantiles, so that effects of neighbouring parts are alike
    unless the data say otherwise. Quantiles and scales are those of the contexts given.
    """

    def __init__(self, catalogue: Catalogue, contexts: Contexts) -> None:
        self._encoder = Encoder(catalogue, fit_scales(catalogue, contexts), pairs=False)
        self._cuts: dict[str, FloatArray] = {}
        for name, fact in catalogue.facts.items():
            column = contexts.columns[name]
            known = column[~np.isnan(column)] if fact.kind == "numeric" else column[:0]
            if len(known):
                cuts = np.unique(np.quantile(known, np.arange(1, STEPS) / STEPS, method="lower"))
                self._cuts[name] = np.asarray(cuts[cuts < known.max()], dtype=np.float64)

    def of(self, contexts: Contexts) -> FloatArray:
        """Return the (n, d) columns."""
        parts = [self._encoder.context_matrix(contexts)[:, 1:]]
        # A comparison with NaN is false: a fact that is missing is above nothing, and has a column that says so.
        parts += [(contexts.columns[name][:, None] > cuts).astype(np.float64) for name, cuts in self._cuts.items()]
        return np.concatenate(parts, axis=1)


class Sample:
    """At most `most` decisions of those added, each equally likely to be among them, in random order.

    Once a decision comes whose propensity nobody knows (NaN), only such decisions are kept.
    """

    def __init__(self, most: int, rng: Generator) -> None:
        self.most, self.n_seen = most, 0
        self._rng, self._highest = rng, 1.0
        self._unknown_only = False
        self._masks: dict[bytes, int] = {}
        self._distinct: list[BoolArray] = []
        self._parts: list[tuple[FloatArray, Contexts, IntArray, IntArray, FloatArray]] = []
        self._kept = 0

    def add(self, batch: LoggedBatch, shares: FloatArray) -> None:
        """Add decisions with the share in [0, 1) of each one's customer."""
        unknown = np.isnan(batch.propensity)
        if unknown.any() and not self._unknown_only:
            self._unknown_only, self._highest, self._kept, self.n_seen = True, 1.0, 0, 0
            self._parts.clear()
        tickets = self._rng.random(len(batch))
        usable = unknown if self._unknown_only else np.ones(len(batch), dtype=np.bool_)
        self.n_seen += int(usable.sum())
        rows = np.flatnonzero(usable & (tickets < self._highest))
        if not len(rows):
            return
        contexts = batch.contexts.take(rows)
        plain = Contexts(contexts.n, contexts.columns, {}, _NOBODY)
        self._parts.append((tickets[rows], plain, batch.offer[rows], self._sets(batch.eligible, rows), shares[rows]))
        self._kept += len(rows)
        if self._kept > 2 * self.most:
            self._thin()

    def rows(self) -> tuple[Contexts, IntArray, BoolArray, IntArray, FloatArray]:
        """Return the contexts, the offers (n,), the distinct masks (u, N), which each had (n,), and the shares (n,)."""
        if self._kept > self.most:
            self._thin()
        if not self._parts:
            none = np.empty(0, dtype=np.int64)
            return Contexts(0, {}, {}, _NOBODY), none, np.zeros((0, 0), dtype=np.bool_), none, np.empty(0)
        order = np.argsort(np.concatenate([part[0] for part in self._parts]))
        names = self._parts[0][1].columns
        columns = {name: np.concatenate([part[1].columns[name] for part in self._parts])[order] for name in names}
        offer, which = (np.concatenate([part[place] for part in self._parts])[order] for place in (2, 3))
        shares = np.concatenate([part[4] for part in self._parts])[order]
        return Contexts(len(order), columns, {}, _NOBODY), offer, np.stack(self._distinct), which, shares

    def _thin(self) -> None:
        tickets = np.concatenate([part[0] for part in self._parts])
        self._highest = float(np.partition(tickets, self.most)[self.most])
        parts, self._parts, self._kept = self._parts, [], 0
        for ticket, contexts, offer, which, shares in parts:
            kept = ticket < self._highest
            self._parts.append((ticket[kept], contexts.take(kept), offer[kept], which[kept], shares[kept]))
            self._kept += int(kept.sum())

    def _sets(self, eligible: BoolArray, rows: IntArray) -> IntArray:
        """Return the number of each row's set of eligible offers."""
        if eligible.strides[0] == 0:  # all rows of the batch share one
            return np.full(len(rows), self._number(eligible[0]), dtype=np.int64)
        packed = np.packbits(eligible[rows], axis=1)
        _, first, back = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True)
        numbers = np.array([self._number(eligible[rows[row]]) for row in first.tolist()], dtype=np.int64)
        return numbers[back]

    def _number(self, mask: BoolArray) -> int:
        key = np.packbits(mask).tobytes()
        if key not in self._masks:
            self._masks[key] = len(self._distinct)
            self._distinct.append(np.array(mask))
        return self._masks[key]

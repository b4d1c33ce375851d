"""The search for crosses in a sample of outcomes: single cells, pairs of cells, signed pairs, pairs with a third."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandit.domain import FloatArray, IntArray
from bandit.encoding.cells import CellColumns, Cells, missing_columns, propose_cells
from bandit.encoding.encoder import Encoder
from bandit.models.forward_selection import log_bayes_factor
from bandit.policies.thompson.crosses import CROSS_SHARES, EXPECTED_CROSSES, Crosses, cell_size

MOST_COMBINED = 80
"""Most cells of one check that are combined; of more, those with the largest effects of their own."""

PAIRS_EXTENDED = 40
"""Pairs of cells, those of the most evidence, that a third check is added to."""

MOST_CANDIDATES = 200
"""Columns, those of the most evidence, that are judged beside each other."""

MIN_SUPPORT = 4.0
"""Least information (the sum of p (1 - p) for responses) of a column that is looked at."""

_CELLS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class LearnedOutcomes:
    """n outcomes as a belief sees them: encoded contexts (n, d), columns of the offers (n, 1 + K).

    `residual` (n,) is outcome minus expectation and `curvature` (n,) the information of each on its score, both times
    the number of outcomes that each counts as, and divided by the dispersion.
    """

    contexts: FloatArray
    columns: FloatArray
    residual: FloatArray
    curvature: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """Cells of one length, their sizes, what they count for n contexts (cells, n), and the evidence (cells, 1 + K)."""

    cells: Cells
    size: FloatArray
    holds: NDArray[np.generic]
    evidence: FloatArray
    variance: FloatArray


class CrossSearch:
    """Looks for crosses that a belief lacks; `deviation` is the prior deviation of a cross's weight."""

    def __init__(self, encoder: Encoder, learned: LearnedOutcomes, deviation: float) -> None:
        """Prepare the cells of one check."""
        self._encoder, self._learned = encoder, learned
        self._deviations = deviation * np.array(CROSS_SHARES)
        columns = learned.columns
        self._scores = (learned.residual[:, None] * columns).astype(np.float32)
        self._information = (learned.curvature[:, None] * columns**2).astype(np.float32)
        cells, self._fact = propose_cells(encoder, learned.contexts)
        self._cells = cells
        self._holds = np.ascontiguousarray(CellColumns(cells, encoder).values(learned.contexts).T > 0.0)

    def candidates(self, present: Crosses) -> tuple[Crosses, FloatArray, FloatArray]:
        """Return the most promising crosses that are not present, their penalties and their prior variances."""
        levels = [level for level in self._levels() if len(level.cells)]
        gain: list[FloatArray] = []
        penalties = []
        for level in levels:
            penalty = max(0.0, float(np.log(level.evidence.size / EXPECTED_CROSSES)))
            penalties.append(penalty)
            gain.append((level.evidence - penalty).ravel())
        if not levels:
            return Crosses.none(), np.zeros(0), np.zeros(0)
        k = self._learned.columns.shape[1]
        whole = np.concatenate(gain)
        chosen = np.argsort(-whole, kind="stable")[:MOST_CANDIDATES]
        chosen = chosen[np.isfinite(whole[chosen])]
        of_level = np.repeat(np.arange(len(levels)), [len(each) for each in gain])
        starts = np.concatenate([[0], np.cumsum([len(each) for each in gain])])
        found, kept_penalty, variance = Crosses.none(), [], []
        for number, level in enumerate(levels):
            own = chosen[of_level[chosen] == number] - starts[number]
            cell, target = own // k, own % k
            found = found.joined(Crosses(level.cells.take(cell), target, level.size[cell]))
            kept_penalty.append(np.full(len(own), penalties[number]))
            variance.append(level.variance[cell])
        fresh = _fresh(found, present)
        return found.take(fresh), np.concatenate(kept_penalty)[fresh], np.concatenate(variance)[fresh]

    # -- evidence ----------------------------------------------------------------------------------------------------

    def _levels(self) -> list[_Level]:
        single = self._level(self._cells, self._holds)
        if not len(self._cells):
            return [single]
        first = self._combined(single)
        pairs = self._pairs(first)
        return [single, pairs, self._signed_pairs(first), self._triples(pairs, first)]

    def _level(self, cells: Cells, holds: NDArray[np.generic]) -> _Level:
        """Return the evidence for cells on each option column, before the other weights are integrated out."""
        n_checks = int(cells.n_checks[0]) if len(cells) else 1
        size = _sizes(cells, holds)
        score, information = (np.empty((len(cells), self._scores.shape[1])) for _ in range(2))
        for start in range(0, len(cells), _CELLS_AT_ONCE):
            part = slice(start, start + _CELLS_AT_ONCE)
            found = holds[part].astype(np.float32)
            score[part], information[part] = found @ self._scores, found**2 @ self._information
        score *= size[:, None]
        information *= size[:, None] ** 2
        variance = np.full(len(cells), self._deviations[n_checks - 1] ** 2)
        evidence = log_bayes_factor(score, information, np.broadcast_to(variance[:, None], score.shape))
        return _Level(cells, size, holds, np.where(information >= MIN_SUPPORT, evidence, -np.inf), variance)

    def _combined(self, single: _Level) -> IntArray:
        """Return the places of the cells of one check that are combined with others."""
        if len(self._cells) <= MOST_COMBINED:
            return np.arange(len(self._cells))
        best = np.argsort(-single.evidence.max(axis=1), kind="stable")[:MOST_COMBINED]
        return np.sort(best)

    def _pairs(self, chosen: IntArray) -> _Level:
        one, other = (chosen[each] for each in np.triu_indices(len(chosen), 1))
        apart = self._fact[one] != self._fact[other]
        one, other = one[apart], other[apart]
        holds = self._holds[one] & self._holds[other]
        return self._level(self._cells.take(one).crossed(self._cells.take(other)), holds)

    def _signed_pairs(self, chosen: IntArray) -> _Level:
        """Return the pairs of which both or neither holds: of the two sides of a check one is enough."""
        cells = self._cells
        chosen = chosen[cells.above[chosen, 0]]
        one, other = (chosen[each] for each in np.triu_indices(len(chosen), 1))
        apart = self._fact[one] != self._fact[other]
        one, other = one[apart], other[apart]
        crossed = cells.take(one).crossed(cells.take(other), signed=True)
        known = np.empty((len(cells), len(self._learned.contexts)), dtype=np.int8)
        missing = missing_columns(self._encoder)[cells.column[:, 0]]
        for place, column in enumerate(missing.tolist()):
            known[place] = 1 if column < 0 else self._learned.contexts[:, column] == 0.0
        signs = (2 * self._holds - 1).astype(np.int8) * known
        return self._level(crossed, signs[one] * signs[other])

    def _triples(self, pairs: _Level, chosen: IntArray) -> _Level:
        if not len(pairs.cells):
            return pairs
        best = np.argsort(-pairs.evidence.max(axis=1), kind="stable")[:PAIRS_EXTENDED]
        pair, third = np.repeat(best, len(chosen)), np.tile(chosen, len(best))
        facts = self._encoder.context_fact
        used = facts[pairs.cells.column[pair, :2]]
        apart = (used != self._fact[third][:, None]).all(axis=1)
        pair, third = pair[apart], third[apart]
        cells = pairs.cells.take(pair).crossed(self._cells.take(third))
        # A cell of three checks is found from up to three of its pairs.
        key = np.concatenate([cells.column, cells.threshold, cells.above], axis=1)
        first = np.sort(np.unique(key, axis=0, return_index=True)[1]) if len(key) else np.zeros(0, dtype=np.int64)
        pair, third = pair[first], third[first]
        return self._level(cells.take(first), pairs.holds[pair] & self._holds[third])


def _sizes(cells: Cells, holds: NDArray[np.generic]) -> FloatArray:
    """Return the size of the column of each cell, (cells,); 1 for signed ones, which are as often 1 as -1 or so."""
    return np.where(cells.signed, 1.0, cell_size(np.clip(holds.mean(axis=1), 0.0, 1.0)))


def _fresh(found: Crosses, present: Crosses) -> IntArray:
    """Return the places of the crosses that are not present."""
    have = {_key(present, place) for place in range(len(present))}
    return np.array([place for place in range(len(found)) if _key(found, place) not in have], dtype=np.int64)


def _key(crosses: Crosses, place: int) -> tuple[object, ...]:
    cells = crosses.cells
    parts = (cells.column[place], cells.threshold[place], cells.above[place])
    return (
        int(crosses.target[place]),
        bool(cells.signed[place]),
        *(number for part in parts for number in part.tolist()),
    )

"""The search on one half of the customers: which options and segments are worth confirming on the other half.

An option and a segment are promising where the segment's share among those who respond to the option is above its share
among those whom the baseline gives it, and giving it to the segment earns more than what the baseline gives. Each of
the two is measured in its standard errors, and the smaller one ranks the pair. Here every decision counts as
independent: the numbers only rank, and what is announced rests on the other half alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.audience.cells import MIN_CELL_SHARE
from bandit.evaluate.diagnostics.target import MIN_EVENTS
from bandit.ope.contrast import effective_number

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray
    from bandit.evaluate.audience.cells import SegmentCells
    from bandit.evaluate.audience.scores import OptionScores

MOST_CONFIRMED, MOST_PER_OPTION = 6, 2
"""Most pairs of option and segment that are confirmed, in all and of one option."""

PROMISING = 1.0
"""Standard errors by which both share and gain must be above what is assumed on the searched half."""

MOST_SHOWN = 60
"""Most pairs of option and segment that are looked at besides, to show who responds."""


@dataclass(frozen=True, slots=True)
class AudiencePair:
    """An option and a segment by their numbers; `confirmed` says that the search has chosen it to be confirmed."""

    option: int
    cell: int
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Promise:
    """How promising pairs are: `share` and `gain` (S, O) in standard errors.

    `large` (S,) are segments of enough decisions, and `judged` (S, O) pairs that have enough responses to be judged.
    """

    share: FloatArray
    gain: FloatArray
    large: BoolArray
    judged: BoolArray


class SearchSums:
    """Sums over decisions for S segments and O options, (S, O) each; `in_all` has those over all decisions, (O,)."""

    def __init__(self, cells: SegmentCells, options: int) -> None:
        self._cells = cells
        self.n, self.decisions, self._squared = 0, 0.0, 0.0  # rows, what they stand for, and its squares
        self.count, self._responded = np.zeros(len(cells)), np.zeros(len(cells))
        self._sums = np.zeros((7, len(cells), options))
        self._totals = np.zeros((7, options))

    def add(self, scores: OptionScores) -> None:
        """Add a batch."""
        times = scores.times[:, None]
        given, response, gain, weight = (
            each * times for each in (scores.given, scores.response, scores.gain, scores.weight)
        )
        columns = np.stack([given, response, response**2, gain, gain**2, weight, weight**2])
        for rows, member in self._cells.memberships(scores.contexts):
            stands_for = scores.times[rows]
            self.count += stands_for @ member
            self._responded += (stands_for * scores.responded[rows]) @ member
            self._sums += np.matmul(member.T, columns[:, rows])
        self._totals += columns.sum(axis=1)
        self.n += len(scores.given)
        self.decisions += float(scores.times.sum())
        self._squared += float(scores.times @ scores.times)

    def promise(self) -> Promise:
        """Return how promising each pair is; 0 where nothing can be said."""
        given, response, squares, gain, gain_squares, weight, weight_squares = self._sums
        all_given, all_response, all_squares = self._totals[:3]
        with np.errstate(divide="ignore", invalid="ignore"):
            assumed, share = given / all_given, response / all_response
            # The variance of a quotient by its influence values 1{segment} y - share y.
            variance = (1.0 - 2.0 * share) * squares + share**2 * all_squares
            share_t = (share - assumed) / (np.sqrt(np.maximum(variance, 0.0)) / np.abs(all_response))
            gain_t = gain / np.sqrt(
                np.maximum(gain_squares - gain**2 / (effective_number(self.decisions, self._squared) or 1.0), 0.0)
            )
            # Kish's effective number of decisions that show the option, and how many of them are of the rarer kind.
            part = self._responded / self.count
            events = weight**2 / weight_squares * np.minimum(part, 1.0 - part)[:, None]
        # 0 / 0 says nothing; a difference without any error, as of a segment of all responders, is infinitely clear.
        share_t, gain_t, events = (np.where(np.isnan(each), 0.0, each) for each in (share_t, gain_t, events))
        return Promise(share_t, gain_t, self.count >= MIN_CELL_SHARE * self.decisions, events >= MIN_EVENTS)

    def pairs(self) -> tuple[AudiencePair, ...]:
        """Return the pairs to look at on the other half: those to confirm, then the segments of single facts."""
        promise = self.promise()
        chosen = self._chosen(promise)
        taken = {(each.option, each.cell) for each in chosen}
        return (*chosen, *(each for each in self._shown(promise) if (each.option, each.cell) not in taken))

    @property
    def given(self) -> FloatArray:
        """The sums of the baseline's probabilities of each option in each segment, (S, O)."""
        return np.asarray(self._sums[0])

    @property
    def totals(self) -> FloatArray:
        """The sums of the baseline's probabilities of each option, (O,)."""
        return np.asarray(self._totals[0])

    @property
    def candidates(self) -> int:
        """The number of pairs that are compared."""
        return int(self.promise().large.sum()) * self._totals.shape[1]

    def _chosen(self, promise: Promise) -> list[AudiencePair]:
        """Return the most promising pairs; of one option, none that lies within another that was chosen."""
        possible = promise.large[:, None] & promise.judged
        rank = np.where(possible, np.minimum(promise.share, promise.gain), -np.inf)
        chosen: list[AudiencePair] = []
        for flat in np.argsort(-rank, axis=None, kind="stable").tolist():
            cell, option = divmod(flat, rank.shape[1])
            if rank[cell, option] < PROMISING or len(chosen) == MOST_CONFIRMED:
                break
            own = [each.cell for each in chosen if each.option == option]
            if len(own) < MOST_PER_OPTION and not any(self._cells.includes(each, cell) for each in own):
                chosen.append(AudiencePair(option, cell, confirmed=True))
        return chosen

    def _shown(self, promise: Promise) -> list[AudiencePair]:
        """Return the segments of whole facts, by option; those whose shares are furthest from what is assumed."""
        blocks: dict[tuple[int, int], list[int]] = {}
        for cell in np.flatnonzero(promise.large[: self._cells.singles]).tolist():
            for option in range(promise.share.shape[1]):
                blocks.setdefault((option, self._cells.fact_of(cell)), []).append(cell)
        apart = {key: float(np.abs(promise.share[own, key[0]]).max()) for key, own in blocks.items()}
        found: list[AudiencePair] = []
        for key in sorted(blocks, key=lambda key: (-apart[key], key)):
            if len(blocks[key]) > 1 and len(found) + len(blocks[key]) <= MOST_SHOWN:
                found += [AudiencePair(key[0], cell, confirmed=False) for cell in blocks[key]]
        return found

"""Adds pages of logged decisions to the sums of lift, without the customers seen in several groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import Contexts
from bandit.evaluate.segments import FactSegmentation
from bandit.ope.clusters import ClusterIndex
from bandit.ope.lift import LiftBatch, LiftTally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, LoggedBatch, ObjectArray
    from bandit.evaluate.lift_selection import LiftLogOptions, LiftSelection
    from bandit.store import DecisionColumns
    from bandit.store.available_offers import AvailableOffers


@dataclass(frozen=True, slots=True)
class LiftQuestion:
    """What is added up: the groups with the shares meant, the facts to split by, and whether weeks are split."""

    shares: Mapping[str, float]
    by: tuple[str, ...]
    weeks: bool

    @staticmethod
    def of(selection: LiftSelection, options: LiftLogOptions) -> LiftQuestion:
        """Return the question of a selection."""
        return LiftQuestion(selection.shares, tuple(dict.fromkeys(options.by)), options.weeks)


@dataclass(frozen=True, slots=True, eq=False)
class LiftRead:
    """The sums of a log, its customers in several groups, the order of its segments, and what has no offer.

    `largest_difference` says how well recomputed probabilities fit the log, None without weights. The sums are sealed;
    parts of other customers add with `+`.
    """

    tally: LiftTally
    several: int
    order: Mapping[str, tuple[int, int]]
    left_out: int
    largest_difference: float | None = None

    def __add__(self, other: LiftRead) -> LiftRead:
        return LiftRead(
            self.tally + other.tally,
            self.several + other.several,
            {**self.order, **other.order},
            self.left_out + other.left_out,
        )


class LiftReader:
    """Reads pages of decisions in order; `several` are the customers to leave out."""

    def __init__(
        self,
        question: LiftQuestion,
        catalogue: Catalogue,
        several: frozenset[str],
        segmentations: Sequence[FactSegmentation] | None = None,
        *,
        weighted: bool = False,
    ) -> None:
        """Split facts by `segmentations` where these have their cuts already, else by cuts of the first page."""
        self.question, self._several = question, several
        self.segmentations = (
            [FactSegmentation(catalogue, fact) for fact in question.by] if segmentations is None else segmentations
        )
        self._codes = {name: code for code, name in enumerate(question.shares)}
        self._counts_rewards = catalogue.objective.kind == "reward"
        self._tally = LiftTally(list(question.shares.values()), weighted=weighted, trajectory=weighted)
        self.customers = ClusterIndex()
        self._met: set[str] = set()
        self._left_out = 0
        self._order: dict[str, tuple[int, int]] = {}

    def start(self, pages: Iterable[tuple[AvailableOffers, DecisionColumns]], size: int) -> None:
        """Cut numeric facts by the first `size` decisions of a log, as a page of that size would."""
        if not any(each.kind == "numeric" and each.edges is None for each in self.segmentations):
            return
        seen, parts = 0, []
        for offers, page in pages:
            some = page.take(slice(0, size - seen))
            parts.append(self._single(offers.every(some), some)[0].contexts)
            seen += len(some)
            if seen >= size:
                break
        if parts:
            first = Contexts.concat(parts)
            for each in self.segmentations:
                each.assign(first)
        self._met.clear()

    def add(self, offers: AvailableOffers, page: DecisionColumns, weights: FloatArray | None = None) -> None:
        """Add a page with its rows' weights if there are any."""
        if weights is None:  # a mean of what was earned needs no offer
            logged = offers.every(page)
        else:
            rows, logged = offers.decisions(page)
            self._left_out += len(page) - len(rows)
            page, weights = page.take(rows), weights[rows]
        logged, customer, group, kept = self._single(logged, page)
        ids, _ = self.customers.read(customer, len(customer))
        batch = LiftBatch(
            reward=logged.reward,
            group=np.fromiter(map(self._codes.__getitem__, group), dtype=np.int64, count=len(group)),
            customer=np.empty(0, dtype=np.int64) if ids is None else ids,
            weights=None if weights is None else weights[kept],
            earned=logged.reward != 0.0 if self._counts_rewards else logged.converted,
            time=logged.time if self.question.weeks else None,
        )
        self._tally.add(batch)
        for label, part in self._segments(replace(batch, time=None), logged):
            self._tally.segments.setdefault(label, self._tally.empty()).add(part)

    def result(self, largest_difference: float | None = None) -> LiftRead:
        """Return the sums; nothing is added any more."""
        tally = self._tally.sealed(self.customers.hashes)
        return LiftRead(tally, len(self._met), self._order, self._left_out, largest_difference)

    def _single(
        self, logged: LoggedBatch, page: DecisionColumns
    ) -> tuple[LoggedBatch, ObjectArray, ObjectArray, slice | BoolArray]:
        """Return the decisions of customers seen in one group, their customers and groups, and which rows they are."""
        customer, group = page.customer, page.group
        if not self._several:
            return logged, customer, group, slice(None)
        single = ~np.fromiter(map(self._several.__contains__, customer), dtype=np.bool_, count=len(page))
        self._met.update(customer[~single].tolist())
        return logged.take(np.flatnonzero(single)), customer[single], group[single], single

    def _segments(self, batch: LiftBatch, logged: LoggedBatch) -> Iterator[tuple[str, LiftBatch]]:
        for place, segmentation in enumerate(self.segmentations):
            codes, names = segmentation.assign(logged.contexts)
            for code in np.unique(codes).tolist():
                label = f"{segmentation.fact} = {names[code]}"
                self._order[label] = (place, code)
                yield label, batch.part(codes == code)

"""One reading of a log for several analyses: pages with customers, outcomes, groups and policies in columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from bandit.domain import DecisionLabels, LabelledLog, LabelledOutsideLog
from bandit.errors import InputError
from bandit.evaluate.request import batch_size_of, catalogue_of
from bandit.ope.clusters import ClusterIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, IntArray, Log, LoggedBatch, Progress

    _Labelled: TypeAlias = Iterator[tuple[LoggedBatch, DecisionLabels, bool]]

UNLABELLED = "all"
"""The group and the policy of decisions of a log that does not know them."""


@dataclass(frozen=True, slots=True, eq=False)
class BreakdownPage:
    """n decisions of a log: `customer` (n,) numbers customers from 0, `earned` (n,) says which decisions responded.

    A decision responded if it converted; with the objective "reward", if its reward is not 0. Where the log knows no
    customers, each decision is a customer of its own. `times_known` says whether the times are those of the decisions.
    """

    batch: LoggedBatch
    customer: IntArray
    earned: BoolArray
    labels: DecisionLabels
    times_known: bool

    def __len__(self) -> int:
        return len(self.batch)


class PageReader(Protocol):
    """An analysis that adds up a log page by page."""

    def add(self, page: BreakdownPage) -> None:
        """Add a page."""
        ...


class LogScan:
    """Reads a log page by page for the analyses that need it; each `read` is one pass.

    `passes` is how often the log will be read, for the progress. Memory grows with the number of customers by their
    names only. InputError where the log has no catalogue and none is given, and for an empty log.
    """

    def __init__(
        self, log: Log, catalogue: Catalogue | None = None, *, passes: int = 1, progress: Progress | None = None
    ) -> None:
        self.log = log
        self.catalogue = catalogue_of(log) if catalogue is None else catalogue
        self._rewards = self.catalogue.objective.kind == "reward"
        self._progress, self._done, self._total = progress, 0, passes * (log.n + log.left_out)
        if not log.n:
            raise InputError("the log has no settled decisions to break down; import some, or wait for their outcomes")

    def read(self, readers: Sequence[PageReader], totals: Sequence[PageReader] = ()) -> None:
        """Read the log once, giving every page to all readers.

        `totals` are readers to which the decisions belong whose offer no policy of the catalogue can choose, for what
        the log earned and for sums by weights; in these pages the offers are -1.
        """
        keys = ClusterIndex()
        first = 0
        for page in self._pages(_labelled(self.log, batch_size_of(self.catalogue)), keys, first):
            first += len(page)
            self._give(page, [*readers, *totals])
        if totals:
            for page in self._pages(_labelled_outside(self.log, batch_size_of(self.catalogue)), keys, first):
                self._give(page, totals)

    def _give(self, page: BreakdownPage, readers: Sequence[PageReader]) -> None:
        for reader in readers:
            reader.add(page)
        self._done += len(page)
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _pages(self, labelled: _Labelled, keys: ClusterIndex, first: int) -> Iterator[BreakdownPage]:
        """Yield batches as pages; `first` is the number of decisions before, which are customers of their own."""
        for batch, labels, times_known in labelled:
            ids, _ = keys.read_batch(batch.contexts)
            customer = np.arange(first, first + len(batch)) if ids is None else ids
            first += len(batch)
            earned = batch.reward != 0.0 if self._rewards else batch.converted
            yield BreakdownPage(batch, customer, earned, labels, times_known and len(batch.time) > 0)


def _labelled(log: Log, size: int) -> _Labelled:
    if isinstance(log, LabelledLog):
        for batch, labels in log.labelled(size):
            yield batch, labels, log.times_known
        return
    for batch in log.batches(size):
        same = np.full(len(batch), UNLABELLED, dtype=object)
        yield batch, DecisionLabels(same, same), True


def _labelled_outside(log: Log, size: int) -> _Labelled:
    if isinstance(log, LabelledOutsideLog):
        for batch, labels in log.labelled_outside(size):
            yield batch, labels, log.times_known
        return
    for batch in log.outside(size):
        same = np.full(len(batch), UNLABELLED, dtype=object)
        yield batch, DecisionLabels(same, same), True

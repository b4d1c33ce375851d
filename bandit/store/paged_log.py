"""A log that is read in pages of stored columns: what a database's log and a dataset have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import DecisionLabels
from bandit.store.records import object_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, LoggedBatch, LogPart, OutsideReason
    from bandit.store.available_offers import AvailableOffers
    from bandit.store.records import DecisionColumns, Where
    from bandit.store.translated import LoggedCatalogues


@dataclass(frozen=True, slots=True)
class LogCounts:
    """Numbers of decisions: with an offer that a policy can choose, with another, still open, and not activated.

    `unknown` counts those of all but the last two that have no propensity, where that is counted.
    """

    n: int
    left_out: int
    still_open: int
    not_activated: int
    outside: tuple[OutsideReason, ...]
    unknown: int = 0


class PagedLog(ABC):
    """A `bandit.domain.Log` over pages of stored decisions; a subclass reads the pages and counts them."""

    @property
    @abstractmethod
    def catalogue(self) -> Catalogue:
        """The catalogue whose numbers the offers have."""

    @property
    @abstractmethod
    def notices(self) -> tuple[str, ...]:
        """What was noticed about the log, as sentences without a full stop."""

    @property
    @abstractmethod
    def activation(self) -> str | None:
        """The event without which a decision is left out, None where none is."""

    @property
    @abstractmethod
    def propensities_known(self) -> bool:
        """Whether all decisions that `batches` yields have a propensity."""

    @property
    @abstractmethod
    def times_known(self) -> bool:
        """Whether the times of the decisions are known."""

    @property
    @abstractmethod
    def counts(self) -> LogCounts:
        """The numbers of decisions, which are counted once."""

    @abstractmethod
    def pages(self, size: int) -> Iterator[tuple[AvailableOffers, DecisionColumns]]:
        """Yield all decisions in order, whatever their offer, at most `size` at a time, with what translates them.

        A page is translated before the next one is read.
        """

    @abstractmethod
    def policy_labels(self) -> Mapping[int, str]:
        """Return the label of each policy, by its number."""

    @property
    def n(self) -> int:
        """The number of decisions that `batches` yields."""
        return self.counts.n

    @property
    def left_out(self) -> int:
        """The number of decisions whose offer no policy of the catalogue can choose; `outside` yields them."""
        return self.counts.left_out

    @property
    def outside_reasons(self) -> tuple[OutsideReason, ...]:
        """Why no policy can choose the offers of the `left_out` decisions, with their numbers."""
        return self.counts.outside

    @property
    def still_open(self) -> int:
        """The number of decisions that are left out since their window is not over."""
        return self.counts.still_open

    @property
    def not_activated(self) -> int:
        """The number of decisions, not still open, that are left out since they were never activated."""
        return self.counts.not_activated

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in the order of the log, at most `size` at a time, never an empty batch."""
        for offers, page in self.pages(size):
            batch = offers.inside(page)[1]
            if len(batch):
                yield batch

    def labelled(self, size: int = 65_536) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield the batches with the group of each customer, and the kind and number of each policy."""
        labels = self.policy_labels()
        for offers, page in self.pages(size):
            rows, batch = offers.inside(page)
            if len(batch):
                yield batch, decision_labels(page if len(rows) == len(page) else page.take(rows), labels)

    def outside(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the `left_out` decisions in order, at most `size` at a time; their offer is -1.

        Their costs are those of the options in the catalogue, and for options that it does not have those of the
        version under which they were decided.
        """
        for batch, _ in self.labelled_outside(size):
            yield batch

    def labelled_outside(self, size: int = 65_536) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield what `outside` yields, labelled as `labelled` does."""
        if not self.left_out:
            return
        labels = self.policy_labels()
        for offers, page in self.pages(size):
            columns, batch = offers.outside(page)
            if len(batch):
                yield batch, decision_labels(columns, labels)


class GroupedLog(PagedLog):
    """A log in parts of whole customers, whose groups are compared part by part."""

    @property
    @abstractmethod
    def address(self) -> str:
        """The folder or address of the log."""

    @property
    @abstractmethod
    def catalogues(self) -> LoggedCatalogues:
        """The catalogue versions under which its decisions were made."""

    @property
    @abstractmethod
    def parts(self) -> tuple[LogPart, ...]:
        """The parts, each of which opens as a `GroupedLog` with the filter of this one."""

    @abstractmethod
    def chosen(self, where: Where) -> GroupedLog:
        """Return the log of the decisions that a filter leaves; which are settled depends on the log alone."""

    @abstractmethod
    def read_few(self) -> Iterator[tuple[DecisionColumns, BoolArray, BoolArray]]:
        """Yield all decisions of the filter, with which are settled and which activated; customers, but no facts."""


def decision_labels(columns: DecisionColumns, kinds: Mapping[int, str]) -> DecisionLabels:
    """Return the groups and the policies of some decisions."""
    ids, which = np.unique(columns.policy_id, return_inverse=True)
    names = object_array([kinds.get(number, f"policy {number}") for number in ids.tolist()])
    return DecisionLabels(columns.group, names[which])

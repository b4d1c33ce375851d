"""How many decisions and customers a log has in each group, in numbers that parts of a log add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from bandit.domain import BoolArray, IntArray
    from bandit.store.paged_log import PagedLog
    from bandit.store.records import DecisionColumns, Where
    from bandit.store.translated import LoggedCatalogues


class LoggedGroups(Protocol):
    """What a comparison of groups asks of a log: numbers of decisions and customers under a filter."""

    def decisions_by_group(self, where: Where) -> dict[str, int]:
        """Return the number of decisions by group."""
        ...

    def customers_by_group(self, where: Where) -> tuple[dict[str, int], int]:
        """Return the number of customers by group, and separately the number of those in more than one group."""
        ...

    def customers_in_several_groups(self, where: Where) -> frozenset[str]:
        """Return the customers, in stored form, who have decisions in more than one group."""
        ...

    def weighted(self, where: Where) -> int:
        """Return how many of the decisions stand for more or less than one."""
        ...

    def tally(self, where: Where, through_seq: int) -> tuple[IntArray, IntArray, IntArray]:
        """Return the numbers of decisions by catalogue and offer, as three columns (catalogue id, offer, count)."""
        ...

    def last_seq(self) -> int:
        """Return the number of the newest decision, 0 without any."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class GroupSource:
    """A log whose groups are compared: its name, its numbers, its catalogue versions, and how its decisions are read.

    `open` returns the decisions that a filter leaves.
    """

    path: Path | str
    decisions: LoggedGroups
    catalogues: LoggedCatalogues
    open: Callable[[Where], PagedLog]


class _Cell(NamedTuple):
    """What decisions are counted by."""

    catalogue_id: int
    group: str
    offer: int
    settled: bool
    activated: bool


@dataclass(slots=True, eq=False)
class GroupCounts:
    """The numbers of a log's decisions by group, catalogue version and offer, of which parts add with `+`.

    A `LoggedGroups` for filters of groups and versions, settled or not, activated or not; other filters apply when the
    decisions are added. Customers are counted by what `of_customers` leaves of them, which is the filter that they can
    be asked for. The customers of parts that are added are different.
    """

    of_customers: Where
    decisions: Counter[_Cell] = field(default_factory=Counter)
    with_weights: Counter[_Cell] = field(default_factory=Counter)
    customers: Counter[str] = field(default_factory=Counter)
    several: frozenset[str] = frozenset()
    last: int = 0

    @staticmethod
    def of(pages: Iterable[tuple[DecisionColumns, BoolArray, BoolArray]], of_customers: Where) -> GroupCounts:
        """Count decisions, each page with what of it is settled and what activated."""
        found = GroupCounts(of_customers)
        seen: dict[str, str | None] = {}
        for page, settled, activated in pages:
            found._add(page, settled, activated, seen)
        found.customers = Counter(group for group in seen.values() if group is not None)
        found.several = frozenset(customer for customer, group in seen.items() if group is None)
        return found

    def __add__(self, other: GroupCounts) -> GroupCounts:
        return GroupCounts(
            self.of_customers,
            self.decisions + other.decisions,
            self.with_weights + other.with_weights,
            self.customers + other.customers,
            self.several | other.several,
            max(self.last, other.last),
        )

    def decisions_by_group(self, where: Where) -> dict[str, int]:
        """Return the number of decisions by group."""
        found: Counter[str] = Counter()
        for cell, n in _chosen(self.decisions, where):
            found[cell.group] += n
        return dict(found)

    def customers_by_group(self, where: Where) -> tuple[dict[str, int], int]:
        """Return the number of customers by group, and separately the number of those in more than one group."""
        self._require_same(where)
        return dict(self.customers), len(self.several)

    def customers_in_several_groups(self, where: Where) -> frozenset[str]:
        """Return the customers, in stored form, who have decisions in more than one group."""
        self._require_same(where)
        return self.several

    def weighted(self, where: Where) -> int:
        """Return how many of the decisions stand for more or less than one."""
        return sum(n for _, n in _chosen(self.with_weights, where))

    def tally(self, where: Where, through_seq: int) -> tuple[IntArray, IntArray, IntArray]:  # noqa: ARG002 - as a store
        """Return the numbers of decisions by catalogue and offer, as three columns (catalogue id, offer, count)."""
        found: Counter[tuple[int, int]] = Counter()
        for cell, n in _chosen(self.decisions, where):
            found[cell.catalogue_id, cell.offer] += n
        table = np.array([[*pair, n] for pair, n in found.items()], dtype=np.int64).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]

    def last_seq(self) -> int:
        """Return the number of the newest decision, 0 without any."""
        return self.last

    def _require_same(self, where: Where) -> None:
        given, counted = ((each.groups, each.catalogue_ids) for each in (where, self.of_customers))
        if counted[1] != given[1] or (counted[0] is not None and counted[0] != given[0]):
            raise ValueError("customers were counted by another filter")

    def _add(
        self, page: DecisionColumns, settled: BoolArray, activated: BoolArray, seen: dict[str, str | None]
    ) -> None:
        if not len(page):
            return
        group = page.group.astype(np.str_)
        names, code = np.unique(group, return_inverse=True)
        cells, which = np.unique(
            np.stack([page.catalogue_id, code.reshape(-1), page.offer, settled, activated]), axis=1, return_inverse=True
        )
        kinds = [_Cell(one, str(names[two]), three, bool(four), bool(five)) for one, two, three, four, five in cells.T]
        which = which.reshape(-1)
        for counter, rows in ((self.decisions, slice(None)), (self.with_weights, page.weight != 1.0)):
            numbers = np.bincount(which[rows], minlength=len(kinds))
            counter.update({kind: int(n) for kind, n in zip(kinds, numbers.tolist(), strict=True) if n})
        self.last = max(self.last, int(page.seq[-1]))
        counted = np.flatnonzero(settled & activated & self._counts(page, group))
        pairs = set(zip(page.customer[counted].tolist(), group[counted].tolist(), strict=True))
        for customer, name in pairs:
            if seen.setdefault(customer, name) != name:
                seen[customer] = None

    def _counts(self, page: DecisionColumns, group: np.ndarray[tuple[int], np.dtype[np.str_]]) -> BoolArray:
        where, chosen = self.of_customers, np.ones(len(page), dtype=np.bool_)
        if where.catalogue_ids is not None:
            chosen &= np.isin(page.catalogue_id, where.catalogue_ids)
        if where.groups is not None:
            chosen &= np.isin(group, where.groups)
        return chosen


def _chosen(cells: Counter[_Cell], where: Where) -> Iterator[tuple[_Cell, int]]:
    """Yield the cells that a filter leaves."""
    for cell, n in cells.items():
        if (
            (cell.settled or where.settled_before is None)
            and (cell.activated or where.activation is None)
            and (where.groups is None or cell.group in where.groups)
            and (where.catalogue_ids is None or cell.catalogue_id in where.catalogue_ids)
        ):
            yield cell, n

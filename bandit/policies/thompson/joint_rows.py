"""The outcomes of a part of a log by customer: what the joint fit of population and customers reads, pass by pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bandit.domain import FloatArray, IntArray
from bandit.models.arrays import Float32Array
from bandit.models.joint_fit import JointPass, JointRows
from bandit.policies.thompson.training_rows import ModelColumns, TrainingRows, customer_keys

MOST_PART_CELLS = 32_000_000
"""Most numbers of context columns that a part holds at once: one that has more is read several times."""


MOST_SHARES = 1_024
"""Most times that a part is read in one pass."""


@dataclass(frozen=True, slots=True, eq=False)
class CustomersRows:
    """The outcomes of some customers of a part, with the customers' names and the time of each one's first outcome."""

    joint: JointRows
    names: Sequence[str]
    first: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class PartCustomers:
    """What is known of m customers: names, the times of their first outcomes (m,), and factors (m, 1 + K), float32."""

    names: Sequence[str]
    first: IntArray
    natural: Float32Array
    precision: Float32Array

    @staticmethod
    def joined(parts: Iterable[Sequence[PartCustomers]], columns: int) -> PartCustomers:
        """Return the customers of all parts, in the order in which they first came, and of one time by name."""
        found = [each for part in parts for each in part]
        names = [name for each in found for name in each.names]
        first = np.concatenate([np.zeros(0, dtype=np.int64), *(each.first for each in found)])
        times = first.tolist()
        order = np.array(sorted(range(len(names)), key=lambda place: (times[place], names[place])), dtype=np.int64)
        nothing = np.zeros((0, columns), dtype=np.float32)
        natural = np.concatenate([nothing, *(each.natural for each in found)])[order]
        precision = np.concatenate([nothing, *(each.precision for each in found)])[order]
        return PartCustomers([names[place] for place in order.tolist()], first[order], natural, precision)


def part_customers(rows: CustomersRows, here: JointPass) -> PartCustomers:
    """Return what a pass finds of the customers."""
    found = here.factors(rows.joint)
    natural, precision = found.natural.astype(np.float32), found.precision.astype(np.float32)
    return PartCustomers(rows.names, rows.first, natural, precision)


def joint_rows(read: Callable[[], Iterable[TrainingRows]], columns: ModelColumns) -> Iterator[CustomersRows]:
    """Yield the outcomes of a part by customer, at once or, of very many, for some customers after the other.

    `read` returns the rows anew at every call. Without customers, each outcome is nobody's.
    """
    share, shares = 0, 1
    while share < shares:
        found = _Gathered()
        for rows in read():
            found.add(rows, columns, share, shares)
            if not share and shares < MOST_SHARES and found.cells > MOST_PART_CELLS:
                break
        else:
            yield found.sorted(columns)
            share += 1
            continue
        shares *= 4


class _Gathered:
    """Gathers the columns of outcomes, and numbers their customers as they come."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._customers: list[IntArray] = []
        self._columns: list[FloatArray] = []
        self._rows: list[TrainingRows] = []
        self.cells = 0

    def add(self, rows: TrainingRows, columns: ModelColumns, share: int, shares: int) -> None:
        """Add the outcomes of one of several shares of the customers."""
        if shares > 1:
            keys = customer_keys(rows.customers) if len(rows.customers) else rows.keys()
            rows = rows.take(np.flatnonzero(keys % np.uint64(shares) == share))
        places = self._places
        if len(rows.customers):
            found = [places.setdefault(name, len(places)) for name in rows.customers.tolist()]
            self._customers.append(np.array(found, dtype=np.int64))
        else:
            self._customers.append(np.full(len(rows), -1, dtype=np.int64))
        self._columns.append(columns.columns(rows.contexts))
        self.cells += self._columns[-1].size
        self._rows.append(rows.without_contexts())

    def sorted(self, columns: ModelColumns) -> CustomersRows:
        """Return all of them, by customer and then as they came."""
        customer = np.concatenate([np.zeros(0, dtype=np.int64), *self._customers])
        order = np.argsort(customer, kind="stable")
        customer = customer[order]
        width = len(columns.active) + len(columns.design.targets)
        contexts = np.concatenate([np.zeros((0, width)), *self._columns])[order]
        self._columns.clear()
        offer = np.concatenate([np.zeros(0, dtype=np.int64), *(rows.offer for rows in self._rows)])[order]
        y, age, counted = (
            np.concatenate([np.zeros(0), *parts])[order]
            for parts in zip(*((rows.y, rows.weight, rows.counted) for rows in self._rows), strict=True)
        ) if self._rows else (np.zeros(0),) * 3  # fmt: skip
        time = np.concatenate([np.zeros(0, dtype=np.int64), *(_times(rows) for rows in self._rows)])[order]
        design = columns.design
        joint = JointRows(
            customer,
            y,
            counted,
            np.minimum(counted, age),  # of the decisions that one stands for, one is the customer's own
            lambda part: design.rows(contexts[part], offer[part]),
            lambda part: np.asarray(design.columns[offer[part]]),
        )
        first = np.full(len(self._places), np.iinfo(np.int64).max)
        known = customer >= 0
        np.minimum.at(first, customer[known], time[known])
        return CustomersRows(joint, list(self._places), first)


def _times(rows: TrainingRows) -> IntArray:
    return rows.time if len(rows.time) else np.zeros(len(rows), dtype=np.int64)

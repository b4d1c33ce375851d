"""Customers' rows in memory: all of them, or those that were needed lately while the others are read by key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bandit.domain import IntArray
from bandit.domain.customer_rows import DIGEST_BITS, CustomerRows, CustomerSource
from bandit.errors import PolicyError

INITIAL_CAPACITY = 1_024
"""Rows allocated for customers at first; after that their number doubles."""

MOST_WHOLE = 50_000
"""Most customers that a state holds; of more, it holds a digest, and the rows are stored by the customers' keys."""

KEPT_CUSTOMERS = 65_536
"""Customers in memory above which those are dropped that can be read again."""

_MODULUS = 1 << DIGEST_BITS


class CustomerMemory:
    """The natural means and precisions of customers' own histories, a row (1 + K,) float32 of each for a customer.

    A customer has a place among the rows that are in memory. `n` customers are known; where not all of them are in
    memory, `source` has the others. A row is changed after `touch` only. From MOST_WHOLE customers on, a step of decay
    is noted, and each row follows when it is changed next: what a row is stored as depends on nothing but its
    customer's outcomes and the number of steps of decay before each.

    `version` is the policy's update that the rows are in the state of, `update` the one that changes them at present.
    """

    def __init__(self, columns: int, *, by_key: bool = False) -> None:
        """Start without customers; with `by_key` the rows of many customers can be stored by their keys."""
        self.columns = columns
        self.by_key = by_key
        self.places: dict[str, int] = {}
        self._names: list[str] = []
        self.natural: NDArray[np.float32] = np.zeros((0, columns), dtype=np.float32)
        self.precision: NDArray[np.float32] = np.zeros((0, columns), dtype=np.float32)
        self.decays: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        self.source: CustomerSource | None = None
        self.n = self.version = self.update = 0
        self._number, self._changed, self._epoch = (np.zeros(0, dtype=np.int64) for _ in range(3))
        self._settled = np.zeros(0, dtype=np.bool_)
        self._digest = 0

    def __deepcopy__(self, memo: dict[int, object]) -> CustomerMemory:
        """Return a copy; the source, which changes nothing, is shared."""
        other = CustomerMemory(self.columns, by_key=self.by_key)
        other.places, other._names = dict(self.places), list(self._names)
        other.decays, other.source = self.decays, self.source
        other.n, other.version, other.update, other._digest = self.n, self.version, self.update, self._digest
        other.natural, other.precision = self.natural.copy(), self.precision.copy()
        other._number, other._changed, other._epoch = self._number.copy(), self._changed.copy(), self._epoch.copy()
        other._settled = self._settled.copy()
        return other

    @property
    def is_whole(self) -> bool:
        """Whether the rows of all customers are in memory."""
        return len(self._names) == self.n

    @property
    def is_keyed(self) -> bool:
        """Whether the customers are so many that a state is written without their rows."""
        return self.by_key and self.n > MOST_WHOLE

    # -- places ----------------------------------------------------------------------------------------------------

    def find(self, customers: Sequence[str]) -> IntArray:
        """Return the place of each customer (n,), -1 for one that is not known; reads those not in memory."""
        if len(self._names) < self.n:
            self._read(customers)
        places = self.places
        return np.array([places.get(customer, -1) for customer in customers], dtype=np.int64)

    def find_or_add(self, customers: Sequence[str]) -> IntArray:
        """Return the place of each customer (n,), with a new one of each that is not known."""
        if len(self._names) < self.n:
            self._read(customers)
        places, names = self.places, self._names
        before = len(names)
        for customer in customers:
            if customer not in places:
                places[customer] = len(names)
                names.append(customer)
        self._number_new(before)
        return np.fromiter(map(places.__getitem__, customers), dtype=np.int64, count=len(customers))

    def find_or_add_one(self, customer: str) -> int:
        """Return what `find_or_add` does for one customer."""
        place = self.places.get(customer)
        if place is None:
            place = int(self.find_or_add([customer])[0])
        return place

    def _number_new(self, before: int) -> None:
        """Give the customers at places from `before` on the next numbers, and room."""
        new = len(self._names) - before
        if not new:
            return
        self._make_room()
        part = slice(before, before + new)
        self._number[part] = np.arange(self.n, self.n + new)
        self._changed[part], self._epoch[part], self._settled[part] = self.update, len(self.decays), False
        self.n += new

    def _make_room(self) -> None:
        """Allocate rows for all customers that have a place."""
        n, had = len(self._names), len(self.natural)
        if n <= had:
            return
        room = max(INITIAL_CAPACITY, 2 * had, n)

        def larger(old: NDArray[np.generic]) -> NDArray[np.generic]:
            return np.concatenate([old, np.zeros((room - had, *old.shape[1:]), dtype=old.dtype)])

        self.natural, self.precision = larger(self.natural), larger(self.precision)  # type: ignore[assignment]  # same
        self._number, self._changed, self._epoch = map(larger, (self._number, self._changed, self._epoch))  # type: ignore[assignment]  # dtypes
        self._settled = larger(self._settled)  # type: ignore[assignment]  # as before

    def _read(self, customers: Sequence[str]) -> None:
        """Bring customers that are known and not in memory into it."""
        places = self.places
        if len(customers) == 1:
            missing: Sequence[str] = () if customers[0] in places else customers
        else:
            missing = list(dict.fromkeys(customer for customer in customers if customer not in places))
        if not missing:
            return
        if self.source is None:
            raise PolicyError(
                "the customers' own effects of this state are in the database that it is from; load it from there"
            )
        if len(places) > KEPT_CUSTOMERS:
            needed = [customer for customer in customers if customer in places]
            self.drop_stored(needed)
        found = self.source.read(missing, self.version)
        if len(found):
            self._take(found)

    def _take(self, rows: CustomerRows) -> None:
        """Add rows that are part of the digest."""
        before, n = len(self._names), len(rows)
        if rows.factors.shape[2] != self.columns:
            raise PolicyError("the stored effects of its customers are of other offers; rebuild it from the log")
        self.places.update(zip(rows.customers, range(before, before + n), strict=True))
        self._names.extend(rows.customers)
        self._make_room()
        part = slice(before, before + n)
        self.natural[part], self.precision[part] = rows.factors[:, 0], rows.factors[:, 1]
        self._number[part], self._changed[part], self._epoch[part] = rows.number, rows.version, rows.epoch
        self._settled[part] = True

    def drop_stored(self, needed: Iterable[str] = ()) -> None:
        """Drop the rows that can be read again, but those of the customers that are `needed`."""
        source = self.source
        if source is None:
            return
        saved = source.saved_version()
        if saved > self.version:  # what is stored is newer in part
            return
        n = len(self._names)
        stays = self._changed[:n] > saved
        stays[[self.places[customer] for customer in needed]] = True
        gone = np.flatnonzero(~stays)
        if not len(gone):
            return
        self.settle(gone)
        kept = np.flatnonzero(stays)
        self._names = [self._names[place] for place in kept.tolist()]
        self.places = {customer: place for place, customer in enumerate(self._names)}
        self.natural, self.precision = self.natural[kept], self.precision[kept]
        self._number, self._changed, self._epoch = self._number[kept], self._changed[kept], self._epoch[kept]
        self._settled = self._settled[kept]

    # -- rows --------------------------------------------------------------------------------------------------------

    def rows(self, places: IntArray | slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the natural means and precisions at some places, (n, 1 + K) each, with all steps of decay."""
        natural, precision = self.natural[places], self.precision[places]
        if not len(self.decays):
            return natural, precision
        return self._decayed(natural, self._epoch[places]), self._decayed(precision, self._epoch[places])

    def row(self, place: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what `rows` does at one place, (1 + K,) each."""
        if not len(self.decays) or self._epoch[place] == len(self.decays):
            return self.natural[place], self.precision[place]
        natural, precision = self.rows(slice(place, place + 1))
        return natural[0], precision[0]

    def _decayed(self, rows: NDArray[np.float32], epoch: IntArray) -> NDArray[np.float32]:
        """Return rows after the steps of decay that they have not gone through, each a product as it was made then."""
        rows = rows.copy()
        for step in range(int(epoch.min(initial=len(self.decays))), len(self.decays)):
            rows[epoch <= step] *= self.decays[step]
        return rows

    def touch(self, places: IntArray) -> None:
        """Prepare rows to be changed: they leave the digest, and go through the steps of decay."""
        self._changed[places] = self.update
        settled = np.unique(places[self._settled[places]])
        if len(settled):
            self._digest = (self._digest - self._at(settled).digest()) % _MODULUS
            self._settled[settled] = False
        if len(self.decays):
            behind = np.unique(places)
            behind = behind[self._epoch[behind] < len(self.decays)]
            self.natural[behind], self.precision[behind] = self.rows(behind)
            self._epoch[behind] = len(self.decays)

    def touch_one(self, place: int) -> None:
        """Do what `touch` does for the customer at one place."""
        self._changed[place] = self.update
        if self._settled[place] or len(self.decays):
            self.touch(np.array([place], dtype=np.int64))

    def decay(self, kept: float) -> None:
        """Keep a share of what was learned of every customer."""
        if self.is_keyed:
            self.decays = np.append(self.decays, np.float32(kept))
            return
        self.natural *= np.float32(kept)
        self.precision *= np.float32(kept)

    # -- state -------------------------------------------------------------------------------------------------------

    def settle(self, places: IntArray) -> None:
        """Bring the rows at distinct places into the digest."""
        fresh = places[~self._settled[places]]
        if len(fresh):
            self._digest = (self._digest + self._at(fresh).digest()) % _MODULUS
            self._settled[fresh] = True

    def digest(self) -> int:
        """Return the digest of the rows of all customers."""
        self.settle(np.flatnonzero(~self._settled[: len(self._names)]))
        return self._digest

    def _at(self, places: IntArray) -> CustomerRows:
        """Return the rows at some places as they are stored."""
        return CustomerRows(
            [self._names[place] for place in places.tolist()],
            self._number[places],
            self._changed[places],
            self._epoch[places],
            np.stack([self.natural[places], self.precision[places]], axis=1),
        )

    def changed_after(self, version: int) -> CustomerRows:
        """Return the rows that an update after this one has changed."""
        return self._at(np.flatnonzero(self._changed[: len(self._names)] > version))

    def all_rows(self) -> CustomerRows:
        """Return the rows of all customers, as they are stored, in the order of their numbers."""
        if self.is_whole:
            return self._at(np.argsort(self._number[: self.n], kind="stable"))
        if self.source is None:
            raise PolicyError(
                "the customers' own effects of this state are in the database that it is from; load it from there"
            )
        rows = CustomerMemory(self.columns)
        for part in self.source.all_rows(self.version):
            rows._take(part)
        mine = np.arange(len(self._names))
        at = rows.find_or_add(self._names)
        rows.natural[at], rows.precision[at] = self.natural[mine], self.precision[mine]
        rows._number[at], rows._changed[at] = self._number[mine], self._changed[mine]
        rows._epoch[at] = self._epoch[mine]
        return rows._at(np.argsort(rows._number[: len(rows._names)], kind="stable"))

    def decayed_rows(self) -> CustomerRows:
        """Return what `all_rows` does after all steps of decay, in the epoch 0."""
        rows = self.all_rows()
        factors = self._decayed(rows.factors, rows.epoch) if len(self.decays) else rows.factors
        return replace(rows, factors=factors, epoch=np.zeros_like(rows.epoch))

    def restore(self, rows: CustomerRows, decays: NDArray[np.float32]) -> None:
        """Take these rows, of all customers, in place of what is here."""
        self.places, self._names, self.n, self.decays, self.source = {}, [], len(rows), decays, None
        self.natural, self.precision = (np.zeros((0, self.columns), dtype=np.float32) for _ in range(2))
        self._number, self._changed, self._epoch = (np.zeros(0, dtype=np.int64) for _ in range(3))
        self._settled, self._digest = np.zeros(0, dtype=np.bool_), 0
        self._take(rows)
        self._settled[:] = False

    def restore_keyed(self, n: int, digest: int, decays: NDArray[np.float32]) -> None:
        """Know of n customers whose rows, of this digest, are read from the source."""
        nothing = np.zeros(0, dtype=np.int64)
        self.restore(
            CustomerRows((), nothing, nothing, nothing, np.zeros((0, 2, self.columns), dtype=np.float32)), decays
        )
        self.n, self._digest = n, digest

    def begin_at(self, version: int) -> None:
        """Be in the state after an update, which changed all rows that are in memory."""
        self.version = self.update = version
        self._changed[: len(self._names)] = version

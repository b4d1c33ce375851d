"""The tables of what policies have learned of single customers, where these are too many for the policy's state."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np

from bandit.domain.customer_rows import CustomerRows
from bandit.errors import StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from bandit.store.connection import Connection

KEPT_REPLACED = 65_536
"""Replaced rows that are kept of a policy at least, for processes that decide with an older state."""

PAGE_ROWS = 50_000
"""Rows that are read at once when all are."""

_Row: TypeAlias = tuple[str, int, int, int, bytes]

_ONE = "SELECT customer, number, version, epoch, factors FROM customer_effects WHERE policy_id = ? AND customer = ?"
_SOME = """
SELECT c.customer, c.number, c.version, c.epoch, c.factors
FROM json_each(?) j CROSS JOIN customer_effects c ON c.policy_id = ? AND c.customer = j.value
"""
_BEFORE = """
SELECT customer, number, version, epoch, factors FROM replaced_customer_effects
WHERE policy_id = ? AND customer = ? AND version <= ? AND replaced_at > ?
"""
_PAGE = """
SELECT customer, number, version, epoch, factors FROM customer_effects WHERE policy_id = ? AND customer > ?
ORDER BY customer LIMIT ?
"""
_REACH = "SELECT saved, oldest FROM customer_effects_reach WHERE policy_id = ?"
_SET_REACH = """
INSERT INTO customer_effects_reach (policy_id, saved, oldest) VALUES (?1, ?2, ?3)
ON CONFLICT (policy_id) DO UPDATE SET saved = ?2, oldest = ?3
"""
_REPLACE = """
INSERT INTO replaced_customer_effects (policy_id, customer, replaced_at, number, version, epoch, factors)
SELECT policy_id, customer, ?3, number, version, epoch, factors FROM customer_effects
WHERE policy_id = ?1 AND customer = ?2
"""
_WRITE = """
INSERT OR REPLACE INTO customer_effects (policy_id, customer, number, version, epoch, factors)
VALUES (?, ?, ?, ?, ?, ?)
"""
_OLDEST_KEPT = """
SELECT replaced_at FROM replaced_customer_effects WHERE policy_id = ? ORDER BY replaced_at DESC LIMIT 1 OFFSET ?
"""
_PRUNE = "DELETE FROM replaced_customer_effects WHERE policy_id = ? AND replaced_at < ?"
_DELETE = (
    "DELETE FROM customer_effects WHERE policy_id = ?",
    "DELETE FROM replaced_customer_effects WHERE policy_id = ?",
    "DELETE FROM customer_effects_reach WHERE policy_id = ?",
)


class CustomerEffectsTable:
    """The tables `customer_effects`, `replaced_customer_effects` and `customer_effects_reach`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, policy_id: int) -> StoredCustomerEffects:
        """Return what reads the rows of one policy."""
        return StoredCustomerEffects(self._connection, policy_id)

    def write(self, policy_id: int, version: int, rows: CustomerRows) -> None:
        """Store what has changed in the state after the policy's update `version`; in the caller's transaction.

        The rows that are replaced are kept for a while, for readers in an older state.
        """
        raw = self._connection.raw
        reach = raw.execute(_REACH, (policy_id,)).fetchone()
        oldest = version if reach is None else int(reach[1])
        if reach is not None:
            raw.executemany(_REPLACE, [(policy_id, customer, version) for customer in rows.customers])
        insert_rows(raw, policy_id, rows)
        last = raw.execute(_OLDEST_KEPT, (policy_id, KEPT_REPLACED)).fetchone()
        if last is not None:
            # A reader in the state after the update before needs nothing that was replaced earlier.
            raw.execute(_PRUNE, (policy_id, last[0]))
            oldest = max(oldest, int(last[0]) - 1)
        raw.execute(_SET_REACH, (policy_id, version, oldest))

    def replace(self, policy_id: int, version: int, rows: CustomerRows) -> None:
        """Store the rows of a whole state in place of all that are there; in the caller's transaction."""
        replace_all(self._connection.raw, policy_id, version, rows)


class StoredCustomerEffects:
    """Reads the rows of one policy's customers, as they were in the reader's state."""

    def __init__(self, connection: Connection, policy_id: int) -> None:
        self._connection = connection
        self._policy_id = policy_id

    def read(self, customers: Sequence[str], version: int) -> CustomerRows:
        """Return the rows as they were after an update of the policy, without those of customers that had none then.

        StoreError where that update is too long ago: the reader's state is to be brought to a newer step.
        """
        with self._connection.reading() as raw:
            if len(customers) == 1:
                found = raw.execute(_ONE, (self._policy_id, customers[0])).fetchall()
            else:
                found = raw.execute(_SOME, (msgspec.json.encode(customers).decode(), self._policy_id)).fetchall()
            return _rows(self._as_of(raw, found, version))

    def _as_of(self, raw: sqlite3.Connection, rows: Iterable[_Row], version: int) -> list[_Row]:
        """Return the rows as they were after an update."""
        found: list[_Row] = []
        newer: list[_Row] = []
        for row in rows:
            (found if row[2] <= version else newer).append(row)
        for row in newer:
            before = raw.execute(_BEFORE, (self._policy_id, row[0], version, version)).fetchone()
            if before is not None:
                found.append(before)
            elif version < self._reach(raw)[1]:
                raise StoreError(
                    f"{self._connection.path}: the state of policy {self._policy_id} in this process is too old to "
                    "read customers' effects for; it is being brought to the newest step"
                )
        return found

    def saved_version(self) -> int:
        """Return the update up to which all rows are stored, -1 before any are."""
        with self._connection.reading() as raw:
            return self._reach(raw)[0]

    def _reach(self, raw: sqlite3.Connection) -> tuple[int, int]:
        row = raw.execute(_REACH, (self._policy_id,)).fetchone()
        return (-1, -1) if row is None else (int(row[0]), int(row[1]))

    def all_rows(self, version: int) -> Iterator[CustomerRows]:
        """Yield all rows as they were after an update of the policy, in parts."""
        last = ""
        while True:
            with self._connection.reading() as raw:
                rows = raw.execute(_PAGE, (self._policy_id, last, PAGE_ROWS)).fetchall()
                found = _rows(self._as_of(raw, rows, version))
            if len(found):
                yield found
            if len(rows) < PAGE_ROWS:
                return
            last = rows[-1][0]


def insert_rows(raw: sqlite3.Connection, policy_id: int, rows: CustomerRows) -> None:
    """Insert or replace the rows of some customers."""
    numbers = rows.number.tolist(), rows.version.tolist(), rows.epoch.tolist()
    content = [part.tobytes() for part in np.ascontiguousarray(rows.factors, dtype="<f4")]
    # In the order of the key: each page of a large table is then written once.
    ordered = sorted(zip(rows.customers, *numbers, content, strict=True), key=itemgetter(0))
    raw.executemany(_WRITE, [(policy_id, *row) for row in ordered])


def replace_all(raw: sqlite3.Connection, policy_id: int, version: int, rows: CustomerRows | None) -> None:
    """Replace all rows of a policy by those of the state after its update `version`; None leaves none."""
    for statement in _DELETE:
        raw.execute(statement, (policy_id,))
    if rows is not None:
        insert_rows(raw, policy_id, rows)
        raw.execute(_SET_REACH, (policy_id, version, version))


def _rows(found: Sequence[_Row]) -> CustomerRows:
    customers, number, version, epoch, content = zip(*found, strict=True) if found else ((), (), (), (), ())
    factors = np.frombuffer(b"".join(content), dtype="<f4").astype(np.float32)
    columns = len(factors) // (2 * len(found)) if found else 0
    if len({len(each) for each in content}) > 1 or columns * 2 * len(found) != len(factors):
        raise StoreError("what is stored of single customers is of different lengths, so the file is damaged")
    numbers, versions, epochs = (np.array(column, dtype=np.int64) for column in (number, version, epoch))
    return CustomerRows(customers, numbers, versions, epochs, factors.reshape(len(found), 2, columns))

"""The store: one SQLite file with everything that evaluation, learning and audit need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from bandit.errors import StoreError
from bandit.store.connection import Connection, Durability
from bandit.store.learning.ledger import Ledger
from bandit.store.maintenance import statistics
from bandit.store.maintenance.backup import backup
from bandit.store.maintenance.check import check
from bandit.store.maintenance.copy import BackupReport
from bandit.store.maintenance.deletion import Deletion
from bandit.store.maintenance.journal import Upkeep, runs
from bandit.store.spool.writer import FoldReport, SpooledWriter, SpoolRecovery
from bandit.store.tables.catalogues import Catalogues
from bandit.store.tables.customers import Customers
from bandit.store.tables.decision_reader import DecisionReader
from bandit.store.tables.decision_writer import DecisionWriter
from bandit.store.tables.eligible_sets import EligibleSets
from bandit.store.tables.event_writer import EventWriter
from bandit.store.tables.leases import Held, Leases

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from bandit.store.records import (
        Counts,
    )


class Store:
    """Decisions, events and what was learned of them, in one file; made by `Store.open`.

    Threads may share a store. Several processes may have the file open; writers take turns.
    """

    def __init__(self, connection: Connection, customers: Customers) -> None:
        self._connection = connection
        self.customers = customers
        self.catalogues = Catalogues(connection)
        self.eligible_sets = EligibleSets(connection)
        self.decisions = DecisionReader(connection)
        self.decision_writer = DecisionWriter(connection, customers, self.eligible_sets)
        self.events = EventWriter(connection)
        self.ledger = Ledger(connection, self.decisions)
        self.leases = Leases(connection)
        self.deletion = Deletion(connection)

    @staticmethod
    def open(
        path: str | Path,
        *,
        customer_key: bytes | None = None,
        durability: Durability = "full",
        read_only: bool = False,
        busy_timeout: float = 5.0,
    ) -> Store:
        """Open a store, and create it where there is none; StoreError says why it cannot be.

        With durability "full" a commit survives the loss of power, with "process" the death of the process. Customers
        are written under a hash keyed with `customer_key`, and in the clear without one. `busy_timeout` is in seconds.
        """
        if durability not in {"full", "process"}:
            raise StoreError(f'durability is "full" or "process"; seen "{durability}"')
        connection = Connection(Path(path), durability, busy_timeout, read_only=read_only)
        try:
            return Store(connection, Customers(connection, customer_key))
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing happens the second time."""
        self._connection.close()

    def another(self) -> Store:
        """Open the same file once more, in the same way: another thread's work does not wait for this connection."""
        mine = self._connection
        connection = Connection(mine.path, mine.durability, mine.busy_timeout, read_only=mine.read_only)
        try:
            return Store(connection, self.customers.on(connection))
        except BaseException:
            connection.close()
            raise

    def writer(self) -> SpooledWriter:
        """Return a way in that takes decisions and events beside the database while it cannot be written."""
        return SpooledWriter(self._connection, self.decision_writer, self.events)

    def fold_spools(self) -> FoldReport:
        """Take in what processes that are gone have left beside the database."""
        return SpoolRecovery(self._connection, self.decision_writer, self.events).fold_left()

    def data_version(self) -> int:
        """Return a number that is another once a different connection has written to the file; it costs next to none.

        It is this connection's own, and begins anew with each connection.
        """
        return self._connection.data_version()

    def patience(self, seconds: float) -> AbstractContextManager[None]:
        """Wait at most so long for another's lock inside, instead of `busy_timeout`."""
        return self._connection.patience(seconds)

    def free_within(self, seconds: float) -> AbstractContextManager[bool]:
        """Wait at most so long for other threads' use of this connection, and keep them out; False where they stay."""
        return self._connection.free_within(seconds)

    @property
    def path(self) -> Path:
        """The file."""
        return self._connection.path

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self._connection.read_only

    def transaction(self) -> AbstractContextManager[None]:
        """Write all of what happens inside, or nothing; may be nested."""
        return self._connection.transaction()

    def check(self) -> list[str]:
        """Return what is wrong with the store, in sentences; nothing where it is sound."""
        return check(self._connection)

    def held_leases(self) -> tuple[Held, ...]:
        """Return all leases, also those that have run out."""
        return statistics.held_leases(self._connection)

    def counts(self) -> Counts:
        """Return how much is in the store."""
        return statistics.counts(self._connection)

    def backup(
        self, path: str | Path, *, force: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> BackupReport:
        """Copy a consistent state to a new file while the store is in use, check the copy, and record it.

        StoreError where the file exists, unless `force`.
        """
        return backup(self.path, Path(path), force=force, progress=progress)

    def journal(self) -> tuple[Upkeep, ...]:
        """Return the backups, erasures and retention runs that this store remembers."""
        return runs(self._connection)

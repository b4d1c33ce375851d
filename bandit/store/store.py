"""The store: one SQLite file with the decisions, the events and the ledger of learning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from bandit.errors import StoreError
from bandit.store.chain.anchor import ChainAnchor, head_of
from bandit.store.chain.check import ChainReport, check_chain
from bandit.store.connection import Connection
from bandit.store.customer_hash import hash_for_new
from bandit.store.database_file import file_size, wal_path
from bandit.store.holdings import leaves_nothing_held
from bandit.store.learning.ledger import Ledger
from bandit.store.maintenance import statistics
from bandit.store.maintenance.activity import ActivityReader
from bandit.store.maintenance.backup import backup
from bandit.store.maintenance.check import check
from bandit.store.maintenance.copy import BackupReport
from bandit.store.maintenance.deletion import Deletion
from bandit.store.maintenance.journal import JournalEntry, runs
from bandit.store.maintenance.rekey import rekey
from bandit.store.recent_contexts import RecentContexts
from bandit.store.spool.recovery import FoldReport, SpoolRecovery
from bandit.store.spool.writer import SpooledWriter
from bandit.store.supported_systems import check_system
from bandit.store.tables.carried_policies import CarriedPolicies
from bandit.store.tables.catalogues import Catalogues
from bandit.store.tables.customer_effects import CustomerEffectsTable
from bandit.store.tables.customers import Customers
from bandit.store.tables.decision_arms import DecisionArms
from bandit.store.tables.decision_reader import DecisionReader
from bandit.store.tables.decision_writer import DecisionWriter
from bandit.store.tables.eligible_sets import EligibleSetTable
from bandit.store.tables.event_pages import EventPages
from bandit.store.tables.event_use import EventUseReader
from bandit.store.tables.event_writer import EventWriter
from bandit.store.tables.fact_counts import FactCounts
from bandit.store.tables.implausible_numbers import ImplausibleNumbersReader
from bandit.store.tables.imports import Imports
from bandit.store.tables.leases import Leases
from bandit.store.tables.monitored_decisions import MonitoredDecisions
from bandit.store.tables.repeats import Repeats
from bandit.store.tables.rollout_changes import RolloutChanges
from bandit.store.tables.served_arms import ServedArmsReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from bandit.store.connection_setup import Durability
    from bandit.store.customer_hash import CustomerHash
    from bandit.store.maintenance.delete_rows import StateReplacement
    from bandit.store.records import EventReceipt, EventRows, StoreCounts


class Store:
    """The tables of one database file, opened by `Store.open`.

    Threads may share a store. Several processes may open the file; their writes take turns.
    """

    def __init__(self, connection: Connection, customers: Customers) -> None:
        self._connection = connection
        self.customers = customers
        self.catalogues = Catalogues(connection, customers)
        self.eligible_sets = EligibleSetTable(connection)
        self.decisions = DecisionReader(connection)
        self.fact_counts = FactCounts(connection)
        self.implausible = ImplausibleNumbersReader(connection)
        self.repeats = Repeats(connection)
        self.decision_writer = DecisionWriter(connection, customers, self.eligible_sets, self.repeats)
        self.events = EventWriter(connection, self.repeats, self.decision_writer.latest)
        self.ledger = Ledger(connection, self.decisions)
        self.carried = CarriedPolicies(connection)
        self.customer_effects = CustomerEffectsTable(connection)
        self.decision_arms = DecisionArms(connection)
        self.imports = Imports(connection)
        self.leases = Leases(connection)
        self.rollout_changes = RolloutChanges(connection)
        self.served_arms = ServedArmsReader(connection)
        self.activity = ActivityReader(connection)
        self.monitored = MonitoredDecisions(connection)
        self.event_use = EventUseReader(connection)
        self.event_pages = EventPages(connection)
        self.deletion = Deletion(connection)
        self.recent_contexts = RecentContexts(connection)

    @staticmethod
    def open(
        path: str | Path,
        *,
        customer_key: bytes | None = None,
        durability: Durability = "full",
        read_only: bool = False,
        busy_timeout: float = 5.0,
        unnamed_customers: bool = False,
        create: bool = True,
    ) -> Store:
        """Open a store, or create it if the file does not exist; StoreError if it cannot be used.

        Without `create`, StoreError if there is no file. The path is resolved once: later changes of the working
        directory or of a symbolic link in it change nothing.

        With durability "full" a commit survives a power cut, with "process" a crash of the process. Customers are
        stored under a hash keyed with `customer_key`, or unhashed without one; a key that can be guessed, such as one
        of fewer than 16 bytes, is refused for a new database. `busy_timeout`, in seconds, is how long to wait for
        another process's lock. With `unnamed_customers` the key is not needed, and nothing that names a customer can be
        done.

        >>> from tempfile import TemporaryDirectory
        >>> key = b"a key for an example"
        >>> with TemporaryDirectory() as folder, Store.open(f"{folder}/offers.db", customer_key=key) as store:
        ...     store.counts().decisions, store.check()
        (0, [])
        """
        if durability not in {"full", "process"}:
            raise StoreError(f'durability is "full" or "process"; seen "{durability}"')
        check_system(Path(path))
        if create and not (read_only or unnamed_customers or Path(path).exists()):
            hash_for_new(customer_key)
        connection = Connection(Path(path), durability, busy_timeout, read_only=read_only, create=create)
        try:
            return Store(connection, Customers(connection, customer_key, unnamed=unnamed_customers))
        except BaseException:
            connection.close()
            raise

    @staticmethod
    def to_rotate(path: str | Path, customer_key: bytes | None) -> Store:
        """Open an existing store to rotate its key: also one in the clear, with the keys that it is to get."""
        connection = Connection(Path(path), "full", 5.0, read_only=False, create=False)
        try:
            return Store(connection, Customers(connection, customer_key, rotates=True))
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
        """Close the file; a second call does nothing."""
        self._connection.close()

    def another(self) -> Store:
        """Open the same file once more with the same options, for a thread that must not wait for this connection."""
        other = self._opened_again(self._connection)
        other.ledger.share_delays(self.ledger)
        return other

    @property
    def is_replaced(self) -> bool:
        """Whether the path names another file now than the one that is open."""
        return self._connection.is_replaced

    def reopened(self) -> Store:
        """Open what the path names now, with the same options; StoreError unless that is a store."""
        mine = self._connection
        if mine.is_replaced:
            mine.leave_log()
        return self._opened_again(None)

    def _opened_again(self, same_as: Connection | None) -> Store:
        mine = self._connection
        connection = Connection(
            mine.path, mine.durability, mine.busy_timeout, read_only=mine.read_only, same_as=same_as
        )
        try:
            return Store(connection, self.customers.on(connection))
        except BaseException:
            connection.close()
            raise

    def writer(self) -> SpooledWriter:
        """Return a writer that spools decisions and events beside the database while it cannot be written."""
        return SpooledWriter(self._connection, self.decision_writer, self.events, self.repeats)

    @leaves_nothing_held
    def append_events(self, rows: EventRows, *, correct: bool = False) -> EventReceipt:
        """Write events; decisions that they name and that wait in spools are written first."""
        return self._recovery().append_events(rows, correct=correct)

    @leaves_nothing_held
    def fetch_spooled(self) -> None:
        """Write all decisions that wait in spools, also of running processes, which find them written later."""
        self._recovery().fetch_all()

    def _recovery(self) -> SpoolRecovery:
        return SpoolRecovery(self._connection, self.decision_writer, self.events)

    @leaves_nothing_held
    def fold_spools(self) -> FoldReport:
        """Fold the spools of ended processes into the database."""
        return self._recovery().fold_abandoned()

    def data_version(self) -> int:
        """Return a number that changes when another connection has written to the file; a cheap check.

        Numbers of different connections cannot be compared.
        """
        return self._connection.data_version()

    def postpone_checkpoints(self) -> None:
        """Leave it to other connections to copy the write-ahead log, unless it becomes far too large."""
        self._connection.postpone_checkpoints()

    def checkpoint(self) -> int:
        """Copy what can be copied of the write-ahead log, and return its length in bytes; nobody is kept waiting."""
        return self._connection.checkpoint()

    def log_bytes(self) -> int:
        """Return the size of the write-ahead log's file, which does not shrink when it is begun anew."""
        return file_size(wal_path(self.path))

    def lock_timeout(self, seconds: float) -> AbstractContextManager[None]:
        """Wait inside at most `seconds`, and at most `busy_timeout`, for the lock of another connection."""
        return self._connection.lock_timeout(seconds)

    def exclusive_within(self, seconds: float) -> AbstractContextManager[bool]:
        """Wait at most `seconds` for the other threads of this store; True with them kept out, False otherwise."""
        return self._connection.exclusive_within(seconds)

    @property
    def path(self) -> Path:
        """The database file."""
        return self._connection.path

    @property
    def read_only(self) -> bool:
        """Whether the store was opened for reading only."""
        return self._connection.read_only

    def transaction(self) -> AbstractContextManager[None]:
        """Write everything inside or nothing; transactions may be nested."""
        return self._connection.transaction()

    def upgradable(self) -> AbstractContextManager[None]:
        """Read from one state of the database and then write, all or nothing, if nobody else has written meanwhile.

        StoreError at once if another has, or is writing. Not inside another transaction. The commit does not wait for
        the disk, so it is for what is done again where a power cut takes it from the end of the log, as learning is.
        """
        return self._connection.upgradable()

    def one_state(self) -> AbstractContextManager[object]:
        """Read inside from one state of the database, whatever others write meanwhile; other threads wait."""
        return self._connection.reading()

    def rekey(
        self,
        new: CustomerHash,
        states: Callable[[], Sequence[StateReplacement]],
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Hash every customer again, as `bandit.governance.key_rotation` does; returns how many there are."""
        return rekey(self._connection, self.customers.hash, new, states, progress)

    def check(self) -> list[str]:
        """Return the integrity problems of the store in sentences; empty if there are none."""
        return check(self._connection)

    def check_chain(
        self, anchor: ChainAnchor | None = None, progress: Callable[[int, int], None] | None = None
    ) -> ChainReport:
        """Compare every row with the chain of hashes, and the chain with an anchor that was kept elsewhere."""
        return check_chain(self._connection, anchor, progress)

    def chain_head(self) -> ChainAnchor:
        """Return the newest link of the chain: kept elsewhere, it proves later that the log up to it is the same."""
        with self._connection.reading() as raw:
            return head_of(raw)

    def counts(self) -> StoreCounts:
        """Return the numbers of rows, the range of decision times and the sizes of the files."""
        return statistics.counts(self._connection)

    def backup(
        self, path: str | Path, *, force: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> BackupReport:
        """Copy a consistent state to a new file while the store is in use, verify it, and record it in the journal.

        StoreError if the file exists, unless `force`.
        """
        return backup(self.path, Path(path), force=force, progress=progress)

    def journal_has_deletions(self) -> bool:
        """Say whether an erasure or a retention run has deleted decisions."""
        return any(entry.kind in {"erase", "retain"} for entry in self.journal())

    def journal(self) -> tuple[JournalEntry, ...]:
        """Return the recorded backups, erasures and retention runs, oldest first."""
        return runs(self._connection)

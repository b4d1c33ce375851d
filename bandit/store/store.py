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
from bandit.store.maintenance.deletion import Removal
from bandit.store.maintenance.journal import Upkeep, runs
from bandit.store.records import UNKNOWN_POLICY, Where
from bandit.store.spool.writer import FoldReport, SpooledWriter, SpoolRecovery
from bandit.store.tables.catalogues import Catalogues
from bandit.store.tables.customers import Customers
from bandit.store.tables.decision_reader import DecisionReader
from bandit.store.tables.decision_writer import DecisionWriter
from bandit.store.tables.eligible_sets import EligibleSets
from bandit.store.tables.event_writer import EventWriter
from bandit.store.tables.leases import Held, Leases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, IntArray
    from bandit.store.records import (
        CatalogueRow,
        Counts,
        DecisionColumns,
        DecisionRows,
        DueColumns,
        EventColumns,
        EventReceipt,
        EventRows,
        PolicyRow,
        Snapshot,
        Step,
    )

_EVERYTHING = Where()


class Store:
    """Decisions, events and what was learned of them, in one file; made by `Store.open`.

    Threads may share a store. Several processes may have the file open; writers take turns.
    """

    def __init__(self, connection: Connection, customers: Customers) -> None:
        eligible = EligibleSets(connection)
        self._connection = connection
        self._customers = customers
        self._eligible = eligible
        self._catalogues = Catalogues(connection)
        self._writer = DecisionWriter(connection, customers, eligible)
        self._events = EventWriter(connection)
        self._reader = DecisionReader(connection)
        self._ledger = Ledger(connection, self._reader)
        self.leases = Leases(connection)
        self._removal = Removal(connection)

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
            return Store(connection, self._customers.on(connection))
        except BaseException:
            connection.close()
            raise

    def writer(self) -> SpooledWriter:
        """Return a way in that takes decisions and events beside the database while it cannot be written."""
        return SpooledWriter(self._connection, self._writer, self._events)

    def fold_spools(self) -> FoldReport:
        """Take in what processes that are gone have left beside the database."""
        return SpoolRecovery(self._connection, self._writer, self._events).fold_left()

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

    @property
    def customers_in_clear(self) -> bool:
        """Whether customers are written as they are, for want of a key."""
        return self._customers.in_clear

    def stored_customer(self, customer: str) -> str:
        """Return how a customer is written."""
        return self._customers.stored(customer)

    def stored_customers(self, customers: Sequence[str]) -> list[str]:
        """Return how each of many customers is written."""
        return self._customers.all_stored(customers)

    def transaction(self) -> AbstractContextManager[None]:
        """Write all of what happens inside, or nothing; may be nested."""
        return self._connection.transaction()

    def register_catalogue(self, catalogue: Catalogue) -> int:
        """Return the number of a catalogue version, and write it the first time."""
        return self._catalogues.register(catalogue)

    def catalogue(self, catalogue_id: int) -> Catalogue:
        """Return a catalogue version; StoreError where there is none of that number."""
        return self._catalogues.get(catalogue_id)

    def catalogues(self) -> tuple[CatalogueRow, ...]:
        """Return all catalogue versions, in the order in which they came."""
        return self._catalogues.all()

    def latest_catalogue(self) -> tuple[int, Catalogue] | None:
        """Return the catalogue version that was registered last."""
        return self._catalogues.latest()

    def register_policy(self, catalogue_id: int, spec: Mapping[str, object]) -> int:
        """Return the number of a learner, and write it the first time."""
        return self._catalogues.register_policy(catalogue_id, spec)

    def policy_spec(self, policy_id: int) -> tuple[int, Mapping[str, object]]:
        """Return a learner's catalogue and settings; StoreError where there is none of that number."""
        return self._catalogues.policy_spec(policy_id)

    def policies(self) -> tuple[PolicyRow, ...]:
        """Return all lineages, in the order in which they came."""
        return self._catalogues.policies()

    def unknown_policy(self, catalogue_id: int) -> int:
        """Return the number that stands for policies over a catalogue version whose propensities nobody knows."""
        return self._catalogues.register_policy(catalogue_id, UNKNOWN_POLICY)

    def unknown_policies(self) -> tuple[int, ...]:
        """Return all numbers of `unknown_policy`, under which what stands for propensities is none."""
        return self._catalogues.unknown_policies()

    def append_decisions(self, rows: DecisionRows) -> IntArray:
        """Write a batch of decisions and return their (n,) numbers.

        One already there with the same content is left as it is; DuplicateError, NumberError or OfferError where one
        cannot be written, and then none is.
        """
        return self._writer.append(rows)

    def append_events(self, rows: EventRows, *, correct: bool = False) -> EventReceipt:
        """Write a batch of events; with `correct`, one that is there with other content is replaced.

        DuplicateError, UnknownDecisionError or NumberError where one cannot be written, and then none is.
        """
        return self._events.append(rows, correct=correct)

    def read_decisions(
        self,
        objective_event: str,
        window: int,
        *,
        after_seq: int = 0,
        through_seq: int | None = None,
        limit: int = 65_536,
        where: Where = _EVERYTHING,
        probabilities: bool = False,
    ) -> DecisionColumns:
        """Return the next decisions after the number `after_seq`, at most `limit`; none at the end."""
        return self._reader.page(
            objective_event,
            window,
            after_seq=after_seq,
            through_seq=through_seq,
            limit=limit,
            where=where,
            probabilities=probabilities,
        )

    def decision(self, decision_id: str, objective_event: str, window: int) -> DecisionColumns:
        """Return one decision with its probabilities; UnknownDecisionError where there is none of that id."""
        return self._reader.one(decision_id, objective_event, window)

    def these_decisions(self, seqs: IntArray, objective_event: str, window: int) -> DecisionColumns:
        """Return the decisions of these numbers, which ascend."""
        return self._reader.these(seqs, objective_event, window)

    def decisions_of(self, stored_customer: str) -> IntArray:
        """Return the numbers of a customer's decisions, in order; the customer as `stored_customer` says it."""
        return self._reader.of_customer(stored_customer)

    def has_decision(self, decision_id: str) -> bool:
        """Say whether there is a decision of that id."""
        return self._reader.has(decision_id)

    def known_decision(self, decision_ids: Sequence[str]) -> str | None:
        """Return the first of these ids that a decision has, None where there is none."""
        return self._writer.known(decision_ids)

    def last_seq(self) -> int:
        """Return the number of the newest decision, 0 where there is none."""
        return self._reader.last_seq()

    def tally(self, where: Where, through_seq: int) -> tuple[IntArray, IntArray, IntArray]:
        """Return three columns: catalogue, offer, and how many decisions up to `through_seq` have them."""
        return self._reader.tally(where, through_seq)

    def customers_by_group(self, where: Where = _EVERYTHING) -> tuple[dict[str, int], int]:
        """Return the number of customers of each group, and of those seen in more than one, who are in no count."""
        return self._reader.customers_by_group(where)

    def events_of(self, decision_id: str) -> EventColumns:
        """Return all events of a decision, also those that a later one corrects."""
        return self._reader.events_of(decision_id)

    def eligible_set(self, set_id: int) -> BoolArray:
        """Return the (N,) mask of an eligible set; not to be written to."""
        return self._eligible.mask(set_id)

    def eligible_masks(self, set_ids: IntArray, n_offers: int) -> BoolArray:
        """Return the (n, N) masks of n eligible sets of one catalogue."""
        return self._eligible.masks(set_ids, n_offers)

    def removals(self, set_id: int) -> str | None:
        """Return the JSON of the reasons for an eligible set, as they were when it was first seen."""
        return self._eligible.removals(set_id)

    def due(
        self,
        policy_id: int,
        objective_event: str,
        window: int,
        now: int,
        *,
        limit: int = 65_536,
        counts_at_once: bool = False,
    ) -> DueColumns:
        """Return decisions of which more is known than this learner learned, or other than it learned, by number.

        An outcome is known in full by a conversion, by "closed", by the end of the window, and where `counts_at_once`
        by any revenue or reward; where not, the silence of a decision that is open is known in part by its age.
        """
        return self._ledger.due(policy_id, objective_event, window, now, limit=limit, counts_at_once=counts_at_once)

    def record_step(
        self, policy_id: int, step: int, rows: DueColumns | None, state_hash: str, snapshot: bytes | None
    ) -> None:
        """Write what a step learned and the state after it; steps go 0, 1, 2, ... and StoreError refuses a gap."""
        self._ledger.record_step(policy_id, step, rows, state_hash, snapshot)

    def mend_snapshot(self, policy_id: int, step: int, state: bytes) -> bool:
        """Put the state after the newest step in the place of a newest one that is damaged; say whether it was."""
        return self._ledger.mend_snapshot(policy_id, step, state)

    def steps(self, policy_id: int) -> tuple[Step, ...]:
        """Return all steps of a learner, in order."""
        return self._ledger.steps(policy_id)

    def latest_step(self, policy_id: int) -> int | None:
        """Return the number of a learner's newest step, None before the first."""
        return self._ledger.latest_step(policy_id)

    def learned_rows(self, policy_id: int, step: int, objective_event: str, window: int) -> DueColumns:
        """Return what a step learned, as it was then."""
        return self._ledger.learned_rows(policy_id, step, objective_event, window)

    def latest_snapshot(self, policy_id: int) -> Snapshot | None:
        """Return the newest state of a learner that is kept."""
        return self._ledger.snapshot(policy_id, newest=True)

    def first_snapshot(self, policy_id: int) -> Snapshot | None:
        """Return a learner's state before it learned anything."""
        return self._ledger.snapshot(policy_id, newest=False)

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

    @property
    def removal(self) -> Removal:
        """What takes decisions out for good; `bandit.governance.erasure` knows how."""
        return self._removal

    def upkeep(self) -> tuple[Upkeep, ...]:
        """Return the backups, erasures and retention runs that this store remembers."""
        return runs(self._connection)

"""Lets the policy of older methods of learning serve while one of the present methods is folded anew from the log."""

from __future__ import annotations

import secrets
import threading
import time

from bandit.catalogue import Catalogue
from bandit.clock import now
from bandit.domain import Policy, Progress
from bandit.engine.counters import EngineCounters
from bandit.engine.threads import new_thread, start_thread, wait_for
from bandit.learning.folding_anew import FoldingAnew, n_outcomes, policy_of_other_methods, takes_long
from bandit.policies import build
from bandit.printable import counted
from bandit.store import Lease, PolicyRow, Store
from bandit.store.holdings import HoldingScope, leaves_nothing_held
from bandit.store.process_identity import owner_name

RENEW_AFTER = 10.0
"""Seconds between two renewals of the lease while a policy is folded."""

LOOK_INTERVAL = 1.0
"""Seconds after which a decision looks again whether another process has folded the policy."""


class MethodChange:
    """The change from a policy of older methods to one of the present ones, in one engine.

    One process of all that have the database open folds, in a thread with a connection of its own; when the new
    policy's first state is written, each engine takes it up with its next decision. If the process ends before, the
    next engine that opens the database folds again from the start.
    """

    def __init__(self, store: Store, catalogue: Catalogue, policy: Policy, counters: EngineCounters) -> None:
        """Look whether there is such a change to be made: `older` is the policy to serve meanwhile, None without."""
        self.policy = policy
        self.older: Policy | None = None
        self._store, self._catalogue, self._counters = store, catalogue, counters
        self._row: PolicyRow | None = None
        self._done = self._total = 0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._next_look = 0.0
        row = policy_of_other_methods(store, catalogue, policy) if _is_new(store, catalogue, policy) else None
        if row is not None and takes_long(store, row):
            self._row, self._total = row, n_outcomes(store, row)
            self.older = build(catalogue, row.spec)

    @property
    def words(self) -> str | None:
        """One sentence on what is going on; None where nothing is."""
        if self._row is None:
            return None
        what = f"{self._done:,} of {counted(self._total, 'outcome')}"
        return (
            f"the policy learns by other methods than policy {self._row.id}, which serves until the new one is folded "
            f"anew from the log ({what} so far)"
        )

    def start(self) -> None:
        """Fold in a thread; nothing where there is no change to be made or it has begun."""
        if self._row is not None and self._thread is None:
            self._thread = new_thread(self._run_in_thread, "fold")
            start_thread(self._thread)

    def run(self, progress: Progress | None = None) -> bool:
        """Fold now, and return when the new policy's first state is written; False where another process folds."""
        if self._row is None:
            return True
        self._halt()
        self._stop.clear()
        with self._store.another() as store:
            return self._fold(store, progress)

    def is_ready(self, *, look_now: bool = False) -> bool:
        """Say whether the new policy's first state is there, so that it can take over; at most once a second."""
        if self._row is None or (time.monotonic() < self._next_look and not look_now):
            return False
        self._next_look = time.monotonic() + LOOK_INTERVAL
        return not _is_new(self._store, self._catalogue, self.policy)

    def finish(self) -> None:
        """Forget the change: the new policy serves."""
        self._row = None

    def begin_child(self) -> None:
        """Become the change of a forked child, which has no thread: its parent goes on folding."""
        self._thread = None

    def close(self) -> None:
        """Stop folding."""
        self._halt()

    def _halt(self) -> None:
        self._stop.set()
        thread, self._thread = self._thread, None
        wait_for(thread)

    def _run_in_thread(self) -> None:
        try:
            with self._store.another() as store:
                self._fold(store, None)
        except Exception as fault:  # noqa: BLE001 - whatever the error, the older policy goes on deciding
            if not self._stop.is_set():
                self._counters.count_fault(f"{type(fault).__name__}: while folding the policy anew: {fault}", 0)

    @leaves_nothing_held
    def _fold(self, store: Store, progress: Progress | None) -> bool:
        """Fold as the only process that does; False where another one does or this one was stopped."""
        row = self._row
        if row is None:
            return True
        lease = Lease(store.leases, f"fold/{row.id}", owner_name(secrets.token_hex(16)), now)
        if not lease.take():
            return False
        renewed = time.monotonic()

        def advance(done: int, total: int) -> None:
            nonlocal renewed
            self._done, self._total = done, total
            if time.monotonic() > renewed + RENEW_AFTER:
                renewed = time.monotonic()
                lease.renew()
            if progress is not None:
                progress(done, total)

        try:
            with HoldingScope():
                folding = FoldingAnew(store, self._catalogue, self.policy, row)
                return folding.run(advance, self._stop.is_set) is not None
        finally:
            lease.release()


def _is_new(store: Store, catalogue: Catalogue, policy: Policy) -> bool:
    """Say whether a policy has no state in a store yet."""
    version = next((row.id for row in store.catalogues.all() if row.version == catalogue.version), None)
    spec = policy.spec()
    known = [row for row in store.catalogues.policies() if row.catalogue_id == version and row.spec == spec]
    return not any(store.ledger.latest_step(row.id) is not None for row in known)

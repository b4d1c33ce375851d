"""The engine's work beside deciding, on a connection of its own: learn, sync, rebuild, verify."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator

from bandit.clock import now
from bandit.domain import Progress
from bandit.engine.counters import EngineCounters
from bandit.engine.threads import new_thread, start_thread, wait_for
from bandit.errors import OfferBanditError
from bandit.governance.verify import VerifyReport, verify
from bandit.learning import LearnReport, PolicyLearner, RebuildReport
from bandit.store import Lease, Store, learning_lease
from bandit.store.holdings import HOLDINGS, HoldingScope, forget, leaves_nothing_held
from bandit.store.process_identity import owner_name

POLL_WAIT = 0.05
"""Seconds that a poll waits for another process's lock on the database."""

SYNC_RETRY = 30.0
"""Seconds after which a sync that failed in the background is tried again."""


class BackgroundWorker:
    """Runs the work on one policy that decisions do not wait for, in one thread at a time.

    Every `interval` seconds, at most, a decision polls whether another engine has learned; if so, a thread is started
    that brings the policy to the newest step and ends. With None, only calls of `sync` and `learn` do.
    """

    def __init__(self, store: Store, learner: PolicyLearner, counters: EngineCounters, interval: float | None) -> None:
        self._front = store
        self._learner = learner
        self._counters = counters
        self._interval = interval
        self._next_poll = 0.0 if learner.current.fault is not None else _in_seconds(interval or 0.0)
        self._polled_version: int | None = None
        self._polled_step = learner.step
        self._back: Store | None = None
        self._working = threading.Lock()
        self._thread: threading.Thread | None = None
        self.clock: Callable[[], int] = now
        self.owner = owner_name(secrets.token_hex(16))
        self.learning = False
        self.closed = False

    @property
    def newest_step(self) -> int:
        """The ledger's newest step when it was last read."""
        return max(self._polled_step, self._learner.step)

    @property
    def syncing(self) -> bool:
        """Whether a thread is bringing the policy to another step."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def learn(self, moment: int, progress: Progress | None) -> LearnReport:
        """Learn what is due, unless another engine is learning."""
        name = learning_lease(self._learner.policy_id)
        with self._working, HoldingScope():
            HOLDINGS.taken.append(self)
            self.learning = True
            try:
                if not self.closed:
                    small = self._learner.learn_small(moment, Lease(self._front.leases, name, self.owner, self.clock))
                    if small is not None:
                        return small
                with self._store() as store:
                    return self._learner.learn(moment, Lease(store.leases, name, self.owner, self.clock), progress)
            finally:
                self.give_up()

    def give_up(self) -> None:
        """Say that this engine is not learning any more."""
        self.learning = False
        forget(self)

    def sync(self) -> int:
        """Bring the policy to the ledger's newest step and return it."""
        with self._working, self._store():
            self._learner.sync()
        return self._learner.step

    def rebuild(self, progress: Progress | None) -> RebuildReport:
        """Fold the log and take the result as the policy's state."""
        with self._working, self._store():
            return self._learner.rebuild(progress)

    def verify(self, progress: Progress | None) -> VerifyReport:
        """Check the database and recompute its decisions."""
        with self._working, self._store() as store:
            return verify(store, progress)

    def poll(self) -> None:
        """If it is time to, check whether another engine has learned, and start a sync; never raises.

        Called between decisions.
        """
        if self._interval is None or time.monotonic() < self._next_poll:
            return
        self._next_poll = _in_seconds(self._interval)
        if self.syncing or not (self._learner.policy.learns or self._learner.current.fault):
            return
        # The decision is made already, so an error here, most likely a lock, only delays the sync to the next poll.
        with contextlib.suppress(OfferBanditError, RuntimeError), self._front.lock_timeout(POLL_WAIT):
            version = self._front.data_version()
            if version == self._polled_version and self._learner.current.fault is None:
                return
            self._polled_step = self._front.ledger.latest_step(self._learner.policy_id) or 0
            behind = self._polled_step != self._learner.step or self._learner.current.fault is not None
            if behind and not self._working.locked():
                self._thread = new_thread(self._sync_in_thread, "sync")
                start_thread(self._thread)
            self._polled_version = version  # last, so that what was cut short is looked at again

    def close(self) -> None:
        """Wait for the thread and close the connection."""
        self.closed = True
        wait_for(self._thread)
        with self._working:
            with contextlib.suppress(OfferBanditError, OSError):  # then the steps are folded on opening
                self._learner.save()
            if self._back is not None:
                self._back.close()

    def begin_child(self) -> None:
        """Become the worker of a forked child: it has no thread yet, its lock is free, and it owns no lease."""
        self._working = threading.Lock()
        self._thread = None
        self._polled_version = None
        self.owner = owner_name(secrets.token_hex(16))
        self.learning = False

    @leaves_nothing_held
    def _sync_in_thread(self) -> None:
        try:
            self.sync()
        except Exception as fault:  # noqa: BLE001 - whatever the error, the older state goes on deciding
            if not self.closed:
                self._counters.count_fault(f"{type(fault).__name__}: while syncing with another engine: {fault}", 0)
                self._polled_version = None
                self._next_poll = _in_seconds(SYNC_RETRY)

    @contextlib.contextmanager
    def _store(self) -> Iterator[Store]:
        """Yield the worker's own connection; the caller holds `_working`."""
        if self.closed:
            self._front.counts()  # raises the error of a closed store
        if self._back is None:
            back = self._front.another()
            self._learner.use(back)
            self._back = back
        yield self._back


def _in_seconds(seconds: float) -> float:
    return time.monotonic() + seconds

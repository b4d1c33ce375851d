"""What an engine does beside deciding, on a connection of its own: learn, follow others, rebuild, verify."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator

from bandit.clock import now
from bandit.domain import Progress
from bandit.engine.counters import Counters
from bandit.errors import OfferBanditError
from bandit.governance.verify import VerifyReport, verify
from bandit.learning.learner import LearnReport, PolicyLearner, RebuildReport
from bandit.store import Lease, Store, learning_lease

PATIENCE = 0.05
"""Seconds that a look waits for another's lock on the database."""

AGAIN = 30.0
"""Seconds after which following is tried again where it failed."""


class BackgroundWorker:
    """The work on one learner that decisions do not wait for: one thread at a time does it.

    Every `every` seconds, at most, a decision looks whether another has learned, and starts a thread that brings the
    policy to that step and ends; None leaves following to whoever calls `follow`.
    """

    def __init__(self, store: Store, learner: PolicyLearner, counters: Counters, every: float | None) -> None:
        self._front = store
        self._learner = learner
        self._counters = counters
        self._every = every
        self._next_look = 0.0 if learner.current.fault is not None else self._in(every or 0.0)
        self._seen: int | None = None
        self._newest = learner.step
        self._back: Store | None = None
        self._working = threading.Lock()
        self._thread: threading.Thread | None = None
        self.clock: Callable[[], int] = now
        self.owner = secrets.token_hex(16)
        self.learning = False
        self.closed = False

    @property
    def newest_step(self) -> int:
        """The ledger's newest step when it was last looked at."""
        return max(self._newest, self._learner.step)

    @property
    def following(self) -> bool:
        """Whether a thread is bringing the policy to another step."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def learn(self, moment: int, progress: Progress | None) -> LearnReport:
        """Learn what is due, unless another does."""
        with self._working, self._store() as store:
            lease = Lease(store.leases, learning_lease(self._learner.policy_id), self.owner, self.clock)
            self.learning = True
            try:
                return self._learner.learn(moment, lease, progress)
            finally:
                self.learning = False

    def follow(self) -> int:
        """Bring the policy to the ledger's newest step and return it."""
        with self._working, self._store():
            self._learner.follow()
        return self._learner.step

    def rebuild(self, progress: Progress | None) -> RebuildReport:
        """Fold the log again and take the result as the policy's state."""
        with self._working, self._store():
            return self._learner.rebuild(progress)

    def verify(self, progress: Progress | None) -> VerifyReport:
        """Check the database and recompute its decisions."""
        with self._working, self._store() as store:
            return verify(store, progress)

    def poll(self) -> None:
        """See whether another has learned, if it is time to, and follow; called between decisions, and never raises."""
        if self._every is None or time.monotonic() < self._next_look:
            return
        self._next_look = self._in(self._every)
        if self.following or not (self._learner.policy.learns or self._learner.current.fault):
            return
        # Whatever is wrong, a lock most likely, the decision was made; and the next look is soon.
        with contextlib.suppress(OfferBanditError, RuntimeError), self._front.lock_timeout(PATIENCE):
            version = self._front.data_version()
            if version == self._seen and self._learner.current.fault is None:
                return
            self._newest = self._front.ledger.latest_step(self._learner.policy_id) or 0
            self._seen = version
            behind = self._newest != self._learner.step or self._learner.current.fault is not None
            if behind and not self._working.locked():
                self._thread = threading.Thread(target=self._follow, name="offer-bandit follow", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread and close the connection."""
        self.closed = True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self._working:
            if self._back is not None:
                self._back.close()

    def begin_child(self) -> None:
        """Be another in the child of a fork: threads are not carried over, and what they held is free."""
        self._working = threading.Lock()
        self._thread = None
        self._seen = None
        self.owner = secrets.token_hex(16)
        self.learning = False

    def _follow(self) -> None:
        try:
            self.follow()
        except Exception as fault:  # noqa: BLE001 - the older state goes on deciding, whatever is wrong
            if not self.closed:
                self._counters.failed(f"{type(fault).__name__}: while following another's learning: {fault}", 0)
                self._seen = None
                self._next_look = self._in(AGAIN)

    @contextlib.contextmanager
    def _store(self) -> Iterator[Store]:
        """Yield the connection of this work; `_working` is held."""
        if self.closed:
            self._front.counts()  # says that it is closed
        if self._back is None:
            self._back = self._front.another()
            self._learner.use(self._back)
        yield self._back

    def _in(self, seconds: float) -> float:
        return time.monotonic() + seconds

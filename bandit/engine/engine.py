"""The embedded call: decide, record, learn, and the proof that the log tells the same story."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import compress, repeat
from operator import is_not
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.eligibility import MASK_CACHE_BYTES
from bandit.clock import Time, microseconds, new_id, new_ids, now
from bandit.domain import Decision, DecisionBatch, FloatArray, IntArray, ObjectArray, Policy, Progress
from bandit.engine.arguments import check_texts, checked_amounts, checked_text, checked_times
from bandit.engine.counters import Counters
from bandit.engine.decisions import DecisionService
from bandit.engine.options import open_store
from bandit.engine.status import Status, status_of
from bandit.engine.worker import BackgroundWorker
from bandit.errors import InputError, StoreError
from bandit.governance.verify import VerifyReport
from bandit.learning.learner import LearnReport, PolicyLearner, RebuildReport
from bandit.policies import build
from bandit.store import EventReceipt, EventRows, Store
from bandit.store.fork_safety import watch

BATCH = 512
"""Most decisions that share one generator and one transaction; fewer where there are many offers."""

BUSY_TIMEOUT = 5.0
"""Seconds that are waited for another's lock on the database, unless the caller says otherwise."""

FOLLOW = 1.0
"""Seconds between two looks, at most, whether another engine has learned."""


class Engine:
    """Decides for customers, logs every decision before it is returned, and learns from what is recorded.

    One engine serves many threads: a lock admits one at a time, and learning goes on beside it. Many processes may
    have engines on one file; one at a time learns, the others follow. An engine may be used on both sides of a fork.
    Customers are stored under a keyed hash when a key is given or the environment has OFFER_BANDIT_KEY; a policy is
    shown the stored key, never the customer's own.

    A decision never fails for the database's or the policy's sake. Where the policy has no sound answer, or the
    database does not take the decision within `busy_timeout`, the catalogue's fallback is served (an even draw over
    what is eligible where it has none), with its true propensity and the reason in `fault`. What the database does
    not take is kept in a file beside it (`status` names it) and folded in, in order and exactly once, with the next
    writes that succeed, at `close`, or when anyone next opens the database.
    """

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        policy: Policy,
        *,
        seed: int | None,
        group: str,
        keep_probabilities: bool,
        clock: Callable[[], int] | None,
        follow: float | None = FOLLOW,
    ) -> None:
        """Use `open` or `resume`."""
        self.store = store
        self.catalogue = catalogue
        self.seed = str(secrets.randbits(63) if seed is None else seed)
        self.group = group
        self._clock = clock or now
        self._lock = threading.RLock()
        self._closed = False
        self._writer = store.writer()
        self._counters = Counters()
        with contextlib.suppress(StoreError, OSError):  # what is beside the database waits on
            store.fold_spools()
        self.catalogue_id = store.catalogues.register(catalogue)
        self.learner = PolicyLearner(store, catalogue, self.catalogue_id, policy, serving=True)
        self.learner.deciding = self._lock
        self._worker = BackgroundWorker(store, self.learner, self._counters, follow)
        self._service = DecisionService(
            store,
            catalogue,
            self.catalogue_id,
            self.learner,
            self._writer,
            self._counters,
            self.seed,
            group,
            keep_probabilities,
        )
        watch(self, outer=True)

    @staticmethod
    def open(
        path: str | Path,
        catalogue: Catalogue,
        policy: Policy,
        *,
        seed: int | None = None,
        group: str = "policy",
        customer_key: bytes | None = None,
        durability: Literal["full", "process"] = "full",
        keep_probabilities: bool = False,
        clock: Callable[[], int] | None = None,
        busy_timeout: float = BUSY_TIMEOUT,
        follow: float | None = FOLLOW,
    ) -> Engine:
        """Open or create the database and take up what this policy has learned in it.

        `seed` makes decisions reproducible given their ids; without one it is drawn anew. `durability` "full" has
        each decision on the disk before it is returned, "process" in the hands of the operating system (it survives
        a killed process, not a power cut). `keep_probabilities` logs whole vectors. `clock` returns microseconds
        since 1970 UTC. `busy_timeout` is the longest that anything waits for another's lock on the database, in
        seconds. `follow` is how often, at most, a decision looks whether another engine has learned, in seconds; with
        None only `follow()` and `learn()` do. Raises StoreError for a database that cannot be used.
        """
        store = open_store(path, customer_key, durability, busy_timeout)
        try:
            return Engine(
                store,
                catalogue,
                policy,
                seed=seed,
                group=group,
                keep_probabilities=keep_probabilities,
                clock=clock,
                follow=follow,
            )
        except BaseException:
            store.close()
            raise

    @staticmethod
    def resume(
        path: str | Path,
        *,
        policy_id: int | None = None,
        seed: int | None = None,
        group: str = "policy",
        customer_key: bytes | None = None,
        durability: Literal["full", "process"] = "full",
        keep_probabilities: bool = False,
        clock: Callable[[], int] | None = None,
        busy_timeout: float = BUSY_TIMEOUT,
        follow: float | None = FOLLOW,
    ) -> Engine:
        """Open an existing database with a policy it remembers: the newest, or the one named."""
        if not Path(path).exists():
            raise InputError(f"{path}: there is no such database; create one with an import or by opening an engine")
        store = open_store(path, customer_key, durability, busy_timeout)
        try:
            known = [row.id for row in store.catalogues.policies()]
            if not known:
                raise InputError(f"{path}: the database knows no policy yet; name one")
            if policy_id is not None and policy_id not in known:
                raise InputError(f"{path}: there is no policy {policy_id}; known are {', '.join(map(str, known))}")
            catalogue_id, spec = store.catalogues.policy_spec(known[-1] if policy_id is None else policy_id)
            catalogue = store.catalogues.get(catalogue_id)
            policy = build(catalogue, spec)
            return Engine(
                store,
                catalogue,
                policy,
                seed=seed,
                group=group,
                keep_probabilities=keep_probabilities,
                clock=clock,
                follow=follow,
            )
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; what waits beside it is folded in first, or else by whoever opens it next."""
        with self._lock:
            if not self._closed:
                with contextlib.suppress(StoreError, OSError):
                    self._writer.fold_all()
            self._writer.let_go()
            self._closed = True
        self._worker.close()
        self.store.close()

    # -- decide ------------------------------------------------------------------------------------------------

    def decide(
        self,
        customer: str,
        context: Mapping[str, object],
        *,
        decision_id: str | None = None,
        time: Time = None,
    ) -> Decision:
        """Choose an offer for one customer; it is in the log before it is returned.

        A decision id that the log already has for the same customer and context gives the same decision again (a
        retried request is one decision); DuplicateError where customer or context differ. ContextError for a context
        that does not fit the catalogue, NoEligibleOfferError where nothing is left and there is no fallback.
        """
        with self._lock:
            self._must_be_open()
            contexts = self.catalogue.contexts(
                [context], [self.store.customers.stored(checked_text("customer", customer))]
            )
            if decision_id is not None:
                checked_text("decision id", decision_id)
                earlier = self._service.find_existing(decision_id, customer, contexts)
                if earlier is not None:
                    return earlier
            ids = (new_id() if decision_id is None else decision_id,)
            times = np.array([self._time(time)], dtype=np.int64)
            answer = self._service.decide(contexts, ids, (customer,), times)
            self._worker.poll()
            return self._service.decision(ids[0], customer, contexts, answer, int(times[0]), self.group)

    def decide_batch(
        self,
        customers: Sequence[str],
        contexts: Mapping[str, Sequence[object] | ObjectArray] | Sequence[Mapping[str, object]],
        *,
        time: IntArray | Time = None,
        decision_ids: Sequence[str] | None = None,
    ) -> DecisionBatch:
        """Choose an offer for each of many customers: columns in, columns out.

        The batch is worked on and logged in parts of 512; a decision id that the log already has is refused
        (DuplicateError), and nothing of its part is written.
        """
        with self._lock:
            self._must_be_open()
            check_texts("customer", customers)
            checked = self.catalogue.contexts(contexts, self.store.customers.all_stored(customers))
            n = checked.n
            ids = new_ids(n) if decision_ids is None else tuple(decision_ids)
            if len(ids) != n:
                raise InputError(f"there are {len(ids)} decision ids for {n} contexts; send one each, or none")
            if decision_ids is not None:
                check_texts("decision id", ids)
                self._service.reject_known_ids(ids)
            times = checked_times(time, n, self._clock)
            if len(times) != n:
                raise InputError(f"there are {len(times)} times for {n} contexts; send one each, or one for all")
            # A mask an offer is kept for each of them until they are logged.
            at_once = max(1, min(BATCH, MASK_CACHE_BYTES // self.catalogue.n_offers))
            parts = [
                self._service.decide(
                    checked if n <= at_once else checked.take(slice(start, start + at_once)),
                    ids[start : start + at_once],
                    customers[start : start + at_once],
                    times[start : start + at_once],
                )
                for start in range(0, n, at_once)
            ]
            self._worker.poll()
        return self._service.batch(ids, customers, parts, times)

    # -- record ------------------------------------------------------------------------------------------------

    def record(
        self,
        decision_id: str,
        event: str,
        *,
        revenue: float | None = None,
        reward: float | None = None,
        time: Time = None,
        event_id: str | None = None,
        correct: bool = False,
    ) -> EventReceipt:
        """Record what happened after a decision; recording the same event again changes nothing.

        An event is known by `event_id`, or by its name where none is given. `revenue` and `reward` are in the
        catalogue's currency; a return is an event of its own with negative revenue. The event "closed" says that
        nothing more will come. With the same id and other content, DuplicateError, unless `correct` says that the
        new content replaces the old. UnknownDecisionError for a decision that the log does not have; NumberError for
        NaN or infinity. Where the database does not take it in time, it is kept beside it (`n_spooled`), and what is
        wrong with it is found out when it is folded in; StoreError where it cannot be kept there either.
        """
        return self.record_batch(
            [decision_id],
            checked_text("event", event),
            revenue=None if revenue is None else checked_amounts("revenue", [revenue], 1),
            reward=None if reward is None else checked_amounts("reward", [reward], 1),
            time=time,
            event_ids=[event_id],
            correct=correct,
        )

    def record_batch(
        self,
        decision_ids: Sequence[str],
        event: str | Sequence[str],
        *,
        revenue: FloatArray | None = None,
        reward: FloatArray | None = None,
        time: IntArray | Time = None,
        event_ids: Sequence[str | None] | None = None,
        correct: bool = False,
    ) -> EventReceipt:
        """Record many events in one transaction; the rules are those of `record`, and all are written or none."""
        n = len(decision_ids)
        check_texts("event", [event] if isinstance(event, str) else event)
        own = () if event_ids is None else compress(event_ids, map(is_not, event_ids, repeat(None)))
        check_texts("decision or event id", [*decision_ids, *own])
        times = checked_times(time, n, self._clock)
        rows = EventRows(
            event=event,
            time=times,
            revenue=checked_amounts("revenue", revenue, n),
            reward=checked_amounts("reward", reward, n),
            decision_ids=decision_ids,
            event_ids=event_ids,
            time_given=time is not None,
            recorded_at=self._clock(),
        )
        with self._lock:
            self._must_be_open()
            return self._writer.events(rows, correct=correct)

    # -- learn -------------------------------------------------------------------------------------------------

    def learn(self, *, now: Time = None, progress: Progress | None = None) -> LearnReport:
        """Fold what is new in the log into the policy.

        A conversion counts at once. The silence of a decision still open at `now` (default: the clock) counts in part,
        by the share of conversions that come within its age, and as a whole once it is closed or its window is over;
        Vowpal Wabbit waits for whole outcomes. A return or a correction re-states what was learned before.

        It learns on a copy of the policy, which then takes its place: decisions go on meanwhile, by the older state.
        One engine learns at a time; where another is learning, this one only follows, and the report's `learner` is
        False.
        """
        return self._worker.learn(self._time(now), progress)

    def follow(self) -> int:
        """Bring the policy to the newest step that any engine has learned, and return it; decisions go on meanwhile.

        Decisions see to it by themselves every so often (`follow` in `open`); this is for a service that has a better
        time for it. StoreError or PolicyError where it cannot be done; the policy then stays as it was.
        """
        return self._worker.follow()

    def rebuild(self, *, progress: Progress | None = None) -> RebuildReport:
        """Fold the log again, step by step, take the result as the policy's state, and say whether it is the same."""
        return self._worker.rebuild(progress)

    def verify(self, *, progress: Progress | None = None) -> VerifyReport:
        """Check the database and recompute every decision whose policy can be built anew."""
        return self._worker.verify(progress)

    def status(self) -> Status:
        """Return how the engine is doing, for a health check; it never raises and waits for next to nothing."""
        return status_of(self.store, self.learner, self._writer, self._counters, self._worker, closed=self._closed)

    @property
    def policy(self) -> Policy:
        """The policy as it decides now; learning puts another one in its place."""
        return self.learner.policy

    @property
    def step(self) -> int:
        """How many steps the policy has learned from this log."""
        return self.learner.step

    @property
    def policy_id(self) -> int:
        """The number of this policy in the database."""
        return self.learner.policy_id

    # -- small things ------------------------------------------------------------------------------------------

    def _time(self, time: object) -> int:
        return microseconds(time, self._clock)

    def _must_be_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.store.path}: the store is closed; open it again")

    def before_fork(self) -> None:
        """Wait until nothing is being decided or copied."""
        self._lock.acquire()
        self.learner.copying.acquire()

    def after_fork(self, *, child: bool) -> None:
        """Go on; the child as another engine, which has decided nothing and has nothing spooled."""
        if child:
            self._writer.let_go()
            self._worker.begin_child()
            self._counters.reset()
        self.learner.copying.release()
        self._lock.release()

"""The embedded call: decide, record, learn, and the proof that the log tells the same story."""

from __future__ import annotations

import os
import secrets
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from bandit.audit import Verified, verify
from bandit.catalogue import Catalogue
from bandit.clock import Time, microseconds, new_id, new_ids, now
from bandit.domain import Decision, DecisionBatch, FloatArray, IntArray, ObjectArray, Policy
from bandit.eligibility import MASK_BYTES
from bandit.errors import InputError, NumberError
from bandit.lineage import Learned, Lineage, Progress, Rebuilt
from bandit.policies import build
from bandit.serving import Desk
from bandit.store import EventReceipt, EventRows, Store

KEY_VARIABLE = "OFFER_BANDIT_KEY"
"""Environment variable with the key under which customers are hashed."""

BATCH = 512
"""Most decisions that share one generator and one transaction; fewer where there are many offers."""


class Engine:
    """Decides for customers, logs every decision before it is returned, and learns from what is recorded.

    One engine serves many threads (a lock admits one at a time). Customers are stored under a keyed hash when a key
    is given or the environment has OFFER_BANDIT_KEY; a policy is shown the stored key, never the customer's own.
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
    ) -> None:
        """Use `open` or `resume`."""
        self.store = store
        self.catalogue = catalogue
        self.policy = policy
        self.seed = str(secrets.randbits(63) if seed is None else seed)
        self.group = group
        self._clock = clock or now
        self._lock = threading.RLock()
        self.catalogue_id = store.register_catalogue(catalogue)
        self.lineage = Lineage(store, catalogue, self.catalogue_id, policy)
        self._desk = Desk(store, catalogue, self.catalogue_id, self.lineage, self.seed, group, keep_probabilities)

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
    ) -> Engine:
        """Open or create the database and take up what this policy has learned in it.

        `seed` makes decisions reproducible given their ids; without one it is drawn anew. `durability` "full" has
        each decision on the disk before it is returned, "process" in the hands of the operating system (it survives
        a killed process, not a power cut). `keep_probabilities` logs whole vectors. `clock` returns microseconds
        since 1970 UTC. Raises StoreError for a database that cannot be used.
        """
        store = _open_store(path, customer_key, durability)
        try:
            return Engine(
                store, catalogue, policy, seed=seed, group=group, keep_probabilities=keep_probabilities, clock=clock
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
    ) -> Engine:
        """Open an existing database with a policy it remembers: the newest, or the one named."""
        if not Path(path).exists():
            raise InputError(f"{path}: there is no such database; create one with an import or by opening an engine")
        store = _open_store(path, customer_key, durability)
        try:
            known = [row.id for row in store.policies()]
            if not known:
                raise InputError(f"{path}: the database knows no policy yet; name one")
            if policy_id is not None and policy_id not in known:
                raise InputError(f"{path}: there is no policy {policy_id}; known are {', '.join(map(str, known))}")
            catalogue_id, spec = store.policy_spec(known[-1] if policy_id is None else policy_id)
            catalogue = store.catalogue(catalogue_id)
            policy = build(catalogue, spec)
            return Engine(
                store, catalogue, policy, seed=seed, group=group, keep_probabilities=keep_probabilities, clock=clock
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
        """Close the database; nothing is pending, so nothing can be lost."""
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
            contexts = self.catalogue.contexts([context], [self.store.stored_customer(_text("customer", customer))])
            if decision_id is not None:
                _text("decision id", decision_id)
                earlier = self._desk.earlier(decision_id, customer, contexts)
                if earlier is not None:
                    return earlier
            ids = (new_id() if decision_id is None else decision_id,)
            times = np.array([self._time(time)], dtype=np.int64)
            choice = self._desk.decide(contexts, ids, (customer,), times)
            return self._desk.decision(ids[0], customer, contexts, choice, int(times[0]), self.group)

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
            _texts("customer", customers)
            checked = self.catalogue.contexts(contexts, self.store.stored_customers(customers))
            n = checked.n
            ids = new_ids(n) if decision_ids is None else tuple(decision_ids)
            if len(ids) != n:
                raise InputError(f"there are {len(ids)} decision ids for {n} contexts; send one each, or none")
            if decision_ids is not None:
                _texts("decision id", ids)
                self._desk.refuse_known(ids)
            times = np.asarray(time) if isinstance(time, np.ndarray) else np.full(n, self._time(time))
            times = times.astype(np.int64)
            if len(times) != n:
                raise InputError(f"there are {len(times)} times for {n} contexts; send one each, or one for all")
            # A mask an offer is kept for each of them until they are logged.
            at_once = max(1, min(BATCH, MASK_BYTES // self.catalogue.n_offers))
            parts = [
                self._desk.decide(
                    checked if n <= at_once else checked.take(slice(start, start + at_once)),
                    ids[start : start + at_once],
                    customers[start : start + at_once],
                    times[start : start + at_once],
                )
                for start in range(0, n, at_once)
            ]
        return self._desk.batch(ids, customers, parts, times)

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
        NaN or infinity.
        """
        return self.record_batch(
            [decision_id],
            _text("event", event),
            revenue=None if revenue is None else np.array([revenue], dtype=np.float64),
            reward=None if reward is None else np.array([reward], dtype=np.float64),
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
        _texts("event", [event] if isinstance(event, str) else event)
        _texts("decision or event id", [*decision_ids, *(given for given in event_ids or () if given is not None)])
        times = np.asarray(time) if isinstance(time, np.ndarray) else np.full(n, self._time(time))
        return self.store.append_events(
            EventRows(
                event=event,
                time=times.astype(np.int64),
                revenue=_amounts("revenue", revenue, n),
                reward=_amounts("reward", reward, n),
                decision_ids=decision_ids,
                event_ids=event_ids,
                time_given=time is not None,
                recorded_at=self._clock(),
            ),
            correct=correct,
        )

    # -- learn -------------------------------------------------------------------------------------------------

    def learn(self, *, now: Time = None, progress: Progress | None = None) -> Learned:
        """Fold what is new in the log into the policy.

        A conversion counts at once. The silence of a decision still open at `now` (default: the clock) counts in part,
        by the share of conversions that come within its age, and as a whole once it is closed or its window is over;
        Vowpal Wabbit waits for whole outcomes. A return or a correction re-states what was learned before.
        """
        with self._lock:
            return self.lineage.learn(self._time(now), progress)

    def rebuild(self, *, progress: Progress | None = None) -> Rebuilt:
        """Fold the log again, step by step, take the result as the policy's state, and say whether it is the same."""
        with self._lock:
            return self.lineage.rebuild(progress)

    def verify(self, *, progress: Progress | None = None) -> Verified:
        """Check the database and recompute every decision whose policy can be built anew."""
        with self._lock:
            return verify(self.store, progress)

    @property
    def step(self) -> int:
        """How many steps the policy has learned from this log."""
        return self.lineage.step

    @property
    def policy_id(self) -> int:
        """The number of this policy in the database."""
        return self.lineage.policy_id

    # -- small things ------------------------------------------------------------------------------------------

    def _time(self, time: object) -> int:
        return microseconds(time, self._clock)


def _text(what: str, value: object) -> str:
    """Return a text that can be stored; InputError for one that is empty or no text."""
    if not isinstance(value, str) or not value:
        raise InputError(f"a {what} is a text that is not empty; seen {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError as fault:
        raise InputError(f"a {what} is a text of whole characters; seen {value!r}, half of one") from fault
    return value


def _texts(what: str, values: Sequence[object]) -> None:
    """InputError where one of the values is not a text that can be stored; all are looked at together."""
    try:
        "".join(values).encode()  # type: ignore[arg-type]  # what is no text is found out here
        sound = all(values)
    except (TypeError, UnicodeEncodeError):
        sound = False
    if not sound:
        for value in values:
            _text(what, value)


def _amounts(name: str, given: FloatArray | None, n: int) -> FloatArray:
    if given is None:
        return np.full(n, np.nan)
    amounts = np.asarray(given, dtype=np.float64)
    if len(amounts) != n:
        raise InputError(f"there are {len(amounts)} values of {name} for {n} events; send one each")
    if not np.isfinite(amounts).all():
        raise NumberError(f"{name} must be a finite number; seen {amounts[~np.isfinite(amounts)][0]}")
    return amounts


def _open_store(path: str | Path, customer_key: bytes | None, durability: Literal["full", "process"]) -> Store:
    key = customer_key if customer_key is not None else os.environ.get(KEY_VARIABLE, "").encode() or None
    store = Store.open(path, customer_key=key, durability=durability)
    if store.customers_in_clear:
        warnings.warn(
            f"customers are stored in the clear in {path}; set {KEY_VARIABLE} or pass customer_key= to store "
            "a keyed hash instead",
            stacklevel=3,
        )
    return store

"""The embedded engine: decide, record, learn and verify, on one database file."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.catalogue import checked_catalogue
from bandit.catalogue.plain_values import shown
from bandit.clock import Time, new_id, new_ids, now, plausible_time
from bandit.domain import Contexts, Decision, DecisionBatch, FloatArray, IntArray, ObjectArray, Policy, Progress
from bandit.engine.arguments import (
    check_amounts,
    checked_event,
    checked_events,
    checked_key,
    checked_keys,
    checked_times,
)
from bandit.engine.async_calls import CallPool, awaited
from bandit.engine.caller import warn_caller
from bandit.engine.checkpoints import CheckpointWatch
from bandit.engine.counters import EngineCounters
from bandit.engine.decisions import DecisionService
from bandit.engine.default_policy import default_policy
from bandit.engine.event_watch import EventWatch
from bandit.engine.explainer import DecisionExplainer
from bandit.engine.group_labels import GroupLabels
from bandit.engine.guardrail_watch import GuardrailWatch
from bandit.engine.idempotency import DecisionLookup
from bandit.engine.live_rollout import LiveRollout
from bandit.engine.method_change import MethodChange
from bandit.engine.options import EngineOptions, EngineSettings, engine_options, warn_renamed, with_engine_settings
from bandit.engine.replaced_file import LeftSpools, ReplacedFile
from bandit.engine.results import decision_of
from bandit.engine.spool_watch import SpoolWatch
from bandit.engine.status import EngineStatus, status_of
from bandit.engine.sticky import StickyHolds
from bandit.engine.undeclared import UndeclaredWatch
from bandit.engine.worker import BackgroundWorker
from bandit.errors import DuplicateError, InputError, OfferBanditError, StoreError
from bandit.governance.guardrail_status import GuardrailStatus
from bandit.governance.verify import VerifyReport
from bandit.learning import LearnReport, PolicyLearner, RebuildReport
from bandit.policies.unusable import build_stored
from bandit.rollout import RolloutControl
from bandit.store import ContextDecoder, EventReceipt, EventRows, Store
from bandit.store.corruption import DECODING_FAULTS, raise_if_damaged, reports_damage
from bandit.store.customer_key import FILE_VARIABLE, KEY_VARIABLE
from bandit.store.customer_key import customer_key as environment_key
from bandit.store.file_identity import FileChange
from bandit.store.fork_safety import register_for_fork
from bandit.store.holdings import HoldingScope, leaves_nothing_held
from bandit.store.sqlite_errors import file_change

if TYPE_CHECKING:
    from bandit.explain import DecisionExplanation


class Engine:
    """Decides for customers, logs every decision before it is returned, and learns from what is recorded.

    One engine serves many threads: a lock admits one at a time, and learning goes on beside it. Many processes may
    have engines on one file; one at a time learns, the others sync with it. An engine may be used on both sides of a
    fork. Customers are stored under a keyed hash if a key is given or the environment has OFFER_BANDIT_KEY; a policy
    is shown the stored key, never the customer's own.

    A decision never fails because of the database or the policy. If the policy has no valid answer, or the database
    does not take the decision within `busy_timeout`, the catalogue's fallback is served (an even draw over what is
    eligible if it has none), with its true propensity and the reason in `fault`. Decisions and events that the
    database does not take wait in a spool, a file beside it (`status` names it). They are written to the database in
    order and exactly once: with the next writes that succeed, at `close`, or when the database is next opened.

    >>> import bandit, tempfile
    >>> catalogue = bandit.Catalogue.from_dict({"dimensions": [{"name": "gift", "options": [{"name": "tote"}]}]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Engine.open(
    ...         f"{folder}/offers.db", catalogue, bandit.Uniform(catalogue), seed=7, customer_key=b"a secret of our own"
    ...     ) as engine:
    ...         decision = engine.decide("customer-42", {})
    ...         receipt = engine.record(decision.decision_id, "purchase", revenue=52.0)
    >>> dict(decision.offer), decision.propensity, receipt.n_new
    ({'gift': 'tote'}, 1.0, 1)
    """

    def __init__(
        self, store: Store, catalogue: Catalogue, policy: Policy, options: EngineOptions | None = None
    ) -> None:
        """Serve from an open store; `open` and `resume` open one by its path.

        `options.customer_key`, `options.durability` and `options.busy_timeout` are settings of the store, made when it
        was opened.
        """
        options = self._options = EngineOptions() if options is None else options
        self._given_catalogue = catalogue
        self.seed = str(secrets.randbits(63) if options.seed is None else options.seed)
        self._events = EventWatch(catalogue.events)
        self._labels = GroupLabels(catalogue.groups, options.group)
        self._clock = options.clock or now
        self._lock = threading.RLock()
        self._closed = False
        self.calls = CallPool()
        self._counters = EngineCounters()
        self._undeclared = UndeclaredWatch(catalogue.facts)
        self._sync = options.sync
        self._retired: list[BackgroundWorker] = []
        self._former: list[Mapping[str, Any]] = []
        self._left = LeftSpools()
        self._replaced = ReplacedFile(policy)
        self._serve_from(store, policy)
        register_for_fork(self, outer=True)

    def _serve_from(self, store: Store, policy: Policy) -> None:
        """Set up everything that serves from one open store."""
        options = self._options
        catalogue = self.catalogue = store.catalogues.fitting(self._given_catalogue)
        self.store = store
        self._writer = store.writer()
        self._spools = SpoolWatch(store, self._writer, self._lock)
        with contextlib.suppress(StoreError, OSError):  # lines that cannot be written now stay in their spools
            store.fold_spools()
        self.catalogue_id = store.catalogues.register(catalogue)
        self._methods = MethodChange(store, catalogue, policy, self._counters) if options.carry else None
        older = None if self._methods is None else self._methods.older
        self.learner = self._new_learner(policy if older is None else older, carry=options.carry)
        if self.learner.carried is not None and self.learner.carried.how == "untrained":
            warn_caller(f"{store.path}: {self.learner.carried.words}")
        self._worker = self._new_worker(self.learner)
        self._rollout = LiveRollout(
            store,
            catalogue,
            self.learner,
            self._worker,
            self._new_worker,
            self._clock,
            self._lock,
        )
        self._watch = GuardrailWatch(store, catalogue, self._rollout.control, self._counters)
        self._checkpoints = CheckpointWatch(store)
        self._explainer = DecisionExplainer(self.explain)
        self._lookup = DecisionLookup(store, catalogue, self.catalogue_id, self._writer, self._explainer)
        self._service = DecisionService(
            store,
            catalogue,
            self.catalogue_id,
            self._rollout,
            self._writer,
            self._counters,
            self.seed,
            options.keep_probabilities,
        )
        self._sticky: StickyHolds | None = None
        if catalogue.sticky is not None:
            self._sticky = StickyHolds(
                store,
                catalogue,
                self.catalogue_id,
                self._writer,
                self._counters,
                catalogue.sticky,
                self._rollout.held_after,
                ContextDecoder(catalogue),
                options.keep_probabilities,
                self._explainer,
            )
        if self._methods is not None and self._methods.words is not None:
            warn_caller(f"{store.path}: {self._methods.words}")
            self._methods.start()

    def _new_learner(self, policy: Policy, *, carry: bool) -> PolicyLearner:
        return PolicyLearner(
            self.store, self.catalogue, self.catalogue_id, policy, decision_lock=self._lock, serving=True, carry=carry
        )

    def _new_worker(self, learner: PolicyLearner) -> BackgroundWorker:
        return BackgroundWorker(self.store, learner, self._counters, self._sync)

    @staticmethod
    @with_engine_settings
    def open(path: str | Path, catalogue: Catalogue, policy: Policy, **settings: Unpack[EngineSettings]) -> Engine:
        """Open or create the database and take up what this policy has learned in it.

        `seed` makes decisions reproducible given their ids; without one it is drawn at random. `group` is logged with
        every decision; without one it is "policy" or, where the catalogue declares [groups], the customer's own (a
        setting must then be one of them). `durability` "full" has each decision on the disk before it is returned,
        "process" in the hands of the operating system (it survives a killed process, not a power cut).
        `keep_probabilities` logs whole vectors. `clock` returns microseconds since 1970 UTC. `busy_timeout` is the
        longest wait for another process's lock on the database, in seconds. `sync` is how often, at most, a decision
        checks whether another engine has learned, in seconds; with None only `sync()` and `learn()` do. A policy that
        is new to the database takes over what another of its kind has learned there, as after a change of the catalogue
        (`status().carried` says what), unless `carry` is False. InputError for a setting that cannot be used,
        StoreError for a database that cannot be used.
        """
        options = engine_options(settings)
        checked_catalogue(catalogue)
        if not callable(getattr(policy, "probabilities", None)):
            raise InputError(f"a policy is an object such as ThompsonSampling(catalogue); seen {shown(policy)}")
        with _opened_store(path, options) as store:
            return Engine(store, catalogue, policy, options)

    @staticmethod
    @with_engine_settings
    def resume(path: str | Path, *, policy_id: int | None = None, **settings: Unpack[EngineSettings]) -> Engine:
        """Open an existing database with the champion of its roll-out, else its newest policy, or the one named.

        Settings are those of `open`. Where the policy was stored with settings that are not allowed any more, as some
        of Vowpal Wabbit's arguments, the fallback serves, and `status().policy_fault` says why.
        """
        options = engine_options(settings)
        if not Path(path).exists():
            raise InputError(f"{path}: there is no such database; create one with an import or by opening an engine")
        with _opened_store(path, options, create=False) as store:
            known = [row.id for row in store.catalogues.policies()]
            if not known:
                raise InputError(f"{path}: the database knows no policy yet; name one")
            if policy_id is not None and policy_id not in known:
                raise InputError(f"{path}: there is no policy {policy_id}; known are {', '.join(map(str, known))}")
            number = policy_id or default_policy(store) or known[-1]
            catalogue_id, spec = store.catalogues.policy_spec(number)
            catalogue = store.catalogues.get(catalogue_id)
            return Engine(store, catalogue, build_stored(catalogue, spec), options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write the spool to the database and close it; what cannot be written now is written at the next opening."""
        self.calls.close()
        with self._lock, HoldingScope():
            if not self._closed:
                self._left.continue_by(self._writer)
                with contextlib.suppress(StoreError, OSError):
                    self._writer.fold_all()
            self._left.release()
            self._writer.release()
            self._closed = True
        for parts in (self.__dict__, *self._former):
            _close(parts)
        for worker in self._retired:
            worker.close()

    # -- decide ------------------------------------------------------------------------------------------------

    @reports_damage
    def decide(
        self,
        customer: str,
        context: Mapping[str, object],
        *,
        decision_id: str | None = None,
        time: Time = None,
        group: str | None = None,
    ) -> Decision:
        """Choose an offer for one customer; it is in the log before it is returned.

        A decision id that the log already has for the same customer and context returns the same decision (a retried
        request is one decision); DuplicateError if customer or context differ. Where the catalogue declares [groups],
        the customer's group decides who chooses; `group` puts this one decision in another, or is any label where none
        are declared (InputError for one that is not declared). Where the catalogue declares [sticky], a customer who
        still holds an earlier decision gets it again, under the new id (`held_from`). ContextError for a context that
        does not fit the catalogue, NoEligibleOfferError if the rules leave no offer and there is no fallback.
        """
        with self._lock, HoldingScope():
            self._must_be_open()
            customer = checked_key("customer", customer)
            if decision_id is None:
                return self._decide(customer, context, None, time, group)
            decision_id = checked_key("decision id", decision_id)
            if self.store.is_replaced and self._replaced.is_due():
                self._serve_from_replacement(rekeyed=False)
            return self._decide_once(customer, context, decision_id, time, group)

    def _decide_once(
        self, customer: str, context: Mapping[str, object], decision_id: str, time: Time, group: str | None
    ) -> Decision:
        """Decide under the caller's id, anew where the customer key turns out to have been rotated."""
        try:
            return self._decide(customer, context, decision_id, time, group)
        except StoreError as fault:
            if file_change(fault) is not FileChange.REKEYED or not self._serve_from_replacement(rekeyed=True):
                raise
        return self._decide(customer, context, decision_id, time, group)

    def _decide(
        self, customer: str, context: Mapping[str, object], decision_id: str | None, time: Time, group: str | None
    ) -> Decision:
        contexts = self.catalogue.contexts([context], [self.store.customers.stored(customer)])
        self._undeclared.add_one(contexts, context)
        if decision_id is not None:
            existing = self._lookup.find_existing(decision_id, customer, contexts)
            if existing is not None:
                return existing
        try:
            made = self._decide_anew(customer, contexts, decision_id, time, group)
        except DuplicateError:
            # Another process has answered the same id since it was looked for.
            existing = None if decision_id is None else self._lookup.find_existing(decision_id, customer, contexts)
            if existing is None:
                raise
            made = existing
        self._poll()
        return made

    def _decide_anew(
        self, customer: str, contexts: Contexts, decision_id: str | None, time: Time, group: str | None
    ) -> Decision:
        ids = (new_id() if decision_id is None else decision_id,)
        times = np.array([self._time(time)], dtype=np.int64)
        label = self._labels.one(self.store.customers.dealt_one(contexts.customers[0]), group)
        if self._sticky is not None:
            held = self._sticky.decide(contexts, ids[0], customer, int(times[0]), label)
            if held is not None:
                return held
        choice = self._service.decide(contexts, ids, (customer,), times, label, named=decision_id is not None)
        time_decided = int(times[0])
        return decision_of(
            self.catalogue, ids[0], customer, contexts, choice, time_decided, label, explainer=self._explainer
        )

    @reports_damage
    def decide_batch(
        self,
        customers: Sequence[str],
        contexts: Mapping[str, Sequence[object] | ObjectArray] | Sequence[Mapping[str, object]],
        *,
        time: IntArray | Time = None,
        decision_ids: Sequence[str] | None = None,
        group: str | Sequence[str] | None = None,
    ) -> DecisionBatch:
        """Choose an offer for each of many customers: columns in, columns out.

        The batch is decided and logged in parts of at most 512. DuplicateError if the log already has one of the
        decision ids; nothing of the part with that id is written. `group` is that of `decide`: one label for all, or
        one each. Where the catalogue declares [sticky], requests of customers who hold a decision are answered with
        it; two requests of one customer in a batch hold nothing of each other.
        """
        with self._lock, HoldingScope():
            self._must_be_open()
            customers = checked_keys("customer", customers)
            checked = self.catalogue.contexts(contexts, self.store.customers.all_stored(customers))
            self._undeclared.add(checked, contexts)
            n = checked.n
            ids = new_ids(n) if decision_ids is None else tuple(checked_keys("decision id", decision_ids))
            if len(ids) != n:
                raise InputError(f"there are {len(ids)} decision ids for {n} contexts; send one each, or none")
            if decision_ids is not None:
                self._lookup.reject_known_ids(ids)
            times = checked_times(time, n, self._clock)
            if len(times) != n:
                raise InputError(f"there are {len(times)} times for {n} contexts; send one each, or one for all")
            labels = self._labels.many(self.store.customers.dealt(checked.customers), group)
            decide = partial(self._service.decide_batch, named=decision_ids is not None)
            if self._sticky is None:
                batch = decide(checked, ids, customers, times, labels)
            else:
                batch = self._sticky.decide_batch(decide, checked, ids, customers, times, labels)
            self._poll()
            return batch

    @property
    def group(self) -> str | None:
        """The group of every decision where the caller names none; None if it is the customer's own."""
        return self._labels.common

    def group_of(self, customer: str) -> str:
        """Return the group that a customer's decisions are made in, unless the caller names another."""
        customers = self.store.customers
        return self._labels.one(customers.dealt_one(customers.stored(checked_key("customer", customer))), None)

    # -- record ------------------------------------------------------------------------------------------------

    @reports_damage
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

        An event is identified by `event_id`, or by its name if none is given. What is recorded under the id of a
        repeat (`Decision.held_from`) belongs to the decision that is held, as an event of its own. `revenue` and
        `reward` are in the catalogue's currency; a return is an event of its own with negative revenue. The event
        "closed" says that nothing more will come. With the same id and other content, DuplicateError, unless `correct`
        says that the new content replaces the old. Where the catalogue declares [events], InputError for another name;
        else the receipt's `notes`, and a warning once for each name, say which events do not count. An event before
        its decision never counts. UnknownDecisionError for a decision that the log does not have;
        NumberError for NaN or infinity, and for an amount beyond the objective's `largest_amount` where that is
        refused (`outside`); else such an amount is recorded, and learned as the largest. If the database does not take
        the event in time, it is kept in the spool (`n_spooled`) and checked when it is written to the database;
        StoreError if it cannot be kept there either.
        """
        delays: list[IntArray] = []
        rows = checked_event(decision_id, event, revenue, reward, time, event_id, self._clock, delays.append)
        return self._record(rows, delays, correct=correct)

    @reports_damage
    def record_batch(
        self,
        decision_ids: Sequence[str],
        event: str | Sequence[str],
        *,
        revenue: FloatArray | Sequence[float | None] | None = None,
        reward: FloatArray | Sequence[float | None] | None = None,
        time: IntArray | Time = None,
        event_ids: Sequence[str | None] | None = None,
        correct: bool = False,
    ) -> EventReceipt:
        """Record many events in one transaction; the rules are those of `record`, and all are written or none."""
        delays: list[IntArray] = []
        rows = checked_events(decision_ids, event, revenue, reward, time, event_ids, self._clock, delays.append)
        return self._record(rows, delays, correct=correct)

    def _record(self, rows: EventRows, delays: list[IntArray], *, correct: bool) -> EventReceipt:
        self._events.check(rows)
        check_amounts(self.catalogue.objective, rows)
        with self._lock, HoldingScope():
            self._must_be_open()
            receipt = self._writer.events(rows, correct=correct)
            self._look_around()
        return self._events.noted(receipt, rows, delays)

    # -- learn -------------------------------------------------------------------------------------------------

    @reports_damage
    @leaves_nothing_held
    def learn(self, *, now: Time = None, progress: Progress | None = None) -> LearnReport:
        """Learn what is new in the log.

        A conversion counts at once. A decision without one that is still open at `now` (default: the clock) counts in
        part, by the share of conversions that come within its age, and completely once it is closed or its window has
        ended; Vowpal Wabbit waits for complete outcomes. A return or a correction updates what was learned before.

        It learns on a copy of the policy, which then becomes the policy: decisions go on meanwhile, with the older
        state. One engine learns at a time; while another is learning, this one only syncs, and the report's `learner`
        is False. Where several policies are live and one of them fails, the others learn all the same, the guardrails
        are looked at, and then its error is raised.
        """
        moment, reports = self._time(now), {}
        with self._lock:
            self._look_around()
        self._take_over(look_now=True)
        faults: list[Exception] = []
        for policy_id, worker in list(self._rollout.workers.items()):
            try:
                reports[policy_id] = worker.learn(moment, progress)
            except Exception as fault:  # noqa: BLE001 - raised below, once the other policies have learned
                faults.append(fault)
        self._watch.check(moment)
        if faults:
            raise faults[0]
        return reports[self._rollout.current.champion.policy_id]

    @reports_damage
    @leaves_nothing_held
    def check_guardrails(self, *, now: Time = None) -> tuple[GuardrailStatus, ...]:
        """Look at the catalogue's guardrails, and stop the policies if one is broken that says so.

        `learn` does so too, and decisions start it beside them every 10 seconds. Stopped policies serve again after
        `rollout.resume`; decisions from before it do not count any more.
        """
        return self._watch.check(self._time(now))

    @reports_damage
    @leaves_nothing_held
    def sync(self) -> int:
        """Bring the policy to the newest step that any engine has learned, and return it; decisions go on meanwhile.

        Decisions start a sync by themselves every so often (`sync` in `open`); call it if you know a better time.
        StoreError or PolicyError if it cannot be done; the policy then stays as it was.
        """
        return self._worker.sync()

    def follow(self) -> int:
        """Do what `sync` does: its former name, deprecated."""
        warn_renamed("Engine.follow()", "Engine.sync()")
        return self.sync()

    @reports_damage
    @leaves_nothing_held
    def rebuild(self, *, progress: Progress | None = None) -> RebuildReport:
        """Fold the log step by step, take the result as the policy's state, and report whether it is the same."""
        return self._worker.rebuild(progress)

    @reports_damage
    @leaves_nothing_held
    def verify(self, *, progress: Progress | None = None) -> VerifyReport:
        """Check the database and recompute every decision whose policy can be built from its specification."""
        return self._worker.verify(progress)

    @reports_damage
    @leaves_nothing_held
    def explain(
        self, decision_id: str, *, level: float = 0.95, progress: Progress | None = None
    ) -> DecisionExplanation:
        """Return why a customer was given an offer: what was eligible, what served, and what was expected.

        The decision is read from the database over a connection of its own, and its policy's state is computed again
        where it is not the present one, so decisions go on meanwhile. Intervals are credible intervals at `level`.
        UnknownDecisionError for an id that the database does not have, InputError for one that still waits in the
        spool or for a level outside (0, 1), StoreError for a closed engine.
        """
        from bandit.explain import explain_decision  # noqa: PLC0415 - deciding does not need it

        decision_id = checked_key("decision id", decision_id)
        with self._lock:
            self._must_be_open()
            if self._writer.waiting(decision_id) is not None and not self.store.decisions.has(decision_id):
                raise InputError(
                    f'decision "{decision_id}" waits in the spool beside the database; it is explained once the '
                    "database has taken it"
                )
            other = self.store.another()
        with other:
            return explain_decision(
                other, decision_id, level=level, state_of=self._rollout.policy_at, progress=progress
            )

    @leaves_nothing_held
    def status(self) -> EngineStatus:
        """Return the state of the engine, for a health check; never raises, and waits for 0.1 s at most."""
        champion = self._rollout.current.champion
        found = status_of(self.store, champion, self._writer, self._counters, self._rollout, closed=self._closed)
        folding = None if self._methods is None else self._methods.words
        outage = self._replaced.unusable if self._writer.is_replaced else None
        return replace(
            found,
            undeclared=self._undeclared.found,
            folding=folding,
            outage=outage or found.outage,
            replaced=self._replaced.words,
        )

    @property
    def rollout(self) -> RolloutControl:
        """Reads and changes the roll-out: its mode, live policies, `kill` and `resume`.

        This engine decides by a change from its next decision on, engines in other processes within 0.1 s.
        """
        return self._rollout.control

    @property
    def policy(self) -> Policy:
        """The policy that decides now; it stays as it is when the engine learns, and there is another one then."""
        return self.learner.frozen()

    @property
    def step(self) -> int:
        """The number of steps that the policy has learned from this log."""
        return self.learner.step

    @property
    def policy_id(self) -> int:
        """The number of this policy in the database."""
        return self.learner.policy_id

    # -- awaited -----------------------------------------------------------------------------------------------

    adecide = awaited(
        decide,
        "Do what `decide` does in a thread of the engine; a cancelled await drops a request that has not begun.",
    )
    adecide_batch = awaited(
        decide_batch,
        "Do what `decide_batch` does in a thread of the engine; a cancelled await drops a batch that has not begun.",
    )
    arecord = awaited(
        record,
        "Do what `record` does in a thread of the engine; the event is recorded though the await be cancelled.",
        whole=True,
    )
    arecord_batch = awaited(
        record_batch,
        "Do what `record_batch` does in a thread of the engine; all is recorded though the await be cancelled.",
        whole=True,
    )
    alearn = awaited(
        learn,
        "Do what `learn` does in a thread beside decisions; a cancelled await leaves learning that began to its end.",
        long=True,
    )

    # -- inside ------------------------------------------------------------------------------------------------

    @reports_damage
    @leaves_nothing_held
    def fold_anew(self, *, progress: Progress | None = None) -> bool:
        """Finish now the fold by the present methods of learning that goes on beside decisions, and take it over.

        True where there is nothing to fold, or nothing any more; False where another process is folding.
        """
        if self._methods is None:
            return True
        done = self._methods.run(progress)
        self._take_over(look_now=True)
        return done

    def _poll(self) -> None:
        """Let everything that goes on beside decisions look whether it is due; never raises."""
        self._rollout.poll()
        self._look_around()
        self._watch.poll(self._clock())
        self._checkpoints.poll()
        self._take_over()

    def _look_around(self) -> None:
        """Look for spools to fold, and for another file in the database's place; never raises."""
        self._spools.poll()
        self._left.continue_by(self._writer)
        if self._writer.is_replaced and self._replaced.is_due():
            self._serve_from_replacement(rekeyed=self._writer.change is FileChange.REKEYED)

    def _serve_from_replacement(self, *, rekeyed: bool) -> bool:
        """Serve from the file that has replaced the database, or under its new customer key; False if it cannot."""
        before = self.__dict__.copy()
        store, path, done = None, self.store.path, False
        try:
            store = self.store.reopened()
            self._serve_from(store, self._replaced.fresh_policy(self.catalogue))
            catalogues = {before["catalogue_id"]: self.catalogue_id}
            policies = {
                number: store.catalogues.register_policy(self.catalogue_id, spec)
                for number, spec in before["_rollout"].specs().items()
            }
            done = True
        except (OfferBanditError, OSError, *DECODING_FAULTS) as fault:
            self._replaced.failed(path, fault, rekeyed=rekeyed)
            return False
        finally:
            if not done:  # also after the exception of a signal's handler: half of the parts would be of each file
                self.__dict__.update(before)
                if store is not None:
                    store.close()
        self._left.add(before["_writer"], catalogues, policies)
        self._former.append(before)
        before["_spools"].stop()
        self._left.continue_by(self._writer)
        self._replaced.taken(path, rekeyed=rekeyed)
        with contextlib.suppress(UserWarning):  # where warnings are errors, a decision would fail
            warn_caller(str(self._replaced.words))
        return True

    def _take_over(self, *, look_now: bool = False) -> None:
        """Let the policy of the present methods decide, once it is folded."""
        change = self._methods
        if change is None or change.words is None:
            return
        with contextlib.suppress(OfferBanditError), self._lock:
            if not change.is_ready(look_now=look_now):
                return
            learner = self._new_learner(change.policy, carry=False)
            worker = self._new_worker(learner)
            before = self._rollout.replace_own(learner, worker)
            self.learner, self._worker = learner, worker
            change.finish()
            self._retired.append(before)

    def _time(self, time: object) -> int:
        return plausible_time(time, self._clock)

    def _must_be_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.store.path}: the store is closed; open it again")

    def before_fork(self) -> None:
        """Wait until no thread decides or copies the policy, and keep others from it."""
        self._lock.acquire()
        self._rollout.before_fork()

    def after_fork(self, *, child: bool) -> None:
        """Admit threads again; the child becomes another engine, with no decisions counted and nothing spooled."""
        if child:
            self.calls.begin_child()
            if self._methods is not None:
                self._methods.begin_child()
            self._left.release()
            self._writer.release()
            self._counters.reset()
            self._undeclared.reset()
            self._spools.begin_child()
            self._watch.begin_child()
            self._checkpoints.begin_child()
        self._rollout.after_fork(child=child)
        self._lock.release()


def _close(parts: Mapping[str, Any]) -> None:
    """Close what serves from one store, given as attributes of an engine."""
    parts["_spools"].close()
    parts["_watch"].close()
    parts["_checkpoints"].close()
    if parts["_methods"] is not None:
        parts["_methods"].close()
    for worker in parts["_rollout"].each_worker():
        worker.close()
    parts["store"].close()


@contextlib.contextmanager
def _opened_store(path: str | Path, options: EngineOptions, *, create: bool = True) -> Iterator[Store]:
    """Yield a store opened with the key given or the environment's, and close it if the engine cannot be made.

    Warns the caller of `Engine.open` if there is no key and customers are stored in the clear.
    """
    key = options.customer_key if options.customer_key is not None else environment_key()
    store = Store.open(
        path, customer_key=key, durability=options.durability, busy_timeout=options.busy_timeout, create=create
    )
    if store.customers.in_clear:
        warn_caller(
            f"customers are stored in the clear in {path}; set {KEY_VARIABLE} or {FILE_VARIABLE}, or pass "
            "customer_key=, to store a keyed hash instead"
        )
    try:
        with HoldingScope():
            yield store
    except BaseException as fault:
        store.close()
        raise_if_damaged(store.path, fault)
        raise

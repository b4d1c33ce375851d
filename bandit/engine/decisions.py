"""Serving decisions: draw them, log them, and give the same answer to the same request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.context_json import contexts_json
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS
from bandit.decide import Choice, choose, generator_for
from bandit.domain import (
    BoolArray,
    Contexts,
    Decision,
    DecisionBatch,
    FloatArray,
    IntArray,
    SparsePolicy,
    SparseProbabilities,
)
from bandit.engine.counters import Counters
from bandit.errors import DuplicateError, PolicyError, StoreError
from bandit.learning.learner import PolicyLearner
from bandit.store import DecisionRows, SpooledWriter, Store, closed, outage


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What was chosen, and whether it is logged."""

    choice: Choice
    logged: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class _LoggedDecision:
    """A decision that was made before; `request` is (customer as stored, catalogue, context as JSON)."""

    request: tuple[str, int, str]
    offer: int
    propensity: float
    vector: FloatArray | None
    eligible: BoolArray
    fault: str | None
    time: int
    group: str


@dataclass(frozen=True, slots=True)
class DecisionService:
    """Where decisions are made for one policy in one store, under one seed and for one group."""

    store: Store
    catalogue: Catalogue
    catalogue_id: int
    learner: PolicyLearner
    writer: SpooledWriter
    counters: Counters
    seed: str
    group: str
    keep_probabilities: bool

    def __post_init__(self) -> None:
        """PolicyError where the policy would weigh every one of more offers than it can."""
        policy, n_offers = self.learner.policy, self.catalogue.n_offers
        if n_offers > MAX_DENSE_OFFERS and not (isinstance(policy, SparsePolicy) and policy.sparse):
            raise PolicyError(
                f'the policy "{policy.name}" weighs every offer, and the catalogue has {n_offers:,} (at most '
                f"{MAX_DENSE_OFFERS:,}); use Thompson sampling, which searches, or leave out options"
            )

    def decide(self, contexts: Contexts, ids: Sequence[str], customers: Sequence[str], times: IntArray) -> Answer:
        """Draw an offer for each context and log the decisions, in one transaction, before they are returned.

        Where the database does not take them in time, the fallback is chosen for them, and logged beside it.
        """
        current, rng = self.learner.current, generator_for(self.seed, ids)
        why = self.writer.why_not()
        if why is None:
            choice = choose(current.policy, self.catalogue, contexts, rng, current.fault)
            try:
                self.writer.decisions(self._rows(contexts, ids, customers, times, choice, current.step))
            except StoreError as fault:
                if closed(fault):
                    raise
                why = fault
            else:
                self.counters.decided(len(ids), choice.fault)
                return Answer(choice)
        words = f"StoreError: {why}"
        choice = choose(current.policy, self.catalogue, contexts, generator_for(self.seed, ids), words)
        rows = self._rows(contexts, ids, customers, times, choice, current.step)
        failed = self.writer.spool_decisions(rows, list(contexts.customers))
        self.counters.decided(len(ids), words, logged=failed is None)
        if failed is None:
            return Answer(choice)
        return Answer(replace(choice, fault=f"{words}; {failed}; it was not logged"), logged=False)

    def _rows(
        self,
        contexts: Contexts,
        ids: Sequence[str],
        customers: Sequence[str],
        times: IntArray,
        choice: Choice,
        step: int,
    ) -> DecisionRows:
        return DecisionRows(
            decision_ids=ids,
            time=times,
            customers=customers,
            catalogue_id=self.catalogue_id,
            policy_id=self.learner.policy_id,
            policy_step=step,
            contexts_json=contexts_json(self.catalogue.facts, contexts),
            eligible=choice.eligible if choice.sets is None or len(choice.sets.masks) > 1 else choice.sets.masks,
            offer=choice.offer,
            propensity=choice.propensity,
            group=self.group,
            seed=self.seed,
            batch=ids[0],
            probabilities=choice.probabilities if self.keep_probabilities else None,
            fault=choice.fault,
            removals=lambda row: _removals_json(self.catalogue, contexts, row),
            customer_keys=contexts.customers,
        )

    def find_existing(self, decision_id: str, customer: str, contexts: Contexts) -> Decision | None:
        """Return the decision that the log has under this id; DuplicateError if it answers another request."""
        found = self._waiting(decision_id) or self._logged(decision_id)
        if found is None:
            return None
        if found.request != (
            contexts.customers[0],
            self.catalogue_id,
            contexts_json(self.catalogue.facts, contexts)[0],
        ):
            raise DuplicateError(
                f'the decision id "{decision_id}" is already in the log for another customer, context or catalogue; '
                "send a new id with a new request"
            )
        vector = np.array([np.nan]) if found.vector is None else found.vector
        choice = Choice(
            np.array([found.offer]),
            np.array([found.propensity]),
            np.broadcast_to(vector, (1, self.catalogue.n_offers)),
            found.eligible[None, :],
            found.fault,
        )
        return self.decision(decision_id, customer, contexts, Answer(choice), found.time, found.group)

    def _waiting(self, decision_id: str) -> _LoggedDecision | None:
        """Return a decision that is in the spool."""
        found = self.writer.waiting(decision_id)
        if found is None:
            return None
        rows, row = found
        keys = rows.customers if rows.customer_keys is None else rows.customer_keys
        return _LoggedDecision(
            (str(keys[row]), rows.catalogue_id, rows.contexts_json[row]),
            int(rows.offer[row]),
            float(rows.propensity[row]),
            None if rows.probabilities is None else rows.probabilities[row],
            rows.eligible[row],
            rows.fault,
            int(rows.time[row]),
            rows.group if isinstance(rows.group, str) else rows.group[row],
        )

    def _logged(self, decision_id: str) -> _LoggedDecision | None:
        """Return a decision that is in the database; None also where it cannot be asked, as when it is spooled."""
        objective = self.catalogue.objective
        try:
            if not self.store.decisions.has(decision_id):
                return None
            row = self.store.decisions.one(decision_id, objective.event, objective.window)
            eligible = self.store.eligible_sets.mask(int(row.eligible_set_id[0]))
        except StoreError as fault:
            if outage(fault):
                return None
            raise
        kept = row.probabilities[0]
        return _LoggedDecision(
            (row.customer[0], int(row.catalogue_id[0]), row.context[0]),
            int(row.offer[0]),
            float(row.propensity[0]),
            None if kept is None else np.frombuffer(kept, dtype=np.float64),
            eligible,
            row.fault[0],
            int(row.time[0]),
            str(row.group[0]),
        )

    def reject_known_ids(self, ids: Sequence[str]) -> None:
        """DuplicateError where the log has one of these ids, or two of them are the same."""
        if len(set(ids)) < len(ids):
            twice = next(name for name, times in Counter(ids).items() if times > 1)
            raise DuplicateError(f'the decision id "{twice}" is there twice in one batch; give each decision its own')
        known = next((name for name in ids if self.writer.waiting(name) is not None), None)
        if known is None:
            try:
                known = self.store.decision_writer.known(ids)
            except StoreError as fault:
                if not outage(fault):
                    raise
        if known is not None:
            raise DuplicateError(f'the decision id "{known}" is already in the log; send a new id with a new request')

    def decision(
        self, decision_id: str, customer: str, contexts: Contexts, answer: Answer, time: int, group: str
    ) -> Decision:
        """Return a choice for a batch of one as a decision."""
        choice = answer.choice
        offer = int(choice.offer[0])
        return Decision(
            decision_id=decision_id,
            customer=customer,
            offer=self.catalogue.offer(offer),
            offer_index=offer,
            propensity=float(choice.propensity[0]),
            eligible=choice.eligible[0],
            reasons=self.catalogue.removals(contexts, choice.fired),
            drawn_from=choice.drawn_from
            if isinstance(choice.drawn_from, SparseProbabilities)
            else choice.drawn_from[0],
            time=time,
            group=group,
            fault=choice.fault,
            logged=answer.logged,
        )

    def batch(
        self, ids: tuple[str, ...], customers: Sequence[str], parts: Sequence[Answer], times: IntArray
    ) -> DecisionBatch:
        """Return the choices for the parts of a batch as columns."""
        whole = parts[0].choice if len(parts) == 1 else self._joined([part.choice for part in parts])
        return DecisionBatch(
            decision_ids=ids,
            customers=tuple(customers),
            offers=self.catalogue.offers(whole.offer),
            offer_index=whole.offer,
            propensity=whole.propensity,
            eligible=whole.eligible,
            probabilities=whole.probabilities if self.keep_probabilities else None,
            time=times,
            group=self.group,
            fault=whole.fault,
            logged=all(part.logged for part in parts),
        )

    def _joined(self, parts: Sequence[Choice]) -> Choice:
        n_offers = self.catalogue.n_offers
        nothing = Choice(
            np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, n_offers)), np.zeros((0, n_offers), dtype=np.bool_)
        )
        parts = parts or [nothing]
        offer = np.concatenate([part.offer for part in parts])
        return Choice(
            offer,
            np.concatenate([part.propensity for part in parts]),
            np.concatenate([part.probabilities for part in (parts if self.keep_probabilities else [nothing])]),
            _joined_masks(parts, len(offer)),
            next((part.fault for part in parts if part.fault is not None), None),
        )


def _joined_masks(parts: Sequence[Choice], n: int) -> BoolArray:
    """Return the (n, N) masks of all parts; no copy where all rows share one set."""
    first = parts[0].sets
    if first is not None and len(first.masks) == 1:
        shared = first.masks
        if all(part.sets is not None and part.sets.masks is shared for part in parts):
            return np.broadcast_to(shared, (n, shared.shape[1]))
    return np.concatenate([part.eligible for part in parts])


def _removals_json(catalogue: Catalogue, contexts: Contexts, row: int) -> str:
    removals = catalogue.removals(contexts.take(slice(row, row + 1)))
    return msgspec.json.encode([{"rule": removal.rule, "reason": removal.reason} for removal in removals]).decode()

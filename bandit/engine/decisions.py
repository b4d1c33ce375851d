"""Serving decisions: choose an offer for each context and log the choices before they are returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from bandit.catalogue import Catalogue
from bandit.catalogue.context_json import contexts_json
from bandit.catalogue.eligibility import MASK_CACHE_BYTES
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS
from bandit.decide import Choice, choose, generator_for
from bandit.domain import Contexts, DecisionBatch, IntArray, ObjectArray, Policy, SparsePolicy
from bandit.engine.counters import EngineCounters
from bandit.engine.results import join_choices
from bandit.errors import PolicyError, StoreError
from bandit.learning import PolicyLearner
from bandit.learning.policy_state import PolicyState
from bandit.policies.group_policies import GroupPolicies
from bandit.store import DecisionRows, SpooledWriter, Store, is_closed

MAX_DECISIONS_AT_ONCE = 512
"""Most decisions that share one generator and one transaction; fewer if there are many offers."""


@dataclass(frozen=True, slots=True)
class DecisionService:
    """Makes and logs the decisions of one policy in one store, with one seed.

    With `group_policies`, each decision is made by the policy of its group.
    """

    store: Store
    catalogue: Catalogue
    catalogue_id: int
    learner: PolicyLearner
    writer: SpooledWriter
    counters: EngineCounters
    seed: str
    group_policies: GroupPolicies | None
    keep_probabilities: bool

    def __post_init__(self) -> None:
        """Raise PolicyError if the policy computes a probability for each of more offers than it can."""
        policy, n_offers = self.learner.policy, self.catalogue.n_offers
        if n_offers > MAX_DENSE_OFFERS and not (isinstance(policy, SparsePolicy) and policy.sparse):
            raise PolicyError(
                f'the policy "{policy.name}" weighs every offer, and the catalogue has {n_offers:,} (at most '
                f"{MAX_DENSE_OFFERS:,}); use Thompson sampling, which searches, or leave out options"
            )

    def decide(
        self,
        contexts: Contexts,
        ids: Sequence[str],
        customers: Sequence[str],
        times: IntArray,
        group: str | Sequence[str],
    ) -> Choice:
        """Draw an offer for each context and log the decisions, in one transaction, before they are returned.

        If the database does not take them in time, the fallback is chosen for them and kept in the spool.
        """
        current = self.learner.current
        policy, state_fault = self._policy_for(current, group)
        outage = self.writer.outage()
        if outage is None:
            rng = generator_for(self.seed, ids)
            choice = choose(policy, self.catalogue, contexts, rng, state_fault)
            try:
                self.writer.decisions(self._rows(contexts, ids, customers, times, group, choice, current.step))
            except StoreError as fault:
                if is_closed(fault):
                    raise
                outage = fault
            else:
                self.counters.count_decisions(len(ids), choice.fault)
                return choice
        reason = f"StoreError: {outage}"
        choice = choose(policy, self.catalogue, contexts, generator_for(self.seed, ids), reason)
        rows = self._rows(contexts, ids, customers, times, group, choice, current.step)
        failure = self.writer.spool_decisions(rows, list(contexts.customers))
        self.counters.count_decisions(len(ids), reason, logged=failure is None)
        if failure is None:
            return choice
        return replace(choice, fault=f"{reason}; {failure}; it was not logged", logged=False)

    def _policy_for(self, current: PolicyState, group: str | Sequence[str]) -> tuple[Policy, str | None]:
        """Return the policy to ask for rows of these groups, and why the policy that learns cannot serve them."""
        if self.group_policies is None:
            return current.policy, current.fault
        policy = self.group_policies.routed(current.policy, group)
        if current.fault is None or not self.group_policies.asks_policy(group):
            return policy, None
        return policy, current.fault

    def decide_batch(
        self,
        contexts: Contexts,
        ids: tuple[str, ...],
        customers: Sequence[str],
        times: IntArray,
        group: str | ObjectArray,
    ) -> DecisionBatch:
        """Do what `decide` does in parts that bound the memory for masks, and return all choices as columns."""
        n = contexts.n
        # The eligible offers of a part, a byte each, are kept until the part is logged.
        size = max(1, min(MAX_DECISIONS_AT_ONCE, MASK_CACHE_BYTES // self.catalogue.n_offers))
        parts = [
            self.decide(
                contexts if n <= size else contexts.take(slice(start, start + size)),
                ids[start : start + size],
                customers[start : start + size],
                times[start : start + size],
                group if isinstance(group, str) else group[start : start + size].tolist(),
            )
            for start in range(0, n, size)
        ]
        choice = join_choices(parts, self.catalogue.n_offers, with_probabilities=self.keep_probabilities)
        return DecisionBatch(
            decision_ids=ids,
            customers=tuple(customers),
            offers=self.catalogue.offers(choice.offer),
            offer_index=choice.offer,
            propensity=choice.propensity,
            eligible=choice.eligible,
            probabilities=choice.probabilities if self.keep_probabilities else None,
            time=times,
            group=group,
            fault=choice.fault,
            logged=choice.logged,
        )

    def _rows(
        self,
        contexts: Contexts,
        ids: Sequence[str],
        customers: Sequence[str],
        times: IntArray,
        group: str | Sequence[str],
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
            group=group,
            seed=self.seed,
            batch=ids[0],
            probabilities=choice.probabilities if self.keep_probabilities else None,
            fault=choice.fault,
            removals=lambda row: _removals_json(self.catalogue, contexts, row),
            customer_keys=contexts.customers,
        )


def _removals_json(catalogue: Catalogue, contexts: Contexts, row: int) -> str:
    removals = catalogue.removals(contexts.take(slice(row, row + 1)))
    return msgspec.json.encode([{"rule": removal.rule, "reason": removal.reason} for removal in removals]).decode()

"""Serving decisions: draw them, log them, and give the same answer to the same request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from bandit.catalogue import Catalogue
from bandit.context_json import contexts_json
from bandit.decide import Choice, choose, generator_for
from bandit.domain import BoolArray, Contexts, Decision, DecisionBatch, IntArray, Shares, SparsePolicy
from bandit.eligibility import MANY_OFFERS
from bandit.errors import DuplicateError, PolicyError
from bandit.lineage import Lineage
from bandit.store import DecisionRows, Store


@dataclass(frozen=True, slots=True)
class Desk:
    """Where decisions are made for one policy in one store, under one seed and for one group."""

    store: Store
    catalogue: Catalogue
    catalogue_id: int
    lineage: Lineage
    seed: str
    group: str
    keep_probabilities: bool

    def __post_init__(self) -> None:
        """PolicyError where the policy would weigh every one of more offers than it can."""
        policy, n_offers = self.lineage.policy, self.catalogue.n_offers
        if n_offers > MANY_OFFERS and not (isinstance(policy, SparsePolicy) and policy.sparse):
            raise PolicyError(
                f'the policy "{policy.name}" weighs every offer, and the catalogue has {n_offers:,} (at most '
                f"{MANY_OFFERS:,}); use Thompson sampling, which searches, or leave out options"
            )

    def decide(self, contexts: Contexts, ids: Sequence[str], customers: Sequence[str], times: IntArray) -> Choice:
        """Draw an offer for each context and log the decisions, in one transaction, before they are returned."""
        choice = choose(self.lineage.policy, self.catalogue, contexts, generator_for(self.seed, ids))
        self.store.append_decisions(
            DecisionRows(
                decision_ids=ids,
                time=times,
                customers=customers,
                catalogue_id=self.catalogue_id,
                policy_id=self.lineage.policy_id,
                policy_step=self.lineage.step,
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
        )
        return choice

    def earlier(self, decision_id: str, customer: str, contexts: Contexts) -> Decision | None:
        """Return the decision that the log has under this id; DuplicateError if it answers another request."""
        if not self.store.has_decision(decision_id):
            return None
        objective = self.catalogue.objective
        row = self.store.decision(decision_id, objective.event, objective.window)
        same = (
            row.customer[0] == contexts.customers[0]
            and row.catalogue_id[0] == self.catalogue_id
            and row.context[0] == contexts_json(self.catalogue.facts, contexts)[0]
        )
        if not same:
            raise DuplicateError(
                f'the decision id "{decision_id}" is already in the log for another customer, context or catalogue; '
                "send a new id with a new request"
            )
        kept = row.probabilities[0]
        vector = np.array([np.nan]) if kept is None else np.frombuffer(kept, dtype=np.float64)
        vector = np.broadcast_to(vector, (1, self.catalogue.n_offers))
        mask = self.store.eligible_set(int(row.eligible_set_id[0]))[None, :]
        choice = Choice(row.offer, row.propensity, vector, mask, row.fault[0])
        return self.decision(decision_id, customer, contexts, choice, int(row.time[0]), str(row.group[0]))

    def refuse_known(self, ids: Sequence[str]) -> None:
        """DuplicateError where the log has one of these ids, or two of them are the same."""
        if len(set(ids)) < len(ids):
            twice = next(name for name, times in Counter(ids).items() if times > 1)
            raise DuplicateError(f'the decision id "{twice}" is there twice in one batch; give each decision its own')
        known = self.store.known_decision(ids)
        if known is not None:
            raise DuplicateError(f'the decision id "{known}" is already in the log; send a new id with a new request')

    def decision(
        self, decision_id: str, customer: str, contexts: Contexts, choice: Choice, time: int, group: str
    ) -> Decision:
        """Return a choice for a batch of one as a decision."""
        offer = int(choice.offer[0])
        return Decision(
            decision_id=decision_id,
            customer=customer,
            offer=self.catalogue.offer(offer),
            offer_index=offer,
            propensity=float(choice.propensity[0]),
            eligible=choice.eligible[0],
            reasons=self.catalogue.removals(contexts, choice.fired),
            drawn_from=choice.drawn_from if isinstance(choice.drawn_from, Shares) else choice.drawn_from[0],
            time=time,
            group=group,
            fault=choice.fault,
        )

    def batch(
        self, ids: tuple[str, ...], customers: Sequence[str], parts: Sequence[Choice], times: IntArray
    ) -> DecisionBatch:
        """Return the choices for the parts of a batch as columns."""
        whole = parts[0] if len(parts) == 1 else self._joined(parts)
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

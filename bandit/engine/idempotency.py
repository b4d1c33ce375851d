"""Idempotent requests: the decision that a retried request already has, and ids that may not be used again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.context_json import contexts_json
from bandit.decide import Choice
from bandit.domain import Contexts, Decision, FloatArray
from bandit.engine.results import decision_of
from bandit.errors import DuplicateError, StoreError
from bandit.store import SpooledWriter, Store, is_outage


@dataclass(frozen=True, slots=True)
class DecisionLookup:
    """Finds decisions by their ids, in the database and in the spool of this process."""

    store: Store
    catalogue: Catalogue
    catalogue_id: int
    writer: SpooledWriter

    def find_existing(self, decision_id: str, customer: str, contexts: Contexts) -> Decision | None:
        """Return the decision with this id, if there is one; DuplicateError if it answered another request.

        `contexts` is one row.
        """
        return self._find_spooled(decision_id, customer, contexts) or self._find_logged(decision_id, customer, contexts)

    def _find_spooled(self, decision_id: str, customer: str, contexts: Contexts) -> Decision | None:
        found = self.writer.waiting(decision_id)
        if found is None:
            return None
        rows, row = found
        keys = rows.customers if rows.customer_keys is None else rows.customer_keys
        self._check_same_request(decision_id, contexts, str(keys[row]), rows.catalogue_id, rows.contexts_json[row])
        one = slice(row, row + 1)
        choice = Choice(
            rows.offer[one],
            rows.propensity[one],
            self._probabilities(None if rows.probabilities is None else rows.probabilities[row]),
            rows.eligible[one],
            rows.fault,
        )
        group = rows.group if isinstance(rows.group, str) else rows.group[row]
        return decision_of(self.catalogue, decision_id, customer, contexts, choice, int(rows.time[row]), group)

    def _find_logged(self, decision_id: str, customer: str, contexts: Contexts) -> Decision | None:
        """Return the decision if the database has it; None also in an outage, as the request is then spooled."""
        objective = self.catalogue.objective
        try:
            if not self.store.decisions.has(decision_id):
                return None
            row = self.store.decisions.one(decision_id, objective.event, objective.window)
            eligible = self.store.eligible_sets.mask(int(row.eligible_set_id[0]))
            arms = self.store.decision_arms.of(row.seq)
        except StoreError as fault:
            if is_outage(fault):
                return None
            raise
        self._check_same_request(decision_id, contexts, row.customer[0], int(row.catalogue_id[0]), row.context[0])
        logged = row.probabilities[0]
        choice = Choice(
            row.offer,
            row.propensity,
            self._probabilities(None if logged is None else np.frombuffer(logged, dtype=np.float64)),
            eligible[None, :],
            row.fault[0],
            arm=arms.arm if len(arms) else None,
        )
        group = str(row.group[0])
        return decision_of(self.catalogue, decision_id, customer, contexts, choice, int(row.time[0]), group)

    def _probabilities(self, logged: FloatArray | None) -> FloatArray:
        """Return the logged vector as (1, N), NaN if it was not logged."""
        return np.broadcast_to(np.array([np.nan]) if logged is None else logged, (1, self.catalogue.n_offers))

    def _check_same_request(
        self, decision_id: str, contexts: Contexts, customer_key: str, catalogue_id: int, context_json: str
    ) -> None:
        """Raise DuplicateError if a stored decision answered another request than this one."""
        request = (contexts.customers[0], self.catalogue_id, contexts_json(self.catalogue.facts, contexts)[0])
        if (customer_key, catalogue_id, context_json) != request:
            raise DuplicateError(
                f'the decision id "{decision_id}" is already in the log for another customer, context or catalogue; '
                "send a new id with a new request"
            )

    def reject_known_ids(self, ids: Sequence[str]) -> None:
        """Raise DuplicateError if the log has one of these ids, or if two of them are the same."""
        if len(set(ids)) < len(ids):
            twice = next(name for name, times in Counter(ids).items() if times > 1)
            raise DuplicateError(f'the decision id "{twice}" is there twice in one batch; give each decision its own')
        known = next((name for name in ids if self.writer.waiting(name) is not None), None)
        if known is None:
            try:
                known = self.store.decisions.first_existing(ids)
            except StoreError as fault:
                if not is_outage(fault):
                    raise
        if known is not None:
            raise DuplicateError(f'the decision id "{known}" is already in the log; send a new id with a new request')

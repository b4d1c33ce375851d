"""Idempotent requests: the decision that a retried request already has, and ids that may not be used again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.context_json import contexts_json
from bandit.domain import Contexts, Decision
from bandit.engine.explainer import DecisionExplainer
from bandit.engine.results import decision_of, stored_choice
from bandit.errors import DuplicateError, StoreError
from bandit.store import ContextDecoder, DecisionRows, SpooledWriter, Store, is_outage


@dataclass(frozen=True, slots=True)
class DecisionLookup:
    """Finds decisions and repeats by their ids, in the database and in the spools of this process and of others."""

    store: Store
    catalogue: Catalogue
    catalogue_id: int
    writer: SpooledWriter
    explainer: DecisionExplainer | None = None

    def find_existing(self, decision_id: str, customer: str, contexts: Contexts) -> Decision | None:
        """Return the decision with this id, if there is one; DuplicateError if it answered another request.

        `contexts` is one row. The spools come first, since lines go from them to the database and never back. Where a
        spool and the database have the id, that of the database counts: the line is refused when it is folded. A file
        that was replaced may have a decision that nobody was told, and then a spool has the other one.
        """
        waiting = self.writer.waiting(decision_id)
        if waiting is not None and self.store.is_replaced:
            return self._spooled(*waiting, decision_id, customer, contexts)
        existing = self._find_logged(decision_id, customer, contexts)
        if existing is not None or waiting is None:
            return existing
        return self._spooled(*waiting, decision_id, customer, contexts)

    def _spooled(self, rows: DecisionRows, row: int, decision_id: str, customer: str, contexts: Contexts) -> Decision:
        """Return a decision that waits in a spool."""
        if self.store.customers.n_keys_of(rows.key_check) is None:  # a newer key than those that this engine has
            with self.store.one_state():
                self.store.customers.require_present_key()
        given = rows.customers if rows.customer_keys is None else rows.customer_keys
        keys = self.store.customers.present(given, rows.key_check)
        self._check_same_request(decision_id, contexts, str(keys[row]), rows.catalogue_id, rows.contexts_json[row])
        one = slice(row, row + 1)
        vector = None if rows.probabilities is None else rows.probabilities[row]
        choice = stored_choice(
            self.catalogue, rows.offer[one], rows.propensity[one], rows.eligible[row], vector, rows.fault
        )
        if rows.arms is not None and row in rows.arms.rows:
            choice = replace(choice, arm=rows.arms.arm[rows.arms.rows == row])
        group = rows.group if isinstance(rows.group, str) else rows.group[row]
        time = int(rows.time[row])
        return decision_of(
            self.catalogue, decision_id, customer, contexts, choice, time, group, explainer=self.explainer
        )

    def _find_logged(self, decision_id: str, customer: str, contexts: Contexts) -> Decision | None:
        """Return the decision if the database has it; None also in an outage, as the request is then spooled."""
        objective = self.catalogue.objective
        try:
            with self.writer.short_waits():
                repeat = None
                if self.store.decisions.has(decision_id):
                    seq = self.store.decisions.seq_of(decision_id)
                else:
                    repeat = self.store.repeats.get(decision_id)
                    if repeat is None:
                        return None
                    seq = repeat.seq
                row = self.store.decisions.by_seq(
                    np.array([seq], dtype=np.int64), objective.event, objective.window, probabilities=True
                )
                eligible = self.store.eligible_sets.mask(int(row.eligible_set_id[0]))
                arms = self.store.decision_arms.of(row.seq)
        except StoreError as fault:
            if is_outage(fault):
                return None
            raise
        asked = row.context[0] if repeat is None else repeat.context
        self._check_same_request(decision_id, contexts, row.customer[0], int(row.catalogue_id[0]), asked)
        choice = stored_choice(self.catalogue, row.offer, row.propensity, eligible, row.probabilities[0], row.fault[0])
        choice = replace(choice, arm=arms.arm if len(arms) else None)
        group = str(row.group[0])
        if repeat is None:
            time = int(row.time[0])
            return decision_of(
                self.catalogue, decision_id, customer, contexts, choice, time, group, explainer=self.explainer
            )
        original = ContextDecoder(self.catalogue).read(row.context, row.customer)
        return decision_of(
            self.catalogue,
            decision_id,
            customer,
            original,
            choice,
            repeat.time,
            group,
            held_from=str(row.decision_id[0]),
            explainer=self.explainer,
        )

    def _check_same_request(
        self, decision_id: str, contexts: Contexts, customer_key: str, catalogue_id: int, context_json: str
    ) -> None:
        """Raise DuplicateError if a stored decision answered another request than this one."""
        request = (contexts.customers[0], self.catalogue_id, contexts_json(self.catalogue.facts, contexts)[0])
        if (customer_key, catalogue_id, context_json) != request:
            with self.store.one_state():
                self.store.customers.require_present_key()
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
                known = self.store.decisions.first_existing(ids) or self.store.repeats.first_existing(ids)
            except StoreError as fault:
                if not is_outage(fault):
                    raise
        if known is not None:
            raise DuplicateError(f'the decision id "{known}" is already in the log; send a new id with a new request')

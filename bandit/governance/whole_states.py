"""The stored states of a policy with all their customers, and their replacements as they are stored."""

from __future__ import annotations

from dataclasses import replace

from bandit.policies.keyed_states import is_keyed, version_of, with_customers, without_customers
from bandit.store import StateReplacement, Store


def whole_states(store: Store, policy_id: int) -> dict[int, bytes]:
    """Return all snapshots of a policy, by step, with the rows of customers that are stored by key.

    Takes memory for all customers.
    """
    effects = store.customer_effects.of(policy_id)
    return {
        step: with_customers(state, effects.all_rows(version_of(state))) if is_keyed(state) else state
        for step, state in store.deletion.states(policy_id).items()
    }


def as_stored(replacement: StateReplacement) -> StateReplacement:
    """Return a replacement whose newest state has the rows of very many customers beside it."""
    if replacement.state is None:
        return replacement
    state, customers = without_customers(replacement.state)
    return replacement if customers is None else replace(replacement, state=state, customers=customers)

"""Which policy of a database serves where none is named."""

from __future__ import annotations

from bandit.rollout import RolloutState
from bandit.store import Store


def default_policy(store: Store) -> int | None:
    """Return the champion of the roll-out, else the newest policy that did not join as a candidate; None without any.

    A candidate that learned the log offline serves nobody until somebody makes it a challenger or promotes it.
    """
    known = [row.id for row in store.catalogues.policies()]
    if not known:
        return None
    latest = store.rollout_changes.latest()
    champion = None if latest is None else RolloutState.from_json(latest.state).champion
    if champion in known:
        return champion
    candidates = store.ledger.candidates()
    return next((number for number in reversed(known) if number not in candidates), known[-1])

"""Computes states that policies took over from others again: for erasure without a customer, for `verify` as is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from bandit.domain import Progress
from bandit.errors import PolicyError
from bandit.governance.removal import KeepRows, fold
from bandit.learning.carry import carried_again
from bandit.learning.folding_anew import FOLDED_ANEW
from bandit.learning.policy_state import StateHistory
from bandit.policies import ThompsonSampling, build
from bandit.store import CarriedPolicyRow, PolicyRow, Store


def is_carried(row: CarriedPolicyRow | None) -> bool:
    """Say whether a policy's first state is a belief that it took over, and not learned again step by step."""
    return row is not None and row.details.get("how") in {"carried", FOLDED_ANEW}


def state_taken_over(
    store: Store,
    row: CarriedPolicyRow,
    keep: KeepRows | None = None,
    firsts: Mapping[int, bytes] | None = None,
    progress: Progress | None = None,
    *,
    from_bases: bool = True,
) -> bytes | None:
    """Return the state that a policy took over, learned again from the outcomes that `keep` keeps; None if it cannot.

    `firsts` replace the first states of the policies that it came from. They are folded from the bases that a retention
    run kept, without `from_bases` from their first states, over the outcomes that are still there. What was taken over
    before the step of such a base cannot be computed again from it.
    """
    rows = {each.id: each for each in store.catalogues.policies()}
    if row.details.get("how") == FOLDED_ANEW:
        return _folded_anew(store, row, rows, keep, progress or _silent)
    older = cast("Sequence[Sequence[int]]", row.details.get("older", ()))
    states: dict[int, ThompsonSampling] = {}
    for number, step in ((row.from_policy_id, row.from_step), *((int(each[0]), int(each[1])) for each in older)):
        source = rows[number]
        begin = source.base_step if from_bases else 0
        if begin > step:
            return None
        catalogue = store.catalogues.get(source.catalogue_id)
        first = None if begin else (firsts or {}).get(number)
        first = first or store.deletion.states(number)[begin]
        policy = build(catalogue, source.spec)
        if not isinstance(policy, ThompsonSampling):
            raise PolicyError(f"policy {number} is not of a kind that takes over a belief")
        history = StateHistory(store, catalogue, number)
        fold(history, policy, first, (begin, step), keep, progress or _silent)
        states[number] = policy
    return carried_again(store, row, states, rows)


def _folded_anew(
    store: Store,
    row: CarriedPolicyRow,
    rows: Mapping[int, PolicyRow],
    keep: KeepRows | None,
    progress: Progress,
) -> bytes | None:
    """Return the state that a policy folded from another's steps, folded again; None where these are not all there."""
    source, target = rows[row.from_policy_id], rows[row.policy_id]
    if source.base_step:
        return None
    policy = build(store.catalogues.get(target.catalogue_id), target.spec)
    history = StateHistory(store, store.catalogues.get(source.catalogue_id), source.id)
    return fold(history, policy, policy.dumps(), (0, row.from_step), keep, progress)


def _silent(done: int, total: int) -> None:
    """Show nothing."""

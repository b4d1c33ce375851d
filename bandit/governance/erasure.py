"""Erasure: delete a customer's data, and what every policy learned from them."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandit.domain import BoolArray, Outcomes, Progress
from bandit.errors import InputError, PolicyError
from bandit.governance.carried_states import is_carried, state_taken_over
from bandit.governance.removal import (
    REMOVAL_WAIT,
    fold,
    folded_policies,
    journal_details,
    learner_leases,
    newest_step,
    unbuildable_policies,
)
from bandit.governance.whole_states import as_stored, whole_states
from bandit.learning.policy_state import StateHistory
from bandit.policies import build
from bandit.policies.state_erasure import has_customers, remove_customers
from bandit.store import DeletionTarget, PolicyRow, StateReplacement, Store
from bandit.store.corruption import reports_damage
from bandit.store.holdings import leaves_nothing_held


@dataclass(frozen=True, slots=True)
class EraseReport:
    """The numbers of deleted rows, and what an erasure did with the policies.

    `refitted` are the policies whose log was folded without the customer, `begun_anew` those that only their program
    can build, which learn the log again when it next opens the database. `warm_starts` are the policies whose first
    state was learned from another log, or taken over before a retention run, and may contain the customer.
    `older_copies` are files that may still contain the customer and are to be deleted by hand. `spools` belong to
    running processes and contain the customer: once they are in the database, the customer is to be erased again.
    """

    decisions: int
    events: int
    refitted: tuple[int, ...]
    begun_anew: tuple[int, ...]
    warm_starts: tuple[int, ...]
    older_copies: tuple[Path, ...]
    spools: tuple[Path, ...]


@reports_damage
@leaves_nothing_held
def erase(
    store: Store, customer: str, progress: Progress | None = None, *, timeout: float = REMOVAL_WAIT
) -> EraseReport:
    """Delete a customer: decisions, events, personal state, and what every policy learned from them.

    Each policy that learned from the customer is folded from its first state, step by step as it learned, over all
    outcomes but the customer's; its state is then the one it would have without that customer. A first state that was
    taken over from another policy is taken over again, from what that one knows without the customer. The base that a
    retention run kept is given up if the customer may be in it. Then the unused bytes of the file are set to zero, or a
    small file is rewritten, so that no byte of the customer is left in it or in its write-ahead log. InputError, and
    nothing changed, if there is no such customer; StoreError if a policy learned meanwhile or others do not release the
    file within `timeout` seconds.
    """
    key = store.customers.stored(customer)
    with store.one_state():
        store.customers.require_present_key()
    store.fold_spools()
    number = store.deletion.customer_number(key)
    policies = [row for row in store.catalogues.policies() if number is not None or _is_in_states(store, row, {key})]
    in_spools = store.deletion.spools_with([key])
    if number is None and not policies and not in_spools:
        if not store.deletion.remove_refused([key]) and not store.deletion.scrub_is_due():
            raise InputError(f"{store.path}: there is no such customer, so nothing was changed; check the key")
        store.deletion.scrub(timeout, progress)  # the last part of an erasure that was interrupted
        return EraseReport(0, 0, (), (), (), _older_copies(store), ())
    target = DeletionTarget(customer=number or 0)
    with learner_leases(store, policies, timeout) as renewing:
        replacements, warm_starts = _refit(store, policies, target, {key}, renewing(progress))
        words = [key, *store.deletion.decision_ids(target)]
        # Before the deletion, which makes these ids unknown, and again after it, for lines added meanwhile.
        store.deletion.remove_refused(words)
        replacements = [as_stored(each) for each in replacements]
        removed = store.deletion.delete(target, replacements, "erase", journal_details(replacements))
    store.deletion.remove_refused(words)
    store.deletion.scrub(timeout, progress)
    return EraseReport(
        removed.decisions,
        removed.events,
        folded_policies(replacements),
        unbuildable_policies(replacements),
        tuple(warm_starts),
        _older_copies(store),
        store.deletion.spools_with(words),
    )


def _refit(
    store: Store, rows: Sequence[PolicyRow], target: DeletionTarget, keys: Container[str], progress: Progress
) -> tuple[list[StateReplacement], list[int]]:
    """Return the new states of the policies that learned from a customer, and which of them had a warm start."""

    def of_others(outcomes: Outcomes) -> BoolArray:
        return np.array([key not in keys for key in outcomes.contexts.customers.tolist()], dtype=np.bool_)

    replacements, warm_starts = [], []
    firsts: dict[int, bytes] = {}
    for row in rows:  # a policy that took over a belief comes after the one that it took it from
        states = whole_states(store, row.id)
        in_base = row.base_step > 0 and _may_be_in_base(store, target)
        learned_first = store.deletion.first_learned_step(row.id, target)
        named = any(has_customers(state, keys) for state in states.values())
        if not states or not (in_base or learned_first is not None or named):
            continue
        newest = newest_step(store, row)
        catalogue = store.catalogues.get(row.catalogue_id)
        try:
            policy = build(catalogue, row.spec)
        except PolicyError:
            replacements.append(StateReplacement(row.id, newest, None))
            continue
        first = remove_customers(states[0], keys)
        carried = store.carried.of(row.id)
        again = None
        if carried is not None and is_carried(carried):
            from_bases = not _may_be_in_base(store, target)
            again = state_taken_over(store, carried, of_others, firsts, progress, from_bases=from_bases)
        if again is None and policy.dumps() != states[0]:
            warm_starts.append(row.id)
        first = firsts[row.id] = first if again is None else again
        # A base without the customer stays: the fold begins from it, as before.
        base = (
            None
            if in_base or not row.base_step or has_customers(states[row.base_step], keys)
            else states[row.base_step]
        )
        begin = 0 if base is None else row.base_step
        history = StateHistory(store, catalogue, row.id)
        state = fold(history, policy, first if base is None else base, (begin, newest), of_others, progress)
        # Until the first step that learned from the customer, the states are those that decided.
        from_the_start = (row.base_step and base is None) or has_customers(states[0], keys)
        changed_from = 0 if from_the_start else learned_first
        replacements.append(
            StateReplacement(row.id, newest, state, begin, base, row.decides_from, first, changed_from=changed_from)
        )
    return replacements, warm_starts


def _may_be_in_base(store: Store, target: DeletionTarget) -> bool:
    """Say whether a retention run may have removed decisions of this customer.

    Customers are numbered in order of arrival, so one whose number is above all of the removed decisions came later.
    """
    highest = 0
    for run in store.journal():
        if run.kind == "retain":
            number = run.details.get("last_customer")
            highest = max(highest, number if isinstance(number, int) else 0)
    return target.value <= highest


def _is_in_states(store: Store, row: PolicyRow, keys: Container[str]) -> bool:
    return any(has_customers(state, keys) for state in whole_states(store, row.id).values())


def _older_copies(store: Store) -> tuple[Path, ...]:
    return (*store.deletion.copies(), *store.deletion.unfinished_copies())

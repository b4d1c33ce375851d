"""Retention: delete decisions older than a moment, and keep what the policies learned from them."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from bandit.domain import BoolArray, Outcomes, Progress
from bandit.errors import PolicyError
from bandit.governance.removal import (
    REMOVAL_WAIT,
    fold,
    journal_details,
    learner_leases,
    newest_step,
    unbuildable_policies,
)
from bandit.governance.whole_states import as_stored, whole_states
from bandit.learning.policy_state import StateHistory
from bandit.policies import build
from bandit.policies.state_erasure import (
    anonymise_customers,
    has_customers,
    has_warmup_outcomes,
    remove_customers,
    without_sample,
)
from bandit.store import DeletionTarget, PolicyRow, StateReplacement, Store
from bandit.store.corruption import reports_damage
from bandit.store.holdings import leaves_nothing_held


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """The numbers of deleted rows or, of a dry run, of those that would be deleted.

    `base_steps` has for each policy the step that its fold begins from now. `begun_anew` are the policies that only
    their program can build, which learn the log again when it next opens the database. `done` is False for a dry run.
    """

    decisions: int
    events: int
    customers: int
    base_steps: dict[int, int]
    begun_anew: tuple[int, ...]
    done: bool


@reports_damage
@leaves_nothing_held
def retain(
    store: Store,
    before: int,
    progress: Progress | None = None,
    *,
    dry_run: bool = False,
    timeout: float = REMOVAL_WAIT,
) -> RetentionReport:
    """Delete the decisions made before a moment (microseconds since 1970 UTC), with their events and ledger rows.

    The policies keep what they learned from them; customers who have no decision left stay in their states without a
    name. The state after the last step that learned one of these decisions becomes the base that `rebuild` and
    `verify` begin from. A policy that has learned so little that its state still contains single outcomes is folded
    without the old ones. StoreError if another process does not release a lease or the file within `timeout` seconds.
    """
    target = DeletionTarget(before=before)
    count = store.deletion.count(target)
    if dry_run or not count.decisions:
        if not dry_run and store.deletion.scrub_is_due():
            store.deletion.scrub(timeout, progress)
        return RetentionReport(count.decisions, count.events, count.customers, {}, (), done=not dry_run)
    leaving = store.deletion.customers_without_decisions_since(before)
    rows = store.catalogues.policies()
    with learner_leases(store, rows, timeout) as renewing:
        rebased = [_rebase(store, row, target, leaving, renewing(progress)) for row in rows]
        replacements = [as_stored(each) for each in rebased if each is not None]
        details = {"before": before, "last_customer": store.deletion.last_customer(target)} | journal_details(
            replacements
        )
        removed = store.deletion.delete(target, replacements, "retain", details)
    store.deletion.scrub(timeout, progress)
    return RetentionReport(
        removed.decisions,
        removed.events,
        removed.customers,
        {each.policy_id: each.base_step for each in replacements if each.state is not None},
        unbuildable_policies(replacements),
        done=True,
    )


def _rebase(
    store: Store, row: PolicyRow, target: DeletionTarget, leaving: Container[str], progress: Progress
) -> StateReplacement | None:
    """Return a policy's new base and state; None if it learned from none of the decisions and names no one leaving."""
    last = store.deletion.last_learned_step(row.id, target)
    states = whole_states(store, row.id)
    if not states or (last is None and not any(has_customers(state, leaving) for state in states.values())):
        return None
    newest = newest_step(store, row)
    step = max(row.base_step, last or 0)
    catalogue = store.catalogues.get(row.catalogue_id)
    try:
        policy = build(catalogue, row.spec)
    except PolicyError:
        return StateReplacement(row.id, newest, None)

    def recent(outcomes: Outcomes) -> BoolArray:
        return outcomes.time >= target.value

    history = StateHistory(store, catalogue, row.id)
    base = fold(history, policy, states[row.base_step], (row.base_step, step), None, progress)
    first = remove_customers(states[0], leaving)
    policy = build(catalogue, row.spec)
    if has_warmup_outcomes(base):
        state = fold(history, policy, first, (0, newest), recent, progress)
        return StateReplacement(row.id, newest, state, decides_from=newest + 1, first=first)
    named, base = base, without_sample(anonymise_customers(base, leaving))
    # Without its sample of outcomes a policy goes on otherwise than it did: what it decided cannot be computed again.
    same = without_sample(named) == named
    state = fold(history, policy, base, (step, newest), None, progress)
    if step == 0:
        decides = row.decides_from if same else newest + 1
        return StateReplacement(row.id, newest, state, decides_from=decides, first=base)
    decides = max(step, row.decides_from) if same else newest + 1
    return StateReplacement(row.id, newest, state, step, base, decides, first)

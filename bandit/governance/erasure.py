"""What a company owes its customers: to forget one, to keep nothing for ever, and to show what it holds.

A policy's state is a fold over the ledger of what it learned, so what it learned of some decisions is taken out by
leaving them out of the fold. To forget a customer folds everything again without that customer. To drop old decisions
keeps what was learned of them: the state after the last step that learned one of them becomes the base, from which the
fold begins from then on.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandit.clock import now
from bandit.domain import BoolArray, Outcomes, Policy, Progress
from bandit.errors import InputError, PolicyError, StoreError
from bandit.learning.learner import PolicyLearner
from bandit.policies import build
from bandit.policies.state_erasure import anonymise_customers, has_customers, has_warmup_outcomes, remove_customers
from bandit.store import DeletionTarget, Lease, PolicyRow, StateReplacement, Store, learning_lease

PATIENCE = 75.0
"""Seconds that a removal waits for others to let go of a lease or of the file: one of a process that was killed runs
out within 60."""

RENEWED = 15.0
"""Seconds after which a lease is renewed while a policy is folded."""

Stays = Callable[[Outcomes], BoolArray]


@dataclass(frozen=True, slots=True)
class EraseReport:
    """What was taken out; which policies were folded again, and which begin anew since only their program builds them.

    `older_copies` are the files that may still have the customer and are to be deleted by hand; `warm_starts` are the
    policies whose first state was learned from another log, which may have had the customer. `spools` are those of
    processes that are running, with the customer in them: once they are in the database, the customer is to be erased
    again.
    """

    decisions: int
    events: int
    refitted: tuple[int, ...]
    begun_anew: tuple[int, ...]
    warm_starts: tuple[int, ...]
    older_copies: tuple[Path, ...]
    spools: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What was taken out, or would be; `base_steps` has for each policy the step that its fold begins from now."""

    decisions: int
    events: int
    customers: int
    base_steps: dict[int, int]
    begun_anew: tuple[int, ...]
    done: bool


def erase(store: Store, customer: str, progress: Progress | None = None, *, patience: float = PATIENCE) -> EraseReport:
    """Forget a customer: decisions, events, personal state, and what every policy learned from them.

    Each policy that learned from the customer is folded again from its first state, step by step as it learned, over
    all outcomes but the customer's; so it comes to believe what it would have believed without that customer. What a
    retention run kept in a base is given up with it, where the customer may be in it. Then the file is rewritten, so
    that no byte of the customer is left in it or in its write-ahead log. InputError, and nothing changed, where there
    is no such customer; StoreError where a policy learned meanwhile or others do not let go of the file in time.
    """
    key = store.customers.stored(customer)
    store.fold_spools()
    number = store.deletion.customer_number(key)
    known = [row for row in store.catalogues.policies() if number is not None or _anywhere(store, row, {key})]
    in_spools = store.deletion.spools_with([key])
    if number is None and not known and not in_spools:
        if not store.deletion.remove_refused([key]) and not store.deletion.scrub_is_due():
            raise InputError(f"{store.path}: there is no such customer, so nothing was changed; check the key")
        store.deletion.scrub(patience)  # what an erasure that was ended early had left to do
        return EraseReport(0, 0, (), (), (), _older(store), ())
    doomed = DeletionTarget(customer=number or 0)
    with _alone(store, known, patience) as go_on:
        restarts, warm = _refits(store, known, doomed, {key}, go_on(progress))
        words = [key, *store.deletion.decision_ids(doomed)]
        # First, as nobody knows these ids any more once the decisions are gone; then for what came meanwhile.
        store.deletion.remove_refused(words)
        removed = store.deletion.delete(doomed, restarts, "erase", _counts(restarts))
    store.deletion.remove_refused(words)
    store.deletion.scrub(patience)
    return EraseReport(
        removed.decisions,
        removed.events,
        tuple(each.policy_id for each in restarts if each.state is not None),
        tuple(each.policy_id for each in restarts if each.state is None),
        tuple(warm),
        _older(store),
        store.deletion.spools_with(words),
    )


def retain(
    store: Store, before: int, progress: Progress | None = None, *, dry_run: bool = False, patience: float = PATIENCE
) -> RetentionReport:
    """Remove the decisions made before a moment (microseconds since 1970 UTC), with their events and ledger rows.

    What was learned of them stays in the policies, and customers who have no decision left stay in it without a name:
    the state after the last step that learned one of them becomes the base that `rebuild` and `verify` begin from. A
    policy that has learned so little that it still keeps outcomes as they came is folded again without them.
    """
    doomed = DeletionTarget(before=before)
    count = store.deletion.count(doomed)
    if dry_run or not count.decisions:
        if not dry_run and store.deletion.scrub_is_due():
            store.deletion.scrub(patience)
        return RetentionReport(count.decisions, count.events, count.customers, {}, (), done=not dry_run)
    gone = store.deletion.customers_without_decisions_since(before)
    rows = store.catalogues.policies()
    with _alone(store, rows, patience) as go_on:
        restarts = [
            restart for row in rows if (restart := _rebased(store, row, doomed, gone, go_on(progress))) is not None
        ]
        details = {"before": before, "last_customer": store.deletion.last_customer(doomed)} | _counts(restarts)
        removed = store.deletion.delete(doomed, restarts, "retain", details)
    store.deletion.scrub(patience)
    return RetentionReport(
        removed.decisions,
        removed.events,
        removed.customers,
        {each.policy_id: each.base_step for each in restarts if each.state is not None},
        tuple(each.policy_id for each in restarts if each.state is None),
        done=True,
    )


def _refits(
    store: Store, rows: Sequence[PolicyRow], doomed: DeletionTarget, keys: Container[str], progress: Progress
) -> tuple[list[StateReplacement], list[int]]:
    """Return the new states of the policies that learned from a customer, and which of them began with a warm start."""
    restarts, warm = [], []
    for row in rows:
        states = store.deletion.states(row.id)
        in_base = row.base_step > 0 and _may_be_in_base(store, doomed)
        learned = store.deletion.last_learned_step(row.id, doomed) is not None
        named = any(has_customers(state, keys) for state in states.values())
        if not states or not (in_base or learned or named):
            continue
        try:
            policy = build(store.catalogues.get(row.catalogue_id), row.spec)
        except PolicyError:
            restarts.append(StateReplacement(row.id, _newest(store, row), None))
            continue
        if policy.dumps() != states[0]:
            warm.append(row.id)
        first = remove_customers(states[0], keys)

        def stays(outcomes: Outcomes) -> BoolArray:
            return np.array([key not in keys for key in outcomes.contexts.customers.tolist()], dtype=np.bool_)

        # A base without the customer stays: the fold begins from it, as it did.
        base = (
            None
            if in_base or not row.base_step or has_customers(states[row.base_step], keys)
            else states[row.base_step]
        )
        begin = 0 if base is None else row.base_step
        seen = _newest(store, row)
        state = _folded(store, row, policy, first if base is None else base, (begin, seen), stays, progress)
        restarts.append(StateReplacement(row.id, seen, state, begin, base, decides_from=seen + 1, first=first))
    return restarts, warm


def _rebased(
    store: Store, row: PolicyRow, doomed: DeletionTarget, gone: Container[str], progress: Progress
) -> StateReplacement | None:
    """Return a policy's new base and state where it learned from decisions that go, or names who has none left."""
    last = store.deletion.last_learned_step(row.id, doomed)
    states = store.deletion.states(row.id)
    if not states or (last is None and not any(has_customers(state, gone) for state in states.values())):
        return None
    seen = _newest(store, row)
    step = max(row.base_step, last or 0)
    try:
        policy = build(store.catalogues.get(row.catalogue_id), row.spec)
    except PolicyError:
        return StateReplacement(row.id, seen, None)

    def stays(outcomes: Outcomes) -> BoolArray:
        return outcomes.time >= doomed.value

    base = _folded(store, row, policy, states[row.base_step], (row.base_step, step), None, progress)
    first = remove_customers(states[0], gone)
    if has_warmup_outcomes(base):
        fresh = build(store.catalogues.get(row.catalogue_id), row.spec)
        state = _folded(store, row, fresh, first, (0, seen), stays, progress)
        return StateReplacement(row.id, seen, state, decides_from=seen + 1, first=first)
    base = anonymise_customers(base, gone)
    policy = build(store.catalogues.get(row.catalogue_id), row.spec)
    state = _folded(store, row, policy, base, (step, seen), None, progress)
    if step == 0:
        return StateReplacement(row.id, seen, state, decides_from=row.decides_from, first=base)
    return StateReplacement(row.id, seen, state, step, base, max(step, row.decides_from), first)


def _folded(
    store: Store,
    row: PolicyRow,
    policy: Policy,
    state: bytes,
    steps: tuple[int, int],
    stays: Stays | None,
    progress: Progress,
) -> bytes:
    """Return the state after the steps (from, to], those outcomes left out that do not stay."""
    policy.loads(state)
    catalogue = store.catalogues.get(row.catalogue_id)
    learner = PolicyLearner(store, catalogue, row.catalogue_id, build(catalogue, row.spec))
    for step in range(steps[0] + 1, steps[1] + 1):
        outcomes = learner.learned(step)
        if stays is not None:
            outcomes = outcomes.take(stays(outcomes))
        policy.update(outcomes)
        progress(step, steps[1])
    return policy.dumps()


@contextmanager
def _alone(store: Store, rows: Sequence[PolicyRow], patience: float) -> Iterator[Callable[[Progress | None], Progress]]:
    """Have the learners' leases of these policies; yields what keeps them, as well as showing progress, step by step.

    StoreError where one cannot be had in `patience` seconds.
    """
    owner = f"removal-{secrets.token_hex(8)}"
    leases = [Lease(store.leases, learning_lease(row.id), owner, now) for row in rows]
    deadline = renewed = time.monotonic() + patience

    def keeping(progress: Progress | None) -> Progress:
        def step(done: int, total: int) -> None:
            nonlocal renewed
            if time.monotonic() > renewed + RENEWED:
                renewed = time.monotonic()
                for lease in leases:
                    lease.renew()
            if progress is not None:
                progress(done, total)

        return step

    try:
        for lease in leases:
            while not lease.take():
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"{store.path}: another process is learning and holds the lease {lease.name}, so nothing was "
                        "removed; give the command again when it is done"
                    )
                time.sleep(0.05)
        renewed = time.monotonic()
        yield keeping
    finally:
        for lease in leases:
            lease.release()


def _may_be_in_base(store: Store, doomed: DeletionTarget) -> bool:
    """Say whether decisions of this customer may be among those that a retention run removed.

    Customers are numbered as they come, so one with a higher number than all in those decisions came later.
    """
    highest = 0
    for run in store.journal():
        if run.kind == "retain":
            number = run.details.get("last_customer")
            highest = max(highest, number if isinstance(number, int) else 0)
    return doomed.value <= highest


def _anywhere(store: Store, row: PolicyRow, keys: Container[str]) -> bool:
    return any(has_customers(state, keys) for state in store.deletion.states(row.id).values())


def _older(store: Store) -> tuple[Path, ...]:
    return (*store.deletion.copies(), *store.deletion.unfinished_copies())


def _newest(store: Store, row: PolicyRow) -> int:
    return store.ledger.latest_step(row.id) or 0


def _counts(restarts: Sequence[StateReplacement]) -> dict[str, object]:
    return {
        "policies_folded_again": [each.policy_id for each in restarts if each.state is not None],
        "policies_begun_anew": [each.policy_id for each in restarts if each.state is None],
    }

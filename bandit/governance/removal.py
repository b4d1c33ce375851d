"""The steps that erasure and retention share: hold the learners' leases, and fold a policy's log in part.

A policy's state is the result of learning the log's steps in order, so what it learned from some decisions is removed
by folding the steps without them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bandit.clock import now
from bandit.domain import BoolArray, Outcomes, Policy, Progress
from bandit.errors import StoreError
from bandit.learning.guarded_update import GuardedFold
from bandit.learning.policy_state import StateHistory
from bandit.store import Lease, PolicyRow, StateReplacement, Store, learning_lease
from bandit.store.holdings import HoldingScope
from bandit.store.process_identity import owner_name

REMOVAL_WAIT = 75.0
"""Seconds that a removal waits for others to release a lease or the file: the lease of a process that was killed on
another machine, or in another container, ends within 60."""

LEASE_RENEWAL = 15.0
"""Seconds between two renewals of a lease while a policy is folded."""

KeepRows = Callable[[Outcomes], BoolArray]
"""Returns which outcomes of a step, (n,), stay in the fold."""


def fold(
    history: StateHistory,
    policy: Policy,
    state: bytes,
    steps: tuple[int, int],
    keep: KeepRows | None,
    progress: Progress,
) -> bytes:
    """Return a policy's state after the steps (from, to], learned from `state` on without the outcomes not kept."""
    first, last = steps

    def kept(step: int) -> Outcomes:
        outcomes = history.outcomes_of_step(step)
        return outcomes if keep is None else outcomes.take(keep(outcomes))

    guarded = GuardedFold(policy, state, kept, first)
    for step in range(first + 1, last + 1):
        guarded.learn(step)
        progress(step, last)
    return policy.dumps()


@contextmanager
def learner_leases(
    store: Store, rows: Sequence[PolicyRow], timeout: float
) -> Iterator[Callable[[Progress | None], Progress]]:
    """Hold the learners' leases of these policies; yield a wrapper of progress callbacks that renews them.

    StoreError if one is not free within `timeout` seconds.
    """
    owner = owner_name(f"removal-{secrets.token_hex(8)}")
    leases = [Lease(store.leases, learning_lease(row.id), owner, now) for row in rows]
    deadline = renewed = time.monotonic() + timeout

    def renewing(progress: Progress | None) -> Progress:
        def step(done: int, total: int) -> None:
            nonlocal renewed
            if time.monotonic() > renewed + LEASE_RENEWAL:
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
        with HoldingScope():  # what is left open inside is given up before the leases are, on the same connection
            yield renewing
    finally:
        for lease in leases:
            lease.release()


def newest_step(store: Store, row: PolicyRow) -> int:
    """Return the last step that a policy learned."""
    return store.ledger.latest_step(row.id) or 0


def folded_policies(replacements: Sequence[StateReplacement]) -> tuple[int, ...]:
    """Return the policies that have a new state."""
    return tuple(each.policy_id for each in replacements if each.state is not None)


def unbuildable_policies(replacements: Sequence[StateReplacement]) -> tuple[int, ...]:
    """Return the policies that only their program can build: they have no new state and learn the log again."""
    return tuple(each.policy_id for each in replacements if each.state is None)


def journal_details(replacements: Sequence[StateReplacement]) -> dict[str, object]:
    """Return what the journal says of the policies."""
    return {
        "policies_folded_again": list(folded_policies(replacements)),
        "policies_begun_anew": list(unbuildable_policies(replacements)),
    }

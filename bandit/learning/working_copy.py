"""A copy of a policy to learn on while the original goes on deciding."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from bandit.catalogue import Catalogue
from bandit.domain import InPlacePolicy, Policy
from bandit.errors import PolicyError
from bandit.policies.registry import build


def working_copy(
    catalogue: Catalogue, policy: Policy, decision_lock: AbstractContextManager[object]
) -> AbstractContextManager[WorkingCopy]:
    """Yield another policy of the same class and settings, with the same state where it can be copied with it.

    If the policy cannot be copied, yield the policy itself with `decision_lock` held, so that decisions wait.
    """
    copied = copy_in_state(policy)
    if copied is not None:
        return nullcontext(WorkingCopy(copied, in_state=True))
    another = _copy_of(catalogue, policy)
    if another is not policy:
        return nullcontext(WorkingCopy(another, in_state=False))
    return _LockedPolicy(decision_lock, WorkingCopy(policy, in_state=True))


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """A policy to learn on; without `in_state` it has the first state, and the caller loads another."""

    policy: Policy
    in_state: bool


class _LockedPolicy(AbstractContextManager[WorkingCopy]):
    """The policy that decides, changed in place while its decision lock is held."""

    def __init__(self, lock: AbstractContextManager[object], policy: WorkingCopy) -> None:
        self._lock, self._policy = lock, policy

    def __enter__(self) -> WorkingCopy:
        self._lock.__enter__()
        return self._policy

    def __exit__(self, *raised: object) -> None:
        self._lock.__exit__(*raised)  # type: ignore[arg-type]


def copy_in_state(policy: Policy) -> Policy | None:
    """Return a copy with the same state, None where the policy has no quick way to be copied."""
    if not isinstance(policy, InPlacePolicy):
        return None
    try:
        return policy.copy()
    except Exception:  # noqa: BLE001 - a class of the caller's own may fail to copy in any way
        return None


def _copy_of(catalogue: Catalogue, policy: Policy) -> Policy:
    """Return a policy built from the same specification, or else a deep copy, or else the policy itself."""
    try:
        another = build(catalogue, policy.spec())
    except PolicyError:
        another = None
    if type(another) is type(policy):
        return another
    try:
        return copy.deepcopy(policy)
    except Exception:  # noqa: BLE001 - a class of the caller's own may fail to copy in any way
        return policy

"""A copy of a policy to learn on while the original goes on deciding."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext

from bandit.catalogue import Catalogue
from bandit.domain import Policy
from bandit.errors import PolicyError
from bandit.policies.registry import build


def working_copy(
    catalogue: Catalogue, policy: Policy, decision_lock: AbstractContextManager[object]
) -> AbstractContextManager[Policy]:
    """Yield another policy of the same class and settings, whose state the caller loads.

    If the policy cannot be copied, yield the policy itself with `decision_lock` held, so that decisions wait.
    """
    another = _copy_of(catalogue, policy)
    return nullcontext(another) if another is not policy else _LockedPolicy(decision_lock, policy)


class _LockedPolicy(AbstractContextManager[Policy]):
    """The policy that decides, changed in place while its decision lock is held."""

    def __init__(self, lock: AbstractContextManager[object], policy: Policy) -> None:
        self._lock, self._policy = lock, policy

    def __enter__(self) -> Policy:
        self._lock.__enter__()
        return self._policy

    def __exit__(self, *raised: object) -> None:
        self._lock.__exit__(*raised)  # type: ignore[arg-type]


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

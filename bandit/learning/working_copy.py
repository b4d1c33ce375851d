"""A policy that is brought to another state while the one of today goes on deciding."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext

from bandit.catalogue import Catalogue
from bandit.domain import Policy
from bandit.errors import PolicyError
from bandit.policies.registry import build


def working_copy(
    catalogue: Catalogue, policy: Policy, deciding: AbstractContextManager[object]
) -> AbstractContextManager[Policy]:
    """Yield another policy of the same settings, to be brought to a state; the policy itself where there is none.

    In that case decisions wait: `deciding` is held.
    """
    fresh = _another(catalogue, policy)
    return nullcontext(fresh) if fresh is not policy else _Held(deciding, policy)


class _Held(AbstractContextManager[Policy]):
    """A policy that is changed in place, under the lock of those who decide by it."""

    def __init__(self, lock: AbstractContextManager[object], policy: Policy) -> None:
        self._lock, self._policy = lock, policy

    def __enter__(self) -> Policy:
        self._lock.__enter__()
        return self._policy

    def __exit__(self, *raised: object) -> None:
        self._lock.__exit__(*raised)  # type: ignore[arg-type]


def _another(catalogue: Catalogue, policy: Policy) -> Policy:
    """Return a policy of the same class and settings, whose state is to be loaded; the same one where there is none."""
    try:
        fresh = build(catalogue, policy.spec())
    except PolicyError:
        fresh = None
    if type(fresh) is type(policy):
        return fresh
    try:
        return copy.deepcopy(policy)
    except Exception:  # noqa: BLE001 - whatever a class of the caller's own cannot do
        return policy

"""What a catalogue's groups and roll-out would serve with a policy, as one policy for replays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, ObjectArray, Outcomes, Policy
from bandit.errors import InputError
from bandit.rollout.serving import ArmServer, routing_labels
from bandit.rollout.state import RolloutState, declared_state


class DeclaredPolicy:
    """A policy inside a catalogue's declared groups and roll-out: each customer is served by its group and its arm.

    It learns what the groups that teach have earned. The customers' numbers need their keys in stored form; InputError
    for contexts without customers.
    """

    def __init__(self, catalogue: Catalogue, policy: Policy) -> None:
        """Take the policy that learns."""
        self._catalogue = catalogue
        self._policy = policy
        self._server = ArmServer(catalogue)
        self._state: RolloutState = declared_state(catalogue)
        self.name = f"{policy.name}, as declared"

    @property
    def learns(self) -> bool:
        """Whether the policy inside learns."""
        return self._policy.learns

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:
        """Return the (n, N) probabilities, each row's by the arm of its customer."""
        labels = self._groups(contexts)
        concerned = self._server.concerned(labels, contexts.n, self._state)
        place = self._state.assign(contexts.customers[concerned])
        routing = routing_labels(labels, self._state, concerned, place, contexts.n)
        return self._server.served(self._state).routed(self._policy, routing).probabilities(contexts, eligible, rng)

    def update(self, outcomes: Outcomes) -> None:
        """Learn from the outcomes of the groups that teach."""
        silent = self._catalogue.silent_groups
        if not silent:
            self._policy.update(outcomes)
            return
        teaches = ~np.isin(np.array(self._groups(outcomes.contexts), dtype=object), silent)
        if teaches.any():
            self._policy.update(outcomes.take(np.flatnonzero(teaches)))

    def spec(self) -> Mapping[str, object]:
        """Return the description of the policy inside, with a mark."""
        return {"kind": "declared", "policy": dict(self._policy.spec())}

    def dumps(self) -> bytes:
        """Return what the policy inside learned."""
        return self._policy.dumps()

    def loads(self, state: bytes) -> None:
        """Replace what the policy inside learned."""
        self._policy.loads(state)

    def _groups(self, contexts: Contexts) -> str | Sequence[str]:
        if len(contexts.customers) != contexts.n:
            raise InputError(
                "the log names no customers, and groups and roll-outs are dealt by customer; import a customer column"
            )
        groups = self._catalogue.groups
        if groups is None:
            return "policy"
        names: ObjectArray = np.array(groups.names, dtype=object)
        return list(names[groups.assign(contexts.customers)])

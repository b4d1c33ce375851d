"""The base class of policies that learn nothing."""

from __future__ import annotations

from bandit.domain import Outcomes
from bandit.errors import PolicyError


class Stateless:
    """A policy without a state; abstract: a policy adds its name, probabilities and spec."""

    learns = False

    def update(self, outcomes: Outcomes) -> None:
        """Learn nothing."""

    def dumps(self) -> bytes:
        """Return nothing: nothing is learned."""
        return b""

    def loads(self, state: bytes) -> None:
        """Accept only an empty state; PolicyError for any other."""
        if state:
            raise PolicyError(f"a policy that learns nothing was given a state of {len(state)} bytes; leave it out")

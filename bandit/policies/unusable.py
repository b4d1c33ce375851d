"""A policy of a database whose stored settings are not allowed any more: the fallback serves, and it says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from bandit.errors import PolicyError
from bandit.policies.registry import POLICY_KINDS, build

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, Contexts, FloatArray, Outcomes, Policy


class UnusablePolicy:
    """Stands in for a stored policy that cannot be built, so that an engine opens and serves the fallback.

    Whatever it is asked raises PolicyError with the reason, which decisions and the engine's status then name.
    """

    learns = False

    def __init__(self, spec: Mapping[str, object], reason: str) -> None:
        self._spec = spec
        self._reason = reason
        self.name = str(spec.get("name", spec.get("kind")))

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002
        """Raise the reason."""
        self._raise()

    def update(self, outcomes: Outcomes) -> None:  # noqa: ARG002
        """Raise the reason."""
        self._raise()

    def spec(self) -> Mapping[str, object]:
        """Return the description as it is stored."""
        return self._spec

    def dumps(self) -> bytes:
        """Raise the reason."""
        self._raise()

    def loads(self, state: bytes) -> None:  # noqa: ARG002
        """Raise the reason."""
        self._raise()

    def _raise(self) -> NoReturn:
        raise PolicyError(self._reason)


def build_stored(catalogue: Catalogue, spec: Mapping[str, object]) -> Policy:
    """Return the policy of a stored description, or what stands in for it where its settings are not allowed.

    PolicyError for a kind that only its own program can build.
    """
    try:
        return build(catalogue, spec)
    except PolicyError as fault:
        if spec.get("kind") not in POLICY_KINDS:
            raise
        return UnusablePolicy(spec, f"{fault}; register a policy with other settings")

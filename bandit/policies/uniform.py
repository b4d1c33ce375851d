"""The policy that chooses at random among the eligible offers."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray
from bandit.policies.probabilities import uniform_over
from bandit.policies.stateless import Stateless


class Uniform(Stateless):
    """All eligible offers have the same probability."""

    name = "uniform"

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002
        """Return 1 / (number eligible) for each eligible offer, (n, N)."""
        return uniform_over(eligible)

    def spec(self) -> Mapping[str, object]:
        """Return the kind."""
        return {"kind": "uniform"}

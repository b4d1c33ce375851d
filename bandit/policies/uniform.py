"""The policy that chooses at random among the eligible offers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.catalogue.segments import IsEligible
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray
from bandit.policies.probabilities import uniform_over
from bandit.policies.stateless import Stateless


class Uniform(Stateless):
    """All eligible offers have the same probability."""

    name = "uniform"
    exploration = 1.0
    draw_sets = 1

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def named(self, contexts: Contexts, is_eligible: IsEligible) -> IntArray:  # noqa: ARG002
        """Return -1 for each of n contexts: every eligible offer is as probable."""
        return np.full(contexts.n, -1, dtype=np.int64)

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002
        """Return 1 / (number eligible) for each eligible offer, (n, N)."""
        return uniform_over(eligible)

    def spec(self) -> Mapping[str, object]:
        """Return the kind."""
        return {"kind": "uniform"}

"""The base of the adapters: a library that returns its choice, as a deterministic policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Outcomes
from bandit.encoding.encoder import Encoder
from bandit.errors import PolicyError

SETTLED_AFTER = 500
"""Outcomes after which the unit of rewards no longer changes."""


class Chooser(ABC):
    """The abstract base of adapters; obeys `bandit.domain.Policy`.

    A library draws its own random numbers, so the vector has a 1 at its choice. That is not a propensity, and is not
    used as one: the benchmark counts the true values of the choices.
    """

    learns = True

    def __init__(self, catalogue: Catalogue, seed: int) -> None:
        self.catalogue = catalogue
        self.seed = seed

    @property
    @abstractmethod
    def name(self) -> str:
        """The library's name."""

    @abstractmethod
    def choose(self, contexts: Contexts, eligible: BoolArray) -> IntArray:
        """Return the (n,) eligible offers that the library chooses."""

    @abstractmethod
    def update(self, outcomes: Outcomes) -> None:
        """Update the library's model."""

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002 - the protocol's signature; the library has its own
        """Return (n, N): 1 at the library's choice."""
        vector = np.zeros(eligible.shape)
        vector[np.arange(contexts.n), self.choose(contexts, eligible)] = 1.0
        return vector

    def spec(self) -> Mapping[str, object]:
        """Return the library's name and the seed."""
        return {"kind": self.name, "seed": self.seed}

    def dumps(self) -> bytes:
        """Raise PolicyError: adapters have no stored state."""
        raise PolicyError(f"the adapter of {self.name} does not store states; run it again from the start")

    def loads(self, state: bytes) -> None:
        """Raise PolicyError: adapters have no stored state."""
        raise PolicyError(f"the adapter of {self.name} does not read states ({len(state)} bytes were sent)")


class PeerColumns:
    """Contexts and offers as the engine's own columns, without those that are always 0 in simulated data.

    Simulated facts are never missing and never unknown, so the columns for these cases are left out; numeric facts are
    standardised by the scale that the catalogue declares.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._encoder = Encoder(catalogue)
        names = self._encoder.context_names
        self._used = np.array([not name.endswith(("=other", "=missing")) for name in names])
        self.offers = self._encoder.offers.main
        self.pairs = self._encoder.offers.pairs

    @property
    def d(self) -> int:
        """The number of context columns, the intercept among them."""
        return int(self._used.sum())

    def contexts(self, contexts: Contexts) -> FloatArray:
        """Return the (n, d) context columns."""
        return self._encoder.context_matrix(contexts)[:, self._used]


class RewardUnit:
    """The root mean square of rewards, fixed after 500 outcomes: scales money to about 1."""

    def __init__(self) -> None:
        self.n = 0
        self.squares = 0.0

    def scaled(self, reward: FloatArray) -> FloatArray:
        """Update the unit with (n,) rewards and return them divided by it."""
        if self.n < SETTLED_AFTER:
            self.n += len(reward)
            self.squares += float((reward**2).sum())
        return np.asarray(reward / np.sqrt(self.squares / self.n if self.squares > 0 else 1.0))

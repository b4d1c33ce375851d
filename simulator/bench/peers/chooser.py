"""What the adapters have in common: a peer that names its choice, as a policy that is certain of it."""

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
"""Outcomes after which the unit of rewards is settled for good."""


class Chooser(ABC):
    """A peer behind `bandit.domain.Policy`; abstract: an adapter chooses and learns.

    A peer draws by itself, so the vector has a 1 at its choice. That is no propensity, and nothing here uses it as
    one: the benchmark counts what the choices are truly worth.
    """

    learns = True

    def __init__(self, catalogue: Catalogue, seed: int) -> None:
        self.catalogue = catalogue
        self.seed = seed

    @property
    @abstractmethod
    def name(self) -> str:
        """The peer's name."""

    @abstractmethod
    def choose(self, contexts: Contexts, eligible: BoolArray) -> IntArray:
        """Return the (n,) eligible offers that the peer takes."""

    @abstractmethod
    def update(self, outcomes: Outcomes) -> None:
        """Let the peer learn."""

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002 - the protocol's signature; the peer has its own
        """Return (n, N): 1 at the peer's choice."""
        vector = np.zeros(eligible.shape)
        vector[np.arange(contexts.n), self.choose(contexts, eligible)] = 1.0
        return vector

    def spec(self) -> Mapping[str, object]:
        """Return the peer's name and seed."""
        return {"kind": self.name, "seed": self.seed}

    def dumps(self) -> bytes:
        """Refuse: nobody stores a peer's state here."""
        raise PolicyError(f"the adapter of {self.name} does not store states; run it again from the start")

    def loads(self, state: bytes) -> None:
        """Refuse likewise."""
        raise PolicyError(f"the adapter of {self.name} does not read states ({len(state)} bytes were sent)")


class PeerColumns:
    """Contexts and offers as numbers, the same that the engine sees, without columns that are always 0 here.

    Simulated facts are never missing and never unheard of, so those columns go; numeric facts come standardised
    by the scale that the catalogue declares.
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
    """The root mean square of rewards so far, settled after 500 outcomes: brings money to about 1."""

    def __init__(self) -> None:
        self.n = 0
        self.squares = 0.0

    def scaled(self, reward: FloatArray) -> FloatArray:
        """Take rewards in, and return them in units."""
        if self.n < SETTLED_AFTER:
            self.n += len(reward)
            self.squares += float((reward**2).sum())
        return np.asarray(reward / np.sqrt(self.squares / self.n if self.squares > 0 else 1.0))

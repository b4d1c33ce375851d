"""The self-test: the logging policy judged on its own log, where the result is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.diagnostics.findings import DiagnosticCheck, Finding, share
from bandit.ope import Feedback

if TYPE_CHECKING:
    from bandit.domain import FloatArray, IntArray

MAX_ROUNDING = 1e-6
"""Probabilities that differ by no more are the same."""


@dataclass(frozen=True, slots=True)
class PropensityAgreement:
    """How far logged propensities are from those recomputed by the policy said to have written the log."""

    largest: float
    mean: float
    differing: int

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class SelfTest(DiagnosticCheck):
    """The logging policy on its own log: weights must be 1, and ips must be the realised mean.

    `weight_error` is the largest `|weight - 1|`, and `value_error` is `|ips - realised mean|` in units of the mean
    `|reward|`.
    `recomputed` is None where the policy that wrote the log is not at hand.
    """

    n: int
    weight_error: float
    value_error: float
    recomputed: PropensityAgreement | None

    @property
    def name(self) -> str:
        """What was checked, as a key."""
        return "self-test"

    def finding(self) -> Finding | None:
        """Return a fatal finding where the sums are wrong, a doubt where another policy wrote the log."""
        if max(self.weight_error, self.value_error) > MAX_ROUNDING:
            return self._finding(
                "fatal",
                f"the policy that wrote the log, judged on its own log, has weights up to {self.weight_error:.2g} "
                "from 1 and does not give the realised mean",
            )
        again = self.recomputed
        if again is None or again.largest <= MAX_ROUNDING:
            return None
        return self._finding(
            "doubt",
            f"the policy said to have written the log gives {again.differing:,} of {self.n:,} decisions "
            f"({share(again.differing / self.n)}) another probability than was logged, up to {again.largest:.2g} apart "
            f"({again.mean:.2g} on average): it is another policy, or it has learned since",
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        again = None if self.recomputed is None else self.recomputed.to_dict()
        return self._to_json("n", "weight_error", "value_error") | {"recomputed": again}


class SelfTestSums:
    """Adds up what the self-test compares, batch by batch, in fixed memory."""

    def __init__(self) -> None:
        self._n, self._weight_error = 0, 0.0
        self._reward, self._weighted, self._size = 0.0, 0.0, 0.0
        self._largest, self._apart, self._differing, self._recomputed = 0.0, 0.0, 0, False

    def add(
        self, reward: FloatArray, propensity: FloatArray, offer: IntArray, probabilities: FloatArray | None = None
    ) -> None:
        """Add n decisions; `probabilities` (n, N) are those of the policy said to have written the log."""
        if not len(reward):
            return
        rows = Feedback(reward, propensity, propensity).rows()
        self._n += len(reward)
        self._weight_error = max(self._weight_error, float(np.abs(rows.weight - 1.0).max()))
        self._reward += float(reward.sum())
        self._weighted += float((rows.weight * rows.reward).sum())
        self._size += float(np.abs(reward).sum())
        if probabilities is not None:
            apart = np.abs(probabilities[np.arange(len(offer)), offer] - propensity)
            self._recomputed = True
            self._largest = max(self._largest, float(apart.max()))
            self._apart += float(apart.sum())
            self._differing += int((apart > MAX_ROUNDING).sum())

    def __add__(self, other: SelfTestSums) -> SelfTestSums:
        both = SelfTestSums()
        both._n, both._weight_error = self._n + other._n, max(self._weight_error, other._weight_error)
        both._reward, both._weighted = self._reward + other._reward, self._weighted + other._weighted
        both._size, both._apart = self._size + other._size, self._apart + other._apart
        both._largest, both._differing = max(self._largest, other._largest), self._differing + other._differing
        both._recomputed = self._recomputed or other._recomputed
        return both

    def result(self) -> SelfTest:
        """Return the self-test of the decisions added so far."""
        again = None
        if self._recomputed:
            again = PropensityAgreement(self._largest, self._apart / self._n, self._differing)
        error = abs(self._weighted - self._reward) / self._size if self._size else 0.0
        return SelfTest(self._n, self._weight_error, error, again)

"""Scales of numeric facts: declared by the catalogue, or fitted to a batch of contexts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import Contexts, FloatArray

CLIP = 5.0
"""Standardised numeric facts are clipped to +-CLIP, so that one outlier cannot dominate a belief."""


@dataclass(frozen=True, slots=True)
class FactScale:
    """How a numeric fact is standardised: (value - center) / scale."""

    center: float
    scale: float

    @staticmethod
    def from_plain(numbers: object) -> FactScale:
        """Return the scale of a list of two numbers; ValueError or TypeError for anything else."""
        center, scale = map(float, numbers)  # type: ignore[call-overload]  # TypeError where it is not a list
        if not (math.isfinite(center) and math.isfinite(scale) and scale > 0.0):
            raise ValueError("a fact's scale is not finite and above 0")
        return FactScale(center, scale)


UNKNOWN_SCALE = FactScale(0.0, math.inf)
"""The scale of a numeric fact of which too few values were seen: every value counts as 0, the mean."""

SCALE_VALUES = 30
"""Values of a numeric fact after which its scale is fixed where it was added to a policy that had learned already."""


@dataclass(frozen=True, slots=True)
class ScaleMoments:
    """Number, mean and sum of squared deviations of the values of a fact that has no scale yet."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def with_values(self, values: FloatArray) -> ScaleMoments:
        """Return the moments with more values, (n,), without missing ones (Chan, Golub & LeVeque 1979).

        >>> ScaleMoments().with_values(np.array([1.0])).with_values(np.array([3.0]))
        ScaleMoments(n=2, mean=2.0, squares=2.0)
        """
        if not len(values):
            return self
        n, mean = self.n + len(values), float(values.mean())
        between = (mean - self.mean) ** 2 * self.n * len(values) / n
        squares = self.squares + float(((values - mean) ** 2).sum()) + between
        return ScaleMoments(n, self.mean + (mean - self.mean) * len(values) / n, squares)

    @property
    def scale(self) -> FactScale:
        """The scale of the fact, unknown while there are too few values or all of them are equal."""
        if self.n < SCALE_VALUES or not self.squares > 0.0:
            return UNKNOWN_SCALE
        return FactScale(self.mean, math.sqrt(self.squares / self.n))

    def to_plain(self) -> list[float]:
        """Return the three numbers."""
        return [self.n, self.mean, self.squares]

    @staticmethod
    def from_plain(numbers: object) -> ScaleMoments:
        """Return the moments that `to_plain` wrote; ValueError or TypeError for anything else."""
        n, mean, squares = map(float, numbers)  # type: ignore[call-overload]  # TypeError where it is not a list
        if not (math.isfinite(n) and math.isfinite(mean) and math.isfinite(squares) and n >= 0 and squares >= 0):
            raise ValueError("the values of a fact without a scale are not finite")
        return ScaleMoments(int(n), mean, squares)


def declared_scales(catalogue: Catalogue) -> dict[str, FactScale]:
    """Return the scales that the catalogue declares."""
    return {
        name: FactScale(fact.center, fact.scale)
        for name, fact in catalogue.facts.items()
        if fact.center is not None and fact.scale is not None
    }


def fit_scales(catalogue: Catalogue, contexts: Contexts) -> dict[str, FactScale]:
    """Return a scale for every numeric fact: as declared, else mean and standard deviation over these contexts."""
    scales = declared_scales(catalogue)
    for name, fact in catalogue.facts.items():
        if fact.kind == "numeric" and name not in scales:
            column = contexts.columns[name]
            observed = column[~np.isnan(column)]
            spread = float(observed.std()) if len(observed) else 0.0
            scales[name] = FactScale(float(observed.mean()) if len(observed) else 0.0, spread if spread > 0 else 1.0)
    return scales

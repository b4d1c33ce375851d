"""Scales of numeric facts: declared by the catalogue, or fitted to a batch of contexts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import Contexts, FloatArray

if TYPE_CHECKING:
    from bandit.encoding.shapes import FactShape

LARGEST_LEARNED = 1e150
"""Values of a fact count as at most this much in its moments: the square of a larger one is more than a float holds."""

CLIP = 5.0
"""Standardised numeric facts are clipped to +-CLIP, so that one outlier cannot dominate a belief."""


@dataclass(frozen=True, slots=True)
class FactScale:
    """How a numeric fact is standardised: (value - center) / scale."""

    center: float
    scale: float

    def standardised(self, values: FloatArray) -> FloatArray:
        """Return the standardised values (n,), within the clip; missing ones stay missing."""
        with np.errstate(over="ignore"):  # an infinite difference ends at the clip
            return np.clip((values - self.center) / self.scale, -CLIP, CLIP)

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
        values = np.clip(values, -LARGEST_LEARNED, LARGEST_LEARNED)
        n, mean = self.n + len(values), float(values.mean())
        between = (mean - self.mean) ** 2 * self.n * len(values) / n
        squares = self.squares + float(((values - mean) ** 2).sum()) + between
        return ScaleMoments(n, self.mean + (mean - self.mean) * len(values) / n, squares)

    @property
    def scale(self) -> FactScale:
        """The scale of the fact, unknown while there are too few values or all of them are equal."""
        if self.n < SCALE_VALUES or not self.squares > 0.0:
            return UNKNOWN_SCALE
        scale = math.sqrt(self.squares / self.n)
        return FactScale(self.mean, scale) if scale > 0.0 else UNKNOWN_SCALE  # a sum of the least floats there are

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


def fit_scales(
    catalogue: Catalogue, contexts: Contexts, shapes: Mapping[str, FactShape] | None = None
) -> dict[str, FactScale]:
    """Return a scale for every numeric fact: as declared, else mean and standard deviation over these contexts.

    The scale of a fact that is transformed, one of the `shapes`, is that of the transformed values.
    """
    scales = declared_scales(catalogue)
    shapes = shapes or {}
    for name, fact in catalogue.facts.items():
        if fact.kind == "numeric" and (name in shapes or name not in scales):
            column = fact.learned(np.asarray(contexts.columns[name], dtype=np.float64))
            observed = column[~np.isnan(column)]
            scales[name] = scale_of(shapes[name].values(observed) if name in shapes else observed)
    return scales


def scale_of(observed: FloatArray) -> FactScale:
    """Return mean and standard deviation of values (n,) without missing ones; a deviation of 0 counts as 1.

    >>> scale_of(np.array([1.0, 3.0]))
    FactScale(center=2.0, scale=1.0)
    """
    if not len(observed):
        return FactScale(0.0, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = float(observed.mean()), float(observed.std())
    if not (math.isfinite(mean) and math.isfinite(spread)):  # a sum, or a square, is more than a float holds
        largest = float(np.abs(observed).max())
        share = observed / largest
        mean, spread = float(share.mean()) * largest, float(share.std()) * largest
    return FactScale(mean, spread if spread > 0 else 1.0)

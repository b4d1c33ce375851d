"""Monotone transforms of numeric facts: money, ages, counts and days are often skewed, and models are linear.

A fact's transform is chosen from its values alone: the one after which they are most nearly normal. The measure is the
probability plot correlation (Filliben 1975, "The probability plot correlation coefficient test for normality"): with r
the correlation of the transformed values with the normal scores of their ranks, the misfit is 1 - r^2. It does not
depend on center and scale, and extreme values have no more weight in the scores than their ranks. A transform is used
where its misfit plus its penalty is the smallest: `TRANSFORM_PENALTIES`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from scipy.special import ndtri

from bandit.catalogue import Catalogue
from bandit.catalogue.facts import Fact
from bandit.domain import Contexts, FloatArray
from bandit.encoding.scales import SCALE_VALUES, FactScale, scale_of

Transform = Literal["none", "log", "rank", "auto"]
"""How a numeric fact is transformed; "auto" chooses one of the other three from its values."""

TRANSFORM_PENALTIES: Mapping[str, float] = {"none": 0.0, "log": 0.05, "rank": 0.2}
"""What is added to a misfit: uniform values (misfit .045) stay as they are, exponential ones (.19) do not."""

LOG_UNITS = tuple(4.0**power for power in range(-4, 2))
"""Units that are tried for the logarithm, as multiples of the median of the absolute values that are not 0."""

RANK_KNOTS = 33
"""Most points by which the transform to normal scores is held."""

MIN_APART = 1e-290
"""Least distance of two of these points, after the signed logarithm."""

SAMPLE_VALUES = 100
"""Values after which transform and scale are fixed of a fact that was added to a policy that had learned already."""

_MAX = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class LogShape:
    """The signed logarithm sign(x) log(1 + |x| / unit): linear well below the unit, logarithmic well above it."""

    unit: float
    name: ClassVar[str] = "log"

    def values(self, x: FloatArray) -> FloatArray:
        """Return the transformed values (n,); missing ones stay missing."""
        with np.errstate(over="ignore"):
            ratio = np.minimum(np.abs(x) / self.unit, _MAX)
        return np.asarray(np.copysign(np.log1p(ratio), x))

    def value(self, x: float) -> float:
        """Return one transformed value."""
        return math.copysign(math.log1p(min(abs(x) / self.unit, _MAX)), x)

    def to_plain(self) -> list[object]:
        """Return the kind and the unit."""
        return [self.name, self.unit]


_SQUASH = LogShape(1.0)


@dataclass(frozen=True, eq=False)
class RankShape:
    """The normal score of a value's rank, by (K,) `knots` of increasing values and their `scores`.

    Between knots it is linear in the signed logarithm, so that no difference of values overflows; beyond them constant.
    """

    knots: FloatArray
    scores: FloatArray
    name: ClassVar[str] = "rank"

    @cached_property
    def places(self) -> FloatArray:
        """The signed logarithms of the knots, (K,)."""
        return _SQUASH.values(self.knots)

    @cached_property
    def _lists(self) -> tuple[list[float], list[float]]:
        return self.places.tolist(), self.scores.tolist()

    def values(self, x: FloatArray) -> FloatArray:
        """Return the transformed values (n,); missing ones stay missing."""
        return np.interp(_SQUASH.values(x), self.places, self.scores)

    def value(self, x: float) -> float:
        """Return one transformed value."""
        places, scores = self._lists
        place = _SQUASH.value(x)
        after = bisect_right(places, place)
        if not 0 < after < len(places):
            return scores[min(after, len(places) - 1)]
        low, high = places[after - 1], places[after]
        slope = (scores[after] - scores[after - 1]) / (high - low)
        return slope * (place - low) + scores[after - 1]

    def to_plain(self) -> list[object]:
        """Return the kind, the knots and the scores."""
        return [self.name, self.knots.tolist(), self.scores.tolist()]


FactShape: TypeAlias = LogShape | RankShape
"""The transform of a numeric fact; one that stays as it is has none."""


def shape_from_plain(parts: object) -> FactShape:
    """Return the shape that `to_plain` wrote; ValueError, TypeError or IndexError for anything else."""
    if not isinstance(parts, list) or not parts:
        raise TypeError("a fact's transform is not a list")
    if parts[0] == "log":
        unit = float(parts[1])
        if not (math.isfinite(unit) and unit > 0.0):
            raise ValueError("the unit of a fact's logarithm is not finite and above 0")
        return LogShape(unit)
    if parts[0] != "rank":
        raise ValueError(f"{parts[0]!r} is not a transform of a fact")
    knots, scores = np.array(parts[1], dtype=np.float64), np.array(parts[2], dtype=np.float64)
    if knots.ndim != 1 or knots.shape != scores.shape or len(knots) < 2 or not np.isfinite([knots, scores]).all():
        raise ValueError("a fact's normal scores have other shapes, or numbers that are not finite")
    shape = RankShape(knots, scores)
    if not ((np.diff(shape.places) > 0).all() and (np.diff(scores) > 0).all()):
        raise ValueError("a fact's normal scores do not increase")
    return shape


def choose_shape(x: FloatArray, transform: Transform = "auto") -> FactShape | None:
    """Return the transform of a fact with these values (n,), without missing ones; None where they stay as they are.

    With "auto", fewer than SCALE_VALUES values or fewer than three distinct ones stay as they are.
    """
    if transform == "none":
        return None
    distinct, counts = np.unique(x, return_counts=True)
    if len(x) < SCALE_VALUES or len(distinct) < 3:
        return LogShape(1.0) if transform == "log" else None
    share = counts / len(x)
    scores = np.asarray(ndtri(np.cumsum(share) - 0.5 * share))
    if transform == "rank":
        return _rank_shape(distinct, scores)
    sizes = np.abs(x[x != 0.0])
    middle = float(np.median(sizes))
    shapes = [LogShape(min(max(middle * unit, 1e-300), 1e300)) for unit in LOG_UNITS]
    misfits = [_misfit(shape.values(distinct), scores, share) for shape in shapes]
    best = int(np.argmin(misfits))
    if transform == "log":
        return shapes[best]
    plain = _misfit(distinct / np.abs(distinct).max(), scores, share) + TRANSFORM_PENALTIES["none"]
    log, rank = misfits[best] + TRANSFORM_PENALTIES["log"], TRANSFORM_PENALTIES["rank"]
    if plain <= min(log, rank):
        return None
    return shapes[best] if log <= rank else _rank_shape(distinct, scores)


def _misfit(values: FloatArray, scores: FloatArray, share: FloatArray) -> float:
    """Return 1 - r^2, with r the correlation of the values (m,) with their normal scores, the `share` (m,) of each."""
    values, scores = values - share @ values, scores - share @ scores
    square = float(share @ values**2) * float(share @ scores**2)
    return 1.0 - float(share @ (values * scores)) ** 2 / square if square > 0.0 else 1.0


def _rank_shape(distinct: FloatArray, scores: FloatArray) -> RankShape | None:
    kept = np.unique(np.searchsorted(scores, np.linspace(scores[0], scores[-1], RANK_KNOTS)))
    kept = kept[kept < len(scores)]
    places = _SQUASH.values(distinct[kept])
    # Two numbers may be one after the logarithm, or so close that the slope between them is more than a float holds.
    apart = np.concatenate([[True], np.diff(places) > MIN_APART])
    kept = kept[apart]
    return RankShape(distinct[kept], scores[kept]) if len(kept) > 1 else None


def transform_of(fact: Fact, otherwise: Transform) -> Transform:
    """Return the transform of a numeric fact: as declared, none where its scale is declared, else `otherwise`."""
    return fact.transform or (otherwise if fact.center is None else "none")


def fit_shapes(catalogue: Catalogue, contexts: Contexts, otherwise: Transform) -> dict[str, FactShape]:
    """Return the transforms of the numeric facts that have one, from their values in these contexts.

    `otherwise` is the transform of facts for which the catalogue declares neither a transform nor a scale.
    """
    shapes: dict[str, FactShape] = {}
    for name, fact in catalogue.facts.items():
        if fact.kind == "numeric":
            column = fact.learned(np.asarray(contexts.columns[name], dtype=np.float64))
            shape = choose_shape(column[~np.isnan(column)], transform_of(fact, otherwise))
            if shape is not None:
                shapes[name] = shape
    return shapes


@dataclass(frozen=True, slots=True, eq=False)
class ValueSample:
    """The values seen so far of a fact that has neither transform nor scale yet, (n,), of whichever customers."""

    values: FloatArray

    def with_values(self, values: FloatArray) -> ValueSample:
        """Return the sample with more values, (n,), without missing ones."""
        return ValueSample(np.concatenate([self.values, values])) if len(values) else self

    @property
    def is_complete(self) -> bool:
        """Whether there are enough values, and not all of them are equal."""
        return len(self.values) >= SAMPLE_VALUES and float(self.values.min()) < float(self.values.max())

    def fit(self, transform: Transform) -> tuple[FactShape | None, FactScale]:
        """Return the transform and the scale of the values."""
        shape = choose_shape(self.values, transform)
        return shape, scale_of(self.values if shape is None else shape.values(self.values))

    @staticmethod
    def from_plain(numbers: object) -> ValueSample:
        """Return the sample of a list of numbers; ValueError or TypeError for anything else."""
        if not isinstance(numbers, list):
            raise TypeError("the values of a fact without a scale are not a list")
        values = np.array(numbers, dtype=np.float64)
        if values.ndim != 1 or not np.isfinite(values).all():
            raise ValueError("the values of a fact without a scale are not finite")
        return ValueSample(values)

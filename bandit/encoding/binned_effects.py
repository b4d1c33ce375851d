"""Nonlinear effects of numeric facts: indicators of quantile bins, reduced to a few columns beside the line."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import Contexts, FloatArray
from bandit.encoding.scales import FactScale
from bandit.encoding.shapes import FactShape

QUANTILE_BINS = 5
"""Bins of about equally many contexts that a fact is cut into."""

MAX_BIN_COLUMNS = 3
"""Most columns of a fact: five bins less the two dimensions (constant and slope) of the line leave three."""


@dataclass(frozen=True, eq=False)
class BinnedEffects:
    """The C columns of one fact: table[bin] - line[0] - line[1] x, with x the standardised value.

    `cuts` (B - 1,) are the bins' bounds in standardised values, `table` is (B, C), `line` (2, C).
    """

    cuts: FloatArray
    table: FloatArray
    line: FloatArray

    @cached_property
    def _lists(self) -> tuple[list[float], list[list[float]], list[list[float]]]:
        return self.cuts.tolist(), self.table.tolist(), self.line.tolist()

    @property
    def n_columns(self) -> int:
        """The number of columns, C."""
        return int(self.table.shape[1])

    def columns(self, x: FloatArray) -> FloatArray:
        """Return the (n, C) columns of standardised values (n,) without missing ones."""
        return np.asarray(
            self.table[np.searchsorted(self.cuts, x, side="right")] - self.line[0] - np.multiply.outer(x, self.line[1])
        )

    def row(self, x: float) -> list[float]:
        """Return the C columns of one value, in plain Python numbers: several times faster than arrays of length 1."""
        cuts, table, (constant, slope) = self._lists
        steps = table[bisect_right(cuts, x)]
        return [step - start - x * rise for step, start, rise in zip(steps, constant, slope, strict=True)]

    def to_plain(self) -> list[list[float] | list[list[float]]]:
        """Return cuts, table and line as lists of numbers."""
        return [self.cuts.tolist(), self.table.tolist(), self.line.tolist()]

    @staticmethod
    def from_plain(numbers: Sequence[Sequence[object]]) -> BinnedEffects:
        """Return the effects that `to_plain` wrote; ValueError or TypeError for anything else."""
        cuts, table, line = (np.array(part, dtype=np.float64) for part in numbers)
        fits = cuts.ndim == 1 and table.ndim == 2 and len(table) == len(cuts) + 1 and line.shape == (2, table.shape[1])
        if not fits or not all(np.isfinite(part).all() for part in (cuts, table, line)):
            raise ValueError("a fact's binned effects have other shapes, or numbers that are not finite")
        return BinnedEffects(cuts, table, line)


def fit_binned_effects(
    catalogue: Catalogue,
    contexts: Contexts,
    scales: Mapping[str, FactScale],
    shapes: Mapping[str, FactShape] | None = None,
) -> dict[str, BinnedEffects]:
    """Return the binned effects of the numeric facts whose values in these contexts are more than a straight line.

    The values of a fact that is transformed, one of the `shapes`, are the transformed ones.
    """
    values, shapes = {}, shapes or {}
    for name, fact in catalogue.facts.items():
        if fact.kind == "numeric":
            column = fact.learned(np.asarray(contexts.columns[name], dtype=np.float64))
            observed = column[~np.isnan(column)]
            if name in shapes:
                observed = shapes[name].values(observed)
            values[name] = scales[name].standardised(observed)
    return fit(values)


def fit(values: Mapping[str, FloatArray]) -> dict[str, BinnedEffects]:
    """Fit each fact's binned effects to its standardised values (n,), without the missing ones.

    The indicators of the bins, each divided by the root of the bin's share, minus their least-squares line in x, on
    the residuals' principal axes; the squares of a fact's columns sum to 1 in the mean over these values. A fact is
    left out where it has fewer than 10 values a bin, or where nothing remains beside the line.
    """
    fitted = {}
    for name, x in values.items():
        effects = _fit_one(x)
        if effects is not None:
            fitted[name] = effects
    return fitted


def _fit_one(x: FloatArray) -> BinnedEffects | None:
    if len(x) < 10 * QUANTILE_BINS:
        return None
    cuts = np.unique(np.quantile(x, np.arange(1, QUANTILE_BINS) / QUANTILE_BINS))
    bins = np.searchsorted(cuts, x, side="right")
    share = np.bincount(bins, minlength=len(cuts) + 1) / len(x)
    indicators = np.eye(len(cuts) + 1) / np.sqrt(np.maximum(share, 1e-9))
    line, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), indicators[bins], rcond=None)
    residual = indicators[bins] - line[0] - np.multiply.outer(x, line[1])
    _, size, axes = np.linalg.svd(residual / np.sqrt(len(x)), full_matrices=False)
    kept = axes[:MAX_BIN_COLUMNS][size[:MAX_BIN_COLUMNS] > 1e-3].T
    if not kept.size:
        return None
    kept /= np.sqrt(((residual @ kept) ** 2).sum(axis=1).mean())
    return BinnedEffects(cuts, indicators @ kept, line @ kept)

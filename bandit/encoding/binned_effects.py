"""What a numeric fact may do beyond a straight line: steps between its quantiles, as a few columns."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bandit.domain import FloatArray

BINS = 5
"""Bins of about equally many customers that a fact is cut into."""

KEPT = 3
"""Most columns of a fact: with five bins and a line taken out, there are no more."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The columns of one fact: table[bin] - line[0] - line[1] x, with x the standardised value.

    `cuts` (B - 1,) are in standardised values, `table` is (B, C), `line` (2, C).
    """

    cuts: FloatArray
    table: FloatArray
    line: FloatArray

    @cached_property
    def _plain(self) -> tuple[list[float], list[list[float]], list[list[float]]]:
        return self.cuts.tolist(), self.table.tolist(), self.line.tolist()

    @property
    def n_columns(self) -> int:
        """The number of columns, C."""
        return int(self.table.shape[1])

    def columns(self, x: FloatArray) -> FloatArray:
        """Return the (n, C) columns of standardised values (n,), none of which is missing."""
        return np.asarray(
            self.table[np.searchsorted(self.cuts, x, side="right")] - self.line[0] - np.multiply.outer(x, self.line[1])
        )

    def row(self, x: float) -> list[float]:
        """Return the C columns of one value, by plain numbers: several times quicker than by arrays of one."""
        cuts, table, (base, slope) = self._plain
        steps = table[bisect_right(cuts, x)]
        return [step - start - x * rise for step, start, rise in zip(steps, base, slope, strict=True)]

    def plain(self) -> list[list[float] | list[list[float]]]:
        """Return the numbers as plain lists."""
        return [self.cuts.tolist(), self.table.tolist(), self.line.tolist()]

    @staticmethod
    def of_plain(numbers: Sequence[Sequence[object]]) -> Curve:
        """Return the curve of `plain`; ValueError or TypeError where it is none."""
        cuts, table, line = (np.array(part, dtype=np.float64) for part in numbers)
        fits = cuts.ndim == 1 and table.ndim == 2 and len(table) == len(cuts) + 1 and line.shape == (2, table.shape[1])
        if not fits or not all(np.isfinite(part).all() for part in (cuts, table, line)):
            raise ValueError("its curves are none")
        return Curve(cuts, table, line)


def settle(values: Mapping[str, FloatArray]) -> dict[str, Curve]:
    """Return a curve for each fact whose standardised values, (n,) without the missing, have steps beyond a line.

    The indicators of the bins, each divided by the root of its share, less what a straight line explains of them, on
    their principal axes; all columns of a fact together have a mean square of 1 over these values.
    """
    found = {}
    for name, x in values.items():
        curve = _curve(x)
        if curve is not None:
            found[name] = curve
    return found


def _curve(x: FloatArray) -> Curve | None:
    if len(x) < 10 * BINS:
        return None
    cuts = np.unique(np.quantile(x, np.arange(1, BINS) / BINS))
    place = np.searchsorted(cuts, x, side="right")
    share = np.bincount(place, minlength=len(cuts) + 1) / len(x)
    unit = np.eye(len(cuts) + 1) / np.sqrt(np.maximum(share, 1e-9))
    line, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), unit[place], rcond=None)
    rest = unit[place] - line[0] - np.multiply.outer(x, line[1])
    _, size, axes = np.linalg.svd(rest / np.sqrt(len(x)), full_matrices=False)
    kept = axes[:KEPT][size[:KEPT] > 1e-3].T
    if not kept.size:
        return None
    kept /= np.sqrt(((rest @ kept) ** 2).sum(axis=1).mean())
    return Curve(cuts, unit @ kept, line @ kept)

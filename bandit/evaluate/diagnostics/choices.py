"""Check of the chosen offers against all probabilities of the policy that is said to have chosen them.

This is exact where `propensities` can only give bounds: the number of decisions that chose an option is compared with
the sum of its probabilities, with the Poisson-binomial variance sum p (1 - p), and a reliability table shows how often
offers of a probability around p were chosen. Deviations are bounded by Bernstein's inequality, so that rare options
cause no false alarms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.diagnostics.findings import SIGNIFICANCE, DiagnosticCheck, Finding, to_json
from bandit.evaluate.diagnostics.labels import OfferLabels

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, IntArray

PROBABILITY_EDGES = np.array([0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0])
"""Bounds of the bins of probability; a bin contains its upper bound, and 0 is in no bin."""


@dataclass(frozen=True, slots=True)
class ChoiceFrequency:
    """How often an option or a bin was chosen, and the sum of its probabilities; `p` is adjusted for all of its kind.

    For an option, `low` and `high` are 0 and 1; for a bin of the reliability table they are its bounds.
    """

    label: str
    low: float
    high: float
    expected: float
    observed: int
    z: float
    p: float

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {name: to_json(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ChoiceCalibration(DiagnosticCheck):
    """Whether the choices fit the probabilities they were drawn from, by option and by bin of probability.

    `impossible` counts decisions for an offer to which the policy gives the probability 0.
    """

    n: int
    impossible: int
    options: tuple[ChoiceFrequency, ...]
    bins: tuple[ChoiceFrequency, ...]

    @property
    def name(self) -> str:
        """What was checked, as a key."""
        return "choices"

    def finding(self) -> Finding | None:
        """Return a doubt where the choices are not those of these probabilities."""
        if self.impossible:
            return self._finding(
                "doubt",
                f"{self.impossible:,} of {self.n:,} decisions chose an offer to which the policy said to have written "
                "the log gives the probability 0",
            )
        off = [each for each in (*self.options, *self.bins) if each.p < SIGNIFICANCE / 2.0]
        worst = max(off, key=lambda each: abs(each.z), default=None)
        if worst is None:
            return None
        return self._finding(
            "doubt",
            f"the choices do not fit the probabilities of the policy said to have written the log: {worst.label} was "
            f"chosen {worst.observed:,} times where {worst.expected:,.0f} were to be expected",
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        tables = {"options": self.options, "bins": self.bins}
        return self._to_json("n", "impossible") | {
            key: [each.to_dict() for each in table] for key, table in tables.items()
        }


class ChoiceCounts:
    """Adds up choices and probabilities, batch by batch; memory does not depend on the log."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue, self.labels = catalogue, OfferLabels(catalogue)
        k, bins = self.labels.options.shape[1], len(PROBABILITY_EDGES) - 1
        self._options, self._bins = np.zeros((3, k)), np.zeros((3, bins))
        self._n, self._impossible, self._largest = 0, 0, 1.0

    def add(self, offer: IntArray, probabilities: FloatArray, stands_for: FloatArray | None = None) -> None:
        """Add n decisions: the offers chosen, (n,), and the (n, N) probabilities that they were drawn from.

        `stands_for` (n,) is how many decisions each row stands for, one by default.
        """
        chosen = probabilities[np.arange(len(offer)), offer]
        by_option = probabilities @ self.labels.options
        spread = np.maximum(by_option * (1.0 - by_option), 0.0)
        there = probabilities > 0.0
        cells = probabilities[there]
        cell_spread = np.maximum(cells * (1.0 - cells), 0.0)
        bins, size, own = _bin_of(cells), len(PROBABILITY_EDGES) - 1, _bin_of(chosen[chosen > 0.0])
        if stands_for is None:
            self._options += [self.labels.options[offer].sum(axis=0), by_option.sum(axis=0), spread.sum(axis=0)]
            self._bins += [
                np.bincount(own, minlength=size),
                np.bincount(bins, weights=cells, minlength=size),
                np.bincount(bins, weights=cell_spread, minlength=size),
            ]
        else:
            s, each = stands_for, np.broadcast_to(stands_for[:, None], there.shape)[there]
            self._options += [s @ self.labels.options[offer], s @ by_option, (s * s) @ spread]
            self._bins += [
                np.bincount(own, weights=s[chosen > 0.0], minlength=size),
                np.bincount(bins, weights=each * cells, minlength=size),
                np.bincount(bins, weights=each * each * cell_spread, minlength=size),
            ]
            self._largest = max(self._largest, float(s.max()))
        self._impossible += int((chosen <= 0.0).sum())
        self._n += len(offer)

    def __add__(self, other: ChoiceCounts) -> ChoiceCounts:
        both = ChoiceCounts(self._catalogue)
        both._options, both._bins = self._options + other._options, self._bins + other._bins
        both._n, both._impossible = self._n + other._n, self._impossible + other._impossible
        both._largest = max(self._largest, other._largest)
        return both

    def result(self, design_effect: float = 1.0) -> ChoiceCalibration:
        """Return the calibration so far; `design_effect` widens the errors for choices that depend on the customer."""
        names = [self.labels.label(1 + place) for place in range(self._options.shape[1])]
        effect, most = design_effect, self._largest
        options = _compared(self._options, effect, most, names, np.zeros(len(names)), np.ones(len(names)))
        lows, highs = PROBABILITY_EDGES[:-1], PROBABILITY_EDGES[1:]
        named = [
            f"the offers with a probability of {low:g} to {high:g}"
            for low, high in zip(lows.tolist(), highs.tolist(), strict=True)
        ]
        return ChoiceCalibration(
            self._n, self._impossible, options, _compared(self._bins, effect, most, named, lows, highs)
        )


def _bin_of(cells: FloatArray) -> IntArray:
    """Return the bin of each probability: a few comparisons, which are faster here than a search."""
    bins = np.zeros(len(cells), dtype=np.int64)
    for edge in PROBABILITY_EDGES[1:-1].tolist():
        bins += cells > edge
    return bins


def _compared(
    sums: FloatArray, effect: float, most: float, labels: list[str], low: FloatArray, high: FloatArray
) -> tuple[ChoiceFrequency, ...]:
    """Return one record a column of (3, C) sums: observed, expected, variance; `most` is the most that a row counts."""
    kept = np.flatnonzero(sums[:2].any(axis=0))
    observed, expected, variance = sums[:, kept]
    error = np.sqrt(effect * variance)
    off = observed - expected
    off[np.abs(off) <= 1e-9 * np.maximum(expected, 1.0)] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(off == 0.0, 0.0, off / error)
        # Bernstein: exp(-t^2 / (2 (variance + t / 3))), one row moving a count by at most `most` x the design effect.
        exponent = off**2 / (2.0 * (error**2 + effect * most * np.abs(off) / 3.0))
    p = np.minimum(2.0 * len(kept) * np.exp(-np.where(off == 0.0, 0.0, exponent)), 1.0)
    return tuple(
        ChoiceFrequency(
            labels[place],
            float(low[place]),
            float(high[place]),
            float(expected[column]),
            round(observed[column]),
            float(z[column]),
            float(p[column]),
        )
        for column, place in enumerate(kept.tolist())
    )

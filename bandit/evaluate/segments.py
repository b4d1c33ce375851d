"""The evaluation within each segment of the customers; the differences of all segments hold together."""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.evaluate.diagnostics import Finding
from bandit.evaluate.diagnostics.cures import cure_json
from bandit.evaluate.verdict import Comparison, Verdict, cure_of, verdict_and_reason
from bandit.ope import Tally
from bandit.ope.contrast import PolicyContrast, rarer_share
from bandit.ope.estimate import interval_cells
from bandit.ope.numbers import NumberFormat
from bandit.printable import counted
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, Contexts, IntArray
    from bandit.domain.mixed_numbers import UnsignedArray
    from bandit.evaluate.diagnostics.cures import Cure
    from bandit.evaluate.request import EvaluationRequest
    from bandit.ope import Estimate, Feedback, IntervalKind
    from bandit.ope.estimator import AnyEstimator
    from bandit.tabular import Cell

_QUARTILES = (0.25, 0.5, 0.75)

_UNFIT = Finding("support", "fatal", "the whole log cannot judge this policy")


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One policy in one segment; `difference` to the baseline is wide enough to hold for all segments together.

    `reason` gives the reason of the verdict in one sentence and `cure` what would help where it is "cannot tell"; all
    three are None for the baseline and without one.
    """

    policy: str
    value: Estimate
    difference: Estimate | None
    verdict: Verdict | None
    reason: str | None = None
    cure: Cure | None = None

    def cells(self) -> dict[str, Cell]:
        """Return the row as cells of a table."""
        return {
            "policy": self.policy,
            "verdict": self.verdict,
            "reason": self.reason,
            **interval_cells(self.value),
            **interval_cells(self.difference, "difference"),
        }

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "policy": self.policy,
            "value": self.value.to_dict(),
            "difference": None if self.difference is None else self.difference.to_dict(),
            "verdict": self.verdict,
            "reason": self.reason,
            "cure": cure_json(self.cure),
        }


@dataclass(frozen=True, slots=True)
class Segment(Tabular):
    """The `n` decisions with one value of a fact, and a row for each policy."""

    fact: str
    name: str
    n: int
    rows: tuple[SegmentRow, ...]

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        return f"{self.fact} = {self.name}: {counted(self.n, 'decision')}"

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a policy; the intervals of differences hold for all segments together."""
        return [{"fact": self.fact, "segment": self.name, "decisions": self.n, **row.cells()} for row in self.rows]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"fact": self.fact, "segment": self.name, "n": self.n, "rows": [row.to_dict() for row in self.rows]}


class FactSegmentation:
    """Assigns contexts to the segments of one fact; a numeric fact is cut at the quartiles of the first batch."""

    def __init__(self, catalogue: Catalogue, fact: str) -> None:
        if fact not in catalogue.facts:
            raise InputError(
                f'there is no fact "{fact}" to split by; declared are {", ".join(catalogue.facts) or "none"}'
            )
        self.fact = fact
        declared = catalogue.facts[fact]
        self.kind = declared.kind
        self.values = tuple(declared.values) if self.kind == "categorical" else ("no", "yes")
        self.edges: tuple[float, ...] | None = None

    def assign(self, contexts: Contexts) -> tuple[IntArray, tuple[str, ...]]:
        """Return the number of each row's segment, (n,), and the names of the segments."""
        column = contexts.columns[self.fact]
        if self.kind == "numeric":
            known = column[~np.isnan(column)]
            if self.edges is None:
                cuts = np.unique(np.quantile(known, _QUARTILES)) if len(known) else np.empty(0)
                self.edges = tuple(cuts.tolist())
            codes = np.searchsorted(np.array(self.edges), column)
            names = _ranges(self.edges)
        elif self.kind == "boolean":
            codes, names = np.nan_to_num(column, nan=2.0).astype(np.int64), self.values
        else:
            # Codes are -1 for a missing value and len(values) for one that is not declared.
            other = (*self.values, "not declared")
            return np.where(column < 0, len(other), column).astype(np.int64), (*other, "missing")
        return np.where(np.isnan(column), len(names), codes).astype(np.int64), (*names, "missing")


class SegmentSums:
    """What is added up in one segment: a tally, the contrasts with the baseline, and how many decisions earned."""

    def __init__(self, name: str, policies: int, estimators: Sequence[AnyEstimator]) -> None:
        self.name, self.tally = name, Tally(policies, estimators)
        self.contrasts = [PolicyContrast() for _ in range(policies)]
        self.n, self.decisions, self.earning = 0, 0.0, 0.0

    def add(self, feedback: Sequence[Feedback], earned: BoolArray, baseline: int | None) -> None:
        """Add the segment's rows of a batch."""
        self.tally.add(*feedback)
        stands_for = feedback[0].weight
        self.n += len(earned)
        self.decisions += float(len(earned) if stands_for is None else stands_for.sum())
        self.earning += float(earned.sum() if stands_for is None else stands_for @ earned)
        if baseline is not None:
            target = feedback[baseline].target
            for contrast, each in zip(self.contrasts, feedback, strict=True):
                contrast.add((each.target - target) / each.propensity, stands_for)

    def __add__(self, other: SegmentSums) -> SegmentSums:
        both = copy.copy(self)
        both.tally = self.tally + other.tally
        both.contrasts = [one + two for one, two in zip(self.contrasts, other.contrasts, strict=True)]
        both.n, both.decisions = self.n + other.n, self.decisions + other.decisions
        both.earning = self.earning + other.earning
        return both


class Segments:
    """Adds up every segment of some facts, batch by batch, by ips and by the default estimator."""

    def __init__(self, request: EvaluationRequest, facts: Sequence[str]) -> None:
        self._segmentations = [FactSegmentation(request.catalogue, fact) for fact in dict.fromkeys(facts)]
        self._policies, self._baseline = request.names, request.baseline_place
        kept = {"ips", request.estimators.default}
        self._estimators = [each for each in request.estimators.computed if each.name in kept]
        self._estimated = request.estimated
        self._binary = request.catalogue.objective.kind == "conversion"
        self._segments: dict[tuple[str, int], SegmentSums] = {}

    def add(self, contexts: Contexts, feedback: Sequence[Feedback], earned: BoolArray) -> None:
        """Add a batch, one feedback a policy, the logging policy's first; `earned` (n,) says which rows earned."""
        for segmentation in self._segmentations:
            codes, names = segmentation.assign(contexts)
            for code in np.unique(codes).tolist():
                key = (segmentation.fact, code)
                if key not in self._segments:
                    self._segments[key] = SegmentSums(names[code], len(self._policies), self._estimators)
                rows = codes == code
                self._segments[key].add([_rows_of(each, rows) for each in feedback], earned[rows], self._baseline)

    def start(self, contexts: Contexts) -> None:
        """Cut numeric facts at the quartiles of these contexts, those of the first batch of the log."""
        for segmentation in self._segmentations:
            segmentation.assign(contexts)

    def seal(self, hashes: UnsignedArray) -> None:
        """Complete the sums of each customer (`Tally.sealed`)."""
        for sums in self._segments.values():
            sums.tally = sums.tally.sealed(hashes)

    def __add__(self, other: Segments) -> Segments:
        """Return the sums over the decisions of both, which are sealed, have the same cuts and share no customer."""
        both = copy.copy(self)
        both._segments = dict(self._segments)
        for key, sums in other._segments.items():
            both._segments[key] = both._segments[key] + sums if key in both._segments else sums
        return both

    def results(
        self, estimator: str, level: float, interval: IntervalKind, unfit: frozenset[str]
    ) -> tuple[Segment, ...]:
        """Return the segments in order of fact and value; differences hold together at `level` (Bonferroni).

        The verdict on policies that are `unfit`, which the whole log cannot judge, is "cannot tell" in every segment.
        """
        judged = [place for place in range(1, len(self._policies)) if place != self._baseline]
        compared = max(1, len(judged) * len(self._segments))
        joint = 1.0 - (1.0 - level) / compared
        values = {
            key: [
                _by(sums.tally.estimates(place, level, interval), estimator) for place in range(1, len(self._policies))
            ]
            for key, sums in self._segments.items()
        }
        numbers = NumberFormat.of(each for row in values.values() for each in row)
        found = []
        for (fact, code), sums in sorted(self._segments.items()):
            rows = []
            for place, policy in enumerate(self._policies[1:], start=1):
                value = values[fact, code][place - 1]
                if self._baseline is None or place not in judged:
                    rows.append(SegmentRow(policy, value, None, None))
                    continue
                difference = _by(sums.tally.difference(place, self._baseline, joint, interval), estimator)
                comparison = Comparison(
                    baseline=self._policies[self._baseline],
                    is_baseline=False,
                    difference=replace(difference, level=level),
                    compared=compared,
                    estimated=self._estimated,
                    events=sums.contrasts[place].size * rarer_share(sums.earning, sums.decisions, binary=self._binary),
                    numbers=numbers,
                )
                why = (_UNFIT,) if policy in unfit else ()
                verdict, reason = verdict_and_reason(why, comparison)
                rows.append(SegmentRow(policy, value, difference, verdict, reason, cure_of(why, comparison)))
            found.append(Segment(fact, sums.name, sums.n, tuple(rows)))
        return tuple(found)


def _by(estimates: Sequence[Estimate], name: str) -> Estimate:
    return next(each for each in estimates if each.name == name)


def _rows_of(feedback: Feedback, rows: BoolArray) -> Feedback:
    columns = {field.name: getattr(feedback, field.name) for field in fields(feedback)}
    return replace(feedback, **{name: column[rows] for name, column in columns.items() if column is not None})


def _ranges(edges: Sequence[float]) -> tuple[str, ...]:
    if not edges:
        return ("all",)
    between = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    return (f"up to {edges[0]:.4g}", *between, f"above {edges[-1]:.4g}")

"""The same judgement within each segment of the customers, all of them together held to one level."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.evaluate.diagnostics.target import MIN_EVENTS, PolicyContrast, rarer
from bandit.evaluate.verdict import Verdict, verdict_of
from bandit.ope import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, Contexts, IntArray
    from bandit.ope import Estimate, Estimator, Feedback, IntervalKind

_QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One policy in one segment; `difference` to the baseline is wide enough to hold for all segments together."""

    policy: str
    value: Estimate
    difference: Estimate | None
    verdict: Verdict | None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "policy": self.policy,
            "value": self.value.to_dict(),
            "difference": None if self.difference is None else self.difference.to_dict(),
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Segment:
    """The decisions with one value of a fact, and the policies in them."""

    fact: str
    name: str
    n: int
    rows: tuple[SegmentRow, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"fact": self.fact, "segment": self.name, "n": self.n, "rows": [row.to_dict() for row in self.rows]}


class _Cut:
    """Deals contexts to the segments of one fact; a numeric fact is cut at the quartiles of the first batch."""

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

    def read(self, contexts: Contexts) -> tuple[IntArray, tuple[str, ...]]:
        """Return the number of each row's segment and the names of the segments."""
        column = contexts.columns[self.fact]
        if self.kind == "numeric":
            known = column[~np.isnan(column)]
            if self.edges is None:
                cuts = np.unique(np.quantile(known, _QUARTERS)) if len(known) else np.empty(0)
                self.edges = tuple(cuts.tolist())
            codes = np.searchsorted(np.array(self.edges), column)
            names = _bins(self.edges)
        elif self.kind == "boolean":
            codes, names = np.nan_to_num(column, nan=2.0).astype(np.int64), self.values
        else:
            # Codes are -1 for a missing value and len(values) for one that is not declared.
            other = (*self.values, "not declared")
            return np.where(column < 0, len(other), column).astype(np.int64), (*other, "missing")
        return np.where(np.isnan(column), len(names), codes).astype(np.int64), (*names, "missing")


class _Part:
    """What is known of one segment: its tally, what tells the policies from the baseline, and what was paid for."""

    def __init__(self, name: str, policies: int, estimators: Sequence[Estimator]) -> None:
        self.name, self.tally = name, Tally(policies, estimators)
        self.contrasts = [PolicyContrast() for _ in range(policies)]
        self.n = self.paid = 0

    def add(self, feedback: Sequence[Feedback], paid: BoolArray, baseline: int | None) -> None:
        self.tally.add(*feedback)
        self.n, self.paid = self.n + len(paid), self.paid + int(paid.sum())
        if baseline is not None:
            base = feedback[baseline].target
            for contrast, each in zip(self.contrasts, feedback, strict=True):
                contrast.add((each.target - base) / each.propensity)


class Segments:
    """Tallies of every segment of the facts asked for, streaming."""

    def __init__(
        self,
        catalogue: Catalogue,
        facts: Sequence[str],
        policies: Sequence[str],
        estimators: Sequence[Estimator],
        baseline: int | None,
    ) -> None:
        self._cuts = [_Cut(catalogue, fact) for fact in dict.fromkeys(facts)]
        self._policies, self._estimators, self._baseline = tuple(policies), tuple(estimators), baseline
        self._binary = catalogue.objective.kind == "conversion"
        self._parts: dict[tuple[str, int], _Part] = {}

    def add(self, contexts: Contexts, feedback: Sequence[Feedback], paid: BoolArray) -> None:
        """Add a batch, one feedback a policy, the logged one first; `paid` (n,) says which rows earned something."""
        for cut in self._cuts:
            codes, names = cut.read(contexts)
            for code in np.unique(codes).tolist():
                key = (cut.fact, code)
                if key not in self._parts:
                    self._parts[key] = _Part(names[code], len(self._policies), self._estimators)
                rows = codes == code
                self._parts[key].add([_rows_of(each, rows) for each in feedback], paid[rows], self._baseline)

    def answers(
        self, estimator: str, level: float, interval: IntervalKind, unfit: frozenset[str]
    ) -> tuple[Segment, ...]:
        """Return the segments in order of fact and value; differences hold together at `level` (Bonferroni).

        Of policies that are `unfit` to be judged by the whole log no segment tells.
        """
        judged = [place for place in range(1, len(self._policies)) if place != self._baseline]
        joint = 1.0 - (1.0 - level) / max(1, len(judged) * len(self._parts))
        found = []
        for (fact, _), part in sorted(self._parts.items()):
            rows = []
            for place, policy in enumerate(self._policies[1:], start=1):
                value = _by(part.tally.estimates(place, level, interval), estimator)
                difference: Estimate | None = None
                verdict: Verdict | None = None
                if self._baseline is not None and place in judged:
                    difference = _by(part.tally.difference(place, self._baseline, joint, interval), estimator)
                    few = part.contrasts[place].size * rarer(part.paid, part.n, self._binary) < MIN_EVENTS
                    verdict = "cannot tell" if few or policy in unfit else verdict_of(difference)
                rows.append(SegmentRow(policy, value, difference, verdict))
            found.append(Segment(fact, part.name, part.n, tuple(rows)))
        return tuple(found)


def _by(estimates: Sequence[Estimate], name: str) -> Estimate:
    return next(each for each in estimates if each.name == name)


def _rows_of(feedback: Feedback, rows: BoolArray) -> Feedback:
    given = {field.name: getattr(feedback, field.name) for field in fields(feedback)}
    return replace(feedback, **{name: column[rows] for name, column in given.items() if column is not None})


def _bins(edges: Sequence[float]) -> tuple[str, ...]:
    if not edges:
        return ("all",)
    between = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    return (f"up to {edges[0]:.4g}", *between, f"above {edges[-1]:.4g}")

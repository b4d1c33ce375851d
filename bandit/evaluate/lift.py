"""Verdicts on live groups of customers: what each earned more than another, and whether that can be told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from bandit.errors import InputError
from bandit.evaluate.diagnostics import Finding, sample_ratio
from bandit.evaluate.lift_results import GroupValue, Lift, LiftOptions, LiftPart, LiftRow
from bandit.evaluate.verdict import Comparison, cure_of, too_few, verdict_and_reason
from bandit.ope.numbers import NumberFormat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.evaluate.verdict import Verdict
    from bandit.ope import Estimate
    from bandit.ope.lift import LiftDifference, LiftMethod, LiftSums, LiftTally, LiftUnit

__all__ = ["GroupValue", "Lift", "LiftOptions", "LiftPart", "LiftRow", "lift"]

_UNITS: tuple[LiftUnit, ...] = ("decision", "customer")

_WEIGHTS = "weights"


def lift(tally: LiftTally, names: Sequence[str], options: LiftOptions | None = None) -> Lift:
    """Return what each group earned more than another, with intervals, verdicts and reasons.

    `names` are those of the tally's groups, in order. With m comparisons, the chance that any verdict "better" or
    "worse" is wrong is at most 1 - level, at one look or at all looks together. Groups whose sizes do not fit their
    shares cannot be compared. Where the balanced weights are found to be wrong, verdicts use means. Raises InputError
    for names that do not fit, for an unknown baseline, and for a tally without rows.
    """
    options = options or LiftOptions()
    _check(tally, names, options)
    counts, several = tally.overall.customers()
    shares = dict(zip(names, tally.shares.tolist(), strict=True))
    ratio = sample_ratio(dict(zip(names, counts.tolist(), strict=True)), shares, several)
    calibration = tally.overall.calibration() if tally.weighted else ()
    off = _weights_finding(names, calibration)
    found = tuple(each for each in (ratio.finding(), off) if each is not None)
    method = options.method or ("balanced" if tally.weighted and off is None else "means")
    comparer = _Comparer(tuple(names), options, found)
    methods: tuple[LiftMethod, ...] = ("means", "balanced") if tally.weighted else ("means",)
    kinds = sorted(
        ((each, unit) for each in methods for unit in _UNITS), key=lambda kind: kind != (method, options.unit)
    )
    parts = (tally.weeks, tally.segments)
    weeks, segments = (comparer.parts(each, method) for each in parts)
    return Lift(
        options=options,
        method=method,
        groups=tuple(_group_value(tally, place, name, int(counts[place])) for place, name in enumerate(names)),
        rows=tuple(row for each, unit in kinds for row in comparer.rows(tally.overall, each, unit)),
        weeks=weeks,
        segments=segments,
        sample_ratio=ratio,
        calibration=calibration,
        findings=found,
    )


@dataclass(frozen=True, slots=True)
class _Comparer:
    """Compares the groups of one part of the log after another, by the same options and under the same findings."""

    names: tuple[str, ...]
    options: LiftOptions
    findings: tuple[Finding, ...]

    def rows(self, sums: LiftSums, method: LiftMethod, unit: LiftUnit) -> tuple[LiftRow, ...]:
        """Return all pairs: those with the baseline hold together, and the others with all pairs."""
        every = list(combinations(range(len(self.names)), 2))
        pairs = self._differences(sums, method, unit, every)
        numbers = self._format(pairs)
        others = self._rows(pairs, method, unit, numbers)
        if self.options.baseline is None:
            return others
        rest = [pair for pair in every if self.names.index(self.options.baseline) not in pair]
        return (
            *self._rows(self._differences(sums, method, unit, self._judged()), method, unit, numbers),
            *(row for pair, row in zip(every, others, strict=True) if pair in rest),
        )

    def parts(self, parts: Mapping[str, LiftSums], method: LiftMethod) -> tuple[LiftPart, ...]:
        """Return the judged pairs within each part, which hold together for all parts (Bonferroni)."""
        unit, judged = self.options.unit, self._judged()
        each = {name: self._differences(sums, method, unit, judged, len(parts)) for name, sums in sorted(parts.items())}
        numbers = self._format([pair for pairs in each.values() for pair in pairs])
        found = []
        for name, pairs in each.items():
            counts, several = parts[name].customers()
            rows = self._rows(pairs, method, unit, numbers, len(parts))
            found.append(LiftPart(name, int(counts.sum()) + several, parts[name].n, rows))
        return tuple(found)

    def _judged(self) -> list[tuple[int, int]]:
        if self.options.baseline is None:
            return list(combinations(range(len(self.names)), 2))
        baseline = self.names.index(self.options.baseline)
        return [(place, baseline) for place in range(len(self.names)) if place != baseline]

    def _differences(
        self,
        sums: LiftSums,
        method: LiftMethod,
        unit: LiftUnit,
        pairs: Sequence[tuple[int, int]],
        parts: int = 1,
    ) -> list[tuple[LiftDifference, LiftDifference]]:
        """Return the differences of some pairs for one look and for every look, which hold together in each part."""
        level, binary = 1.0 - (1.0 - self.options.level) / parts, self.options.binary
        single, anytime = (
            sums.differences(pairs, method, unit, level, interval, binary=binary)
            for interval in ("skew", "anytime-skew")
        )
        return list(zip(single, anytime, strict=True))

    def _format(self, pairs: Sequence[tuple[LiftDifference, LiftDifference]]) -> NumberFormat:
        """Return the format of the differences that verdicts use."""
        daily = self.options.look == "daily"
        return NumberFormat.of((every if daily else once).estimate for once, every in pairs)

    def _rows(
        self,
        pairs: Sequence[tuple[LiftDifference, LiftDifference]],
        method: LiftMethod,
        unit: LiftUnit,
        numbers: NumberFormat,
        parts: int = 1,
    ) -> tuple[LiftRow, ...]:
        """Return the rows of some differences, with their verdicts."""
        rows = []
        for once, daily in pairs:
            # The intervals are wider than their level says where they hold together for several parts.
            one, every = (replace(each.estimate, level=self.options.level) for each in (once, daily))
            used = every if self.options.look == "daily" else one
            baseline = self.names[once.baseline]
            comparison = Comparison(
                baseline=baseline,
                is_baseline=False,
                difference=used,
                compared=len(pairs) * parts,
                estimated=False,
                events=once.events,
                unit=unit,
                every_look=self.options.look == "daily",
                numbers=numbers,
            )
            fatal = self._fatal(used, method)
            verdict, reason = _known(*verdict_and_reason(fatal, comparison))
            cure = cure_of(fatal, comparison)
            p_value = None if once.p_value is None else min(1.0, once.p_value * parts)
            group = self.names[once.group]
            rows.append(LiftRow(group, baseline, method, unit, one, every, p_value, once.events, verdict, reason, cure))
        return tuple(rows)

    def _fatal(self, estimate: Estimate, method: LiftMethod) -> tuple[Finding, ...]:
        """Return the findings that make a comparison by this method impossible."""
        found = [each for each in self.findings if each.severity == "fatal"]
        if method == "balanced":
            found += [replace(each, severity="fatal") for each in self.findings if each.check == _WEIGHTS]
        if too_few(estimate):
            number = min(estimate.effective_sample_size, estimate.clusters)
            what = "customers in the smaller group" if method == "means" else "effective decisions or customers"
            found.append(Finding("size", "fatal", f"there are only {number:.0f} {what}", "more decisions"))
        return tuple(found)


def _weights_finding(names: Sequence[str], calibration: Sequence[Estimate]) -> Finding | None:
    """Return the finding that the balanced weights are not those that served, None where nothing shows that."""
    off = [name for name, each in zip(names, calibration, strict=False) if not each.low <= 0.0 <= each.high]
    if not off:
        return None
    sentence = (
        f'the balanced weights do not fit who is in which group ("{off[0]}"), so the probabilities are not those that '
        "served, or a customer's history betrays the group: only means are right"
    )
    return Finding(_WEIGHTS, "doubt", sentence, "means")


def _group_value(tally: LiftTally, place: int, name: str, customers: int) -> GroupValue:
    sums = tally.overall
    methods: tuple[LiftMethod, ...] = ("means", "balanced") if tally.weighted else ("means",)
    return GroupValue(
        name=name,
        share=float(tally.shares[place]),
        customers=customers,
        decisions=int(sums.decisions[place]),
        earning=int(sums.earning[place]),
        reward=float(sums.rewards[place]),
        values={method: {unit: sums.value(place, method, unit) for unit in _UNITS} for method in methods},
    )


def _check(tally: LiftTally, names: Sequence[str], options: LiftOptions) -> None:
    if len(names) != len(tally.shares) or len(set(names)) < len(names):
        raise InputError(f"the groups are named {', '.join(names)}; give {len(tally.shares)} different names")
    if options.baseline is not None and options.baseline not in names:
        raise InputError(f'there is no group "{options.baseline}"; choose from {", ".join(names)}')


def _known(verdict: Verdict | None, reason: str | None) -> tuple[Verdict, str]:
    """Return a verdict and its reason, which a comparison always has."""
    if verdict is None or reason is None:
        raise ValueError("a comparison without a verdict")
    return verdict, reason

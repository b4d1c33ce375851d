"""The results of calibration as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from simulator.validation.calibration.claims import Claim
from simulator.validation.calibration.equal_offers import FalseAnnouncements
from simulator.validation.calibration.summary import (
    EstimatedShare,
    GridResults,
    IntervalCoverage,
    answered,
    bias_shares,
    coverage,
    errors,
    estimators,
    geometric_mean,
    kinds,
    relative_errors,
)
from simulator.validation.calibration.worlds import NULL_MARKET

EFFECTIVE_SIZE_BINS = ((0.0, 30.0), (30.0, 100.0), (100.0, 300.0), (300.0, 1_000.0), (1_000.0, np.inf))
"""Bins of effective sample size; below the end of the first an evaluation says "cannot tell"."""


RARE_OUTCOME_BINS = ((0.0, 2.0), (2.0, 5.0), (5.0, 10.0), (10.0, 20.0), (20.0, 50.0), (50.0, 200.0), (200.0, np.inf))
"""Bins of the number of rarer outcomes."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of text, to be printed or written as Markdown; the first column is a name."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def rich(self) -> Table:
        """Return the table for a terminal."""
        shown = Table(title=self.title, title_justify="left")
        for place, name in enumerate(self.columns):
            shown.add_column(name, justify="right" if place else "left", no_wrap=not place)
        for row in self.rows:
            shown.add_row(*row)
        return shown

    def markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [self.columns, ("---", *("---:" for _ in self.columns[1:])), *self.rows]
        return f"### {self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def sheets(results: GridResults, estimator: str, kind: str) -> list[Sheet]:
    """Return all tables; some are about the given estimator and kind of interval only."""
    differing = {cell: replications for cell, replications in results.items() if cell.world != NULL_MARKET}
    equal = {cell: replications for cell, replications in results.items() if cell.world == NULL_MARKET}
    found = [_estimators(differing, kind), _kinds(differing), _supported(differing, kind)]
    groups: dict[str, Mapping[str, GridResults]] = {
        "world": _by(differing, world=True),
        "log written by": _by(differing, world=False),
        "rows": {f"{n:,}": {c: s for c, s in differing.items() if c.n == n} for n in sorted({c.n for c in differing})},
    }
    found += [_groups(of, heading, estimator, kind) for heading, of in groups.items()]
    found.append(_rare(differing, equal, estimator, kind))
    if equal:
        found.append(_false(equal, kind))
    return [sheet for sheet in found if sheet.rows]


def claims_sheet(found: Iterable[Claim]) -> Sheet:
    """Return the claims with the shares found."""
    rows = [
        (each.says, _share(each.found), f"{each.low:.1%} to {each.high:.1%}", "yes" if each.holds else "NO")
        for each in found
    ]
    return Sheet("Claims", ("claim", "found", "should be", "holds"), tuple(rows))


def equal_offers_sheet(found: Sequence[FalseAnnouncements]) -> Sheet:
    """Return how often one of many equal offers is announced, for the sizes of logs that answer for any."""
    rows = []
    for each in found:
        if not each.says_something:
            continue
        size, compared = f"{each.rows:,}", f"{each.compared:.0f}"
        rows.append((size, compared, "each by itself", _share(each.alone_better), _share(each.alone_worse)))
        rows.append((size, compared, "all together", _share(each.together_better), _share(each.together_worse)))
    title = "One of many offers that are worth the same is announced as better or worse"
    return Sheet(title, ("rows", "offers answered for", "compared", "better", "worse"), tuple(rows))


def _estimators(results: GridResults, kind: str) -> Sheet:
    found = errors(results)
    ratios, biases = relative_errors(found), bias_shares(found)
    rows = []
    for name in estimators(results):
        of, more = coverage(results, name, kind), coverage(results, name, kind, difference=True)
        everything = coverage(results, name, kind, answered=False)
        ratio, bias = ratios.get(name, np.empty(0)), biases.get(name, np.empty(0))
        rows.append(
            (
                name,
                f"{geometric_mean(ratio):.2f}",
                f"{np.median(ratio):.2f}" if len(ratio) else "",
                f"{np.max(ratio):.2f}" if len(ratio) else "",
                f"{np.median(bias):.0%}" if len(bias) else "",
                *_cover(of),
                _share(more.covered),
                _percent(everything.covered.value),
                f"{of.covered.n:,}",
            )
        )
    title = f"Estimators, {kind} intervals of 95 %, where an evaluation answers"
    columns = (
        "RMSE / ips",
        "median",
        "worst",
        "bias / RMSE",
        *_COVER,
        "covers difference",
        "unanswered too",
        "answers",
    )
    return Sheet(title, ("estimator", *columns), tuple(rows))


_COVER = ("covers", "too low", "too high")


def _kinds(results: GridResults) -> Sheet:
    """Return coverage by kind of interval, of the estimators that have more than one."""
    rows = []
    for name in estimators(results):
        cells = []
        for kind in kinds(results):
            cells.append(_share(coverage(results, name, kind).covered))
            cells.append(_share(coverage(results, name, kind, difference=True).covered))
        if sum(map(bool, cells[::2])) > 1:
            rows.append((name, *cells))
    columns = [f"{kind}, {what}" for kind in kinds(results) for what in ("value", "difference")]
    return Sheet("Coverage by kind of interval, where an evaluation answers", ("estimator", *columns), tuple(rows))


def _supported(results: GridResults, kind: str) -> Sheet:
    rows = [
        (
            name,
            *(
                _share(coverage(results, name, kind, answered=False, effective=each).covered)
                for each in EFFECTIVE_SIZE_BINS
            ),
        )
        for name in estimators(results)
    ]
    columns = [_range(*each) for each in EFFECTIVE_SIZE_BINS]
    return Sheet(
        f"Coverage of the value by effective sample size, {kind} intervals", ("estimator", *columns), tuple(rows)
    )


def _by(results: GridResults, *, world: bool) -> dict[str, GridResults]:
    names = dict.fromkeys(cell.world if world else cell.logging for cell in results)
    return {name: {c: s for c, s in results.items() if name == (c.world if world else c.logging)} for name in names}


def _groups(of: Mapping[str, GridResults], heading: str, estimator: str, kind: str) -> Sheet:
    rows = []
    for name, part in of.items():
        ratio = relative_errors(errors(part)).get(estimator, np.empty(0))
        more = coverage(part, estimator, kind, difference=True)
        rows.append(
            (
                name,
                _percent(answered(part).value),
                f"{geometric_mean(ratio):.2f}",
                *_cover(coverage(part, estimator, kind)),
                _share(more.covered),
            )
        )
    columns = ("answered", "RMSE / ips", *_COVER, "covers difference")
    return Sheet(f"{estimator} with {kind} intervals, by {heading}", (heading, *columns), tuple(rows))


def _rare(differing: GridResults, equal: GridResults, estimator: str, kind: str) -> Sheet:
    """Return coverage by the number of rarer outcomes in the contrast, answered or not."""
    rows = []
    for bounds in RARE_OUTCOME_BINS:
        of, more, null = (
            coverage(results, estimator, kind, difference=difference, answered=False, events=bounds)
            for results, difference in ((differing, False), (differing, True), (equal, True))
        )
        answered = coverage(differing, estimator, kind, events=bounds)
        rows.append(
            (
                _range(*bounds),
                _percent(answered.covered.n / max(of.covered.n, 1)),
                *_cover(of),
                _share(more.covered),
                _share(null.above),
                _share(null.below),
            )
        )
    columns = ("answered", *_COVER, "covers difference", "false better", "false worse")
    title = (
        f"{estimator} with {kind} intervals, answered or not, by outcomes that distinguish the policy from the log's"
    )
    return Sheet(title, ("rarer outcomes", *columns), tuple(rows))


def _range(low: float, high: float) -> str:
    return f"{low:,.0f} to {high:,.0f}" if np.isfinite(high) else f"from {low:,.0f}"


def _false(results: GridResults, kind: str) -> Sheet:
    rows = []
    for name in estimators(results):
        answered = coverage(results, name, kind, difference=True)
        everything = coverage(results, name, kind, difference=True, answered=False)
        rows.append(
            (
                name,
                _share(answered.above),
                _share(answered.below),
                _percent(everything.above.value),
                _percent(everything.below.value),
            )
        )
    title = f"Where no policy is better: false answers a side, {kind} intervals of 95 %"
    return Sheet(
        title, ("estimator", "better", "worse", "better, unanswered too", "worse, unanswered too"), tuple(rows)
    )


def _cover(of: IntervalCoverage) -> tuple[str, str, str]:
    return _share(of.covered), _percent(of.below.value), _percent(of.above.value)


def _share(each: EstimatedShare) -> str:
    if not each.n:
        return ""
    return f"{each.value:.1%} ± {each.error:.1%}" if np.isfinite(each.error) else f"{each.value:.1%}"


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.1%}"


def text(found: Sequence[Sheet]) -> str:
    """Return all tables as Markdown."""
    return "\n".join(sheet.markdown() for sheet in found)

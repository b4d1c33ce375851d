"""Calibration as pictures: coverage by effective sample size and by outcomes, and errors relative to ips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import FloatArray
from bandit.evaluate.diagnostics.target import MIN_EVENTS
from simulator.programs.pictures import new_figure
from simulator.validation.calibration.claims import COVERAGE_LIMITS
from simulator.validation.calibration.grid import LOGGING_POLICIES
from simulator.validation.calibration.summary import (
    LEAST_ANSWERS,
    GridResults,
    IntervalCoverage,
    coverage,
    errors,
    estimators,
    geometric_mean,
    kinds,
    relative_errors,
)
from simulator.validation.calibration.worlds import NULL_MARKET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EFFECTIVE_SIZE_EDGES = (5.0, 10.0, 20.0, 30.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 3_000.0, 10_000.0, 100_000.0)
"""Edges of the bins of effective sample size."""

RARE_OUTCOME_EDGES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 2_000.0, 10_000.0)
"""Edges of the bins of rarer outcomes."""

LEAST_INTERVALS = 200
"""Least number of intervals for a point."""

UNANSWERED_LABEL = "fewer than ten outcomes: not answered"
"""The name of the grey points in a legend."""

COVERAGE_PANELS = 4
_LOWEST = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class CoveragePoints:
    """k points of a line: where (k,), the share of intervals that cover (k,), and two Monte Carlo errors of it (k,)."""

    across: FloatArray
    along: FloatArray
    noise: FloatArray


def draw_coverage(results: GridResults, path: Path) -> None:
    """Write coverage by effective sample size as PNG: a panel for each estimator, a line for each kind of interval."""
    differing = {cell: replications for cell, replications in results.items() if cell.world != NULL_MARKET}
    names, lines = estimators(differing), kinds(differing)
    height = -(-len(names) // COVERAGE_PANELS)
    figure, axes = new_figure(3.4 * COVERAGE_PANELS, 1.0 + 2.35 * height, height, COVERAGE_PANELS)
    for place, name in enumerate(names):
        axis = axes[place]
        axis.axhspan(*COVERAGE_LIMITS, color="tab:green", alpha=0.15, linewidth=0)
        axis.axhline(0.95, color="tab:green", linewidth=0.8)
        axis.axvline(30.0, color="0.5", linewidth=0.8, linestyle="--")
        _draw_unanswered(axis, points_by_effective_size(differing, name, lines[0], told=False))
        for number, kind in enumerate(lines):
            points = points_by_effective_size(differing, name, kind, told=True)
            _draw_line(axis, points, kind, _palette(6)[number % 6])
        axis.set_xscale("log")
        axis.set_ylim(_LOWEST, 1.005)
        axis.set_xlim(EFFECTIVE_SIZE_EDGES[0], EFFECTIVE_SIZE_EDGES[-1])
        axis.set_title(name, fontsize=10)
        axis.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axis.grid(color="0.92")
        axis.set_axisbelow(True)
        if place % COVERAGE_PANELS:
            axis.set_yticklabels([])
        if place + COVERAGE_PANELS >= len(names):
            axis.set_xlabel("effective sample size", fontsize=9)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    shown = [axis.get_legend_handles_labels() for axis in axes[: len(names)]]
    found = {label: handle for handles, labels in shown for handle, label in zip(handles, labels, strict=True)}
    handles, labels = list(found.values()), list(found)
    figure.legend(handles, labels, loc="outside lower center", ncols=max(len(labels), 1), fontsize=9, frameon=False)
    figure.suptitle(
        "How often intervals of 95 % cover the truth, by the effective sample size.\n"
        "Green: 93 to 97 %. An evaluation answers “cannot tell” left of the dashed line, and with fewer than ten "
        f"outcomes of the\nrarer kind that distinguish the policies (grey, {lines[0]}). "
        f"Where a line leaves the panel coverage is below {_LOWEST:.0%}.",
        fontsize=10,
    )
    figure.savefig(path, dpi=120)


def draw_errors(results: GridResults, path: Path) -> None:
    """Write each estimator's RMSE relative to that of ips as PNG, a dot for each policy in each cell."""
    differing = {cell: replications for cell, replications in results.items() if cell.world != NULL_MARKET}
    found = errors(differing)
    ratios = relative_errors(found)
    base = {
        (each.cell, each.target): each.rmse for each in found if each.estimator == "ips" and each.n >= LEAST_ANSWERS
    }
    names = sorted(ratios, key=lambda name: -geometric_mean(ratios[name]))
    figure, axes = new_figure(9.0, 1.6 + 0.42 * len(names), 1, 1)
    axis = axes[0]
    palette = _palette(len(LOGGING_POLICIES))
    rng = np.random.default_rng(0)
    for number, logging in enumerate(LOGGING_POLICIES):
        across, along = [], []
        for each in found:
            other = base.get((each.cell, each.target), 0.0)
            if each.cell.logging == logging and each.n >= LEAST_ANSWERS and other > 0.0 and each.rmse > 0.0:
                across.append(each.rmse / other)
                along.append(names.index(each.estimator))
        nudge = (number - (len(LOGGING_POLICIES) - 1) / 2) * 0.13 + rng.uniform(-0.045, 0.045, len(along))
        axis.scatter(
            across, np.array(along) + nudge, s=7, alpha=0.45, color=palette[number], label=logging, linewidths=0
        )
    for line, name in enumerate(names):
        mean = geometric_mean(ratios[name])
        axis.plot([mean, mean], [line - 0.4, line + 0.4], color="black", linewidth=2)
        axis.annotate(
            f"{mean:.2f}", (1.0, line), (4, 0), ("axes fraction", "data"), "offset points", va="center", fontsize=9
        )
    axis.axvline(1.0, color="0.4", linewidth=0.8)
    axis.set_xscale("log")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.set_xlabel("RMSE relative to ips (log scale)")
    axis.grid(axis="x", color="0.92")
    axis.set_axisbelow(True)
    legend = figure.legend(
        loc="outside lower center", ncols=len(LOGGING_POLICIES), fontsize=8, frameon=False, markerscale=2.5
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1.0)
    figure.suptitle(
        "RMSE relative to ips: a dot for each policy in a cell, by the policy that wrote the log.\n"
        "Line and number: geometric mean. Where an evaluation answers.",
        fontsize=10,
    )
    figure.savefig(path, dpi=120)


def draw_events(results: GridResults, estimator: str, kind: str, path: Path) -> None:
    """Write coverage of one estimator as PNG, by the rarer outcomes that distinguish the policy from the log's."""
    differing = {cell: replications for cell, replications in results.items() if cell.world != NULL_MARKET}
    equal = {cell: replications for cell, replications in results.items() if cell.world == NULL_MARKET}
    figure, axes = new_figure(7.5, 4.6, 1, 1)
    axis = axes[0]
    axis.axhspan(*COVERAGE_LIMITS, color="tab:green", alpha=0.15, linewidth=0)
    axis.axhline(0.95, color="tab:green", linewidth=0.8)
    lines: tuple[tuple[str, GridResults, bool], ...] = (
        ("the value", differing, False),
        ("the difference to the policy that wrote the log", differing, True),
        ("the difference where there is none", equal, True),
    )
    axis.axvline(MIN_EVENTS, color="0.5", linewidth=0.8, linestyle="--")
    for number, (label, of, difference) in enumerate(lines):
        _draw_unanswered(axis, points_by_outcomes(of, estimator, kind, difference=difference, told=False))
        points = points_by_outcomes(of, estimator, kind, difference=difference, told=True)
        _draw_line(axis, points, label, _palette(3)[number])
    axis.set_xscale("log")
    axis.set_ylim(0.4, 1.005)
    axis.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axis.xaxis.set_major_formatter(lambda number, _: f"{number:g}")
    axis.set_xlabel("expected outcomes of the rarer kind in the rows that distinguish the two policies")
    axis.grid(color="0.92")
    axis.set_axisbelow(True)
    handles, labels = axis.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axis.legend(once.values(), once.keys(), fontsize=9, loc="lower right")
    figure.suptitle(
        f"How often {kind} intervals of 95 % by {estimator} cover.\n"
        "Left of the dashed line (grey) an evaluation answers “cannot tell”.",
        fontsize=10,
    )
    figure.savefig(path, dpi=120)


def points_by_effective_size(results: GridResults, estimator: str, kind: str, *, told: bool) -> CoveragePoints:
    """Return coverage of the value by effective sample size, over the questions with enough outcomes, or the others."""
    outcomes = (MIN_EVENTS, np.inf) if told else (0.0, MIN_EVENTS)
    return _points(
        [
            (low, high, coverage(results, estimator, kind, answered=False, effective=(low, high), events=outcomes))
            for low, high in pairwise(EFFECTIVE_SIZE_EDGES)
        ],
        LEAST_INTERVALS,
    )


def points_by_outcomes(
    results: GridResults, estimator: str, kind: str, *, difference: bool, told: bool
) -> CoveragePoints:
    """Return coverage by rarer outcomes, where there are enough of them for an answer, or where there are not."""
    bins = [(low, high) for low, high in pairwise(RARE_OUTCOME_EDGES) if (low >= MIN_EVENTS) == told]
    return _points(
        [
            (*each, coverage(results, estimator, kind, difference=difference, answered=False, events=each))
            for each in bins
        ],
        LEAST_INTERVALS // 4,
    )


def _points(found: Sequence[tuple[float, float, IntervalCoverage]], least: int) -> CoveragePoints:
    kept = [(float(np.sqrt(low * high)), each.covered) for low, high, each in found if each.covered.n >= least]
    return CoveragePoints(
        np.array([place for place, _ in kept]),
        np.array([each.value for _, each in kept]),
        np.array([2.0 * each.error for _, each in kept]),
    )


def _draw_line(axis: Axes, points: CoveragePoints, label: str, colour: str) -> None:
    if not len(points.across):
        return
    axis.errorbar(
        points.across,
        points.along,
        yerr=points.noise,
        color=colour,
        marker="o",
        markersize=3,
        linewidth=1.3,
        elinewidth=0.8,
        label=label,
    )


def _draw_unanswered(axis: Axes, points: CoveragePoints) -> None:
    """Draw points that rest on fewer than ten outcomes in grey, without a line."""
    if len(points.across):
        axis.plot(points.across, points.along, "o", color="0.75", markersize=3, label=UNANSWERED_LABEL)


def _palette(n: int) -> list[str]:
    return ["#1b6ca8", "#d1495b", "#edae49", "#3a7d44", "#6a4c93", "#555555"][:n]

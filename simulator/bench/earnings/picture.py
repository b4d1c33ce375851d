"""The shares as a plot: a panel for each scenario, a dot with its standard error for each contestant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from simulator.bench.earnings.cells import BEST_RULE, REFERENCES
from simulator.bench.earnings.contestants import ENGINE
from simulator.bench.earnings.summary import ContestantRow
from simulator.bench.earnings.versions import VERSION_PREFIX
from simulator.market.ceilings import CLAIRVOYANT
from simulator.programs.pictures import new_figure

EARNINGS_PANELS = 3


def draw(table: Sequence[ContestantRow], path: Path) -> None:
    """Write the picture as PNG; MissingExtraError where matplotlib is not installed.

    Filled: all decisions; hollow: the last quarter. Lines: the best segment rule and the two ceilings.
    """
    scenarios = [name for name in dict.fromkeys(row.scenario for row in table) if not _of(table, name)[0].money]
    if not scenarios:
        return
    width = min(EARNINGS_PANELS, len(scenarios))
    height = -(-len(scenarios) // width)
    figure, axes = new_figure(max(6.5, 4.2 * width), 0.6 + 2.4 * height, height, width)
    for axis, scenario in zip(axes, scenarios, strict=False):
        found = {row.contestant: row for row in _of(table, scenario)}
        players = [row for row in found.values() if row.contestant not in REFERENCES]
        players = sorted((row for row in players if row.draws), key=lambda row: row.all.value)
        for line, row in enumerate(players):
            colour = "tab:red" if row.contestant == ENGINE else "tab:orange" if _is_ours(row) else "tab:blue"
            error = np.nan_to_num([row.all.error, row.last.error])
            axis.errorbar(row.all.value, line + 0.12, xerr=error[0], fmt="o", color=colour, markersize=5)
            axis.errorbar(row.last.value, line - 0.12, xerr=error[1], fmt="o", color=colour, mfc="white", markersize=5)
        axis.axvline(found[BEST_RULE].all.value, color="0.35", linestyle="--", linewidth=1)
        axis.axvline(1.0, color="0.35", linewidth=1)
        axis.axvline(found[CLAIRVOYANT].all.value, color="0.35", linestyle=":", linewidth=1)
        axis.set_yticks(range(len(players)), [row.contestant for row in players])
        axis.set_ylim(-0.6, max(len(players), 1) - 0.4)
        ends = [mean.value - float(np.nan_to_num(mean.error)) for row in players for mean in (row.all, row.last)]
        axis.set_xlim(min([0.0, *ends]) - 0.04, max(found[CLAIRVOYANT].all.value, 1.0) + 0.08)
        axis.set_title(scenario, fontsize=10)
        axis.grid(axis="x", color="0.9")
        axis.set_axisbelow(True)
    for axis in axes[len(scenarios) :]:
        axis.set_axis_off()
    figure.suptitle(
        "Share of the gain from uniform choice (0) to the best that facts allow (1). "
        "Filled: all decisions; hollow: last quarter.\n"
        "Dashed: the best segment rule that could be written; dotted: every taste known.",
        fontsize=9,
    )
    figure.savefig(path, dpi=130)


def _of(table: Sequence[ContestantRow], scenario: str) -> list[ContestantRow]:
    return [row for row in table if row.scenario == scenario]


def _is_ours(row: ContestantRow) -> bool:
    return row.contestant.startswith(VERSION_PREFIX)

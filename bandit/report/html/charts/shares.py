"""Whom rules assume and who responds: two shares a row, the second with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.report.html.charts.canvas import BETTER, GREY, INK, MUTED, canvas, label, row_label, rows_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from bandit.report.html.charts.canvas import ReportChart

_ROW, _HEAD, _FOOT = 58.0, 26.0, 38.0


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One option and segment: its name in two parts, whom the rules assume (None for nobody), and who responds.

    `told` is False where nothing can be told: then only the interval is drawn, dotted.
    """

    name: str
    segment: str
    assumed: float | None
    share: float
    low: float
    high: float
    sure: bool
    told: bool


def shares_chart(name: str, title: str, rows: Sequence[ShareRow], who: str, responders: str) -> ReportChart:
    """Return the chart of shares of segments, in percent; rows that are not sure are grey."""
    told = "; ".join(f"{row.name}, {row.segment}: {_words(row)}" for row in rows)
    height = _ROW * len(rows)
    with canvas(name, title, told, height + _HEAD + _FOOT) as drawn:
        axes = rows_axes(drawn, height, _FOOT, _HEAD)
        axes.set_ylim(len(rows), 0)
        axes.set_xlim(-3, 103)
        for place, row in enumerate(rows):
            _row(axes, row, place)
        axes.set_xticks([0, 25, 50, 75, 100], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.set_xlabel("share of the segment", fontsize=9.5)
        marks = [
            axes.plot([], [], color=INK, marker="D", markersize=7, linestyle="none", fillstyle="none",
                      label=f"whom {who} assumed")[0],
            axes.plot([], [], color=BETTER, marker="o", markersize=7, linewidth=3, label=f"{responders} in truth")[0],
        ]  # fmt: skip
        drawn.figure.legend(
            handles=marks, loc="upper left", bbox_to_anchor=(0.01, 1.0), ncols=2, fontsize=9.5, labelcolor=INK,
            handlelength=1.6, columnspacing=1.4, borderpad=0.2,
        )  # fmt: skip
    return drawn.chart


def _row(axes: Axes, row: ShareRow, place: int) -> None:
    y, colour = place + 0.78, BETTER if row.sure else GREY
    row_label(axes, place + 0.18, label(f"{row.name}: {row.segment}", 50), fontweight="bold", fontsize=10)
    row_label(axes, place + 0.45, _words(row), fontsize=9, color=MUTED)
    if math.isfinite(row.low) and math.isfinite(row.high):
        style = "-" if row.told else ":"
        axes.plot(
            [100 * row.low, 100 * row.high], [y, y], color=colour, linewidth=3.2, linestyle=style, solid_capstyle="butt"
        )
    if row.told and math.isfinite(row.share):
        axes.plot([100 * row.share], [y], color=colour, marker="o", markersize=8, linestyle="none")
    if row.assumed is not None and math.isfinite(row.assumed):
        axes.plot([100 * row.assumed], [y], color=INK, marker="D", markersize=7, linestyle="none", fillstyle="none")


def _words(row: ShareRow) -> str:
    assumed = "nobody" if row.assumed is None else f"{100 * row.assumed:.0f} %"
    if not row.told:
        return f"assumed {assumed}; what is true cannot be told"
    if not math.isfinite(row.share):
        return f"assumed {assumed}; in truth unknown"
    if not (math.isfinite(row.low) and math.isfinite(row.high)):
        return f"assumed {assumed}; in truth {100 * row.share:.0f} %"
    return f"assumed {assumed}; in truth {100 * row.share:.0f} % ({100 * row.low:.0f} to {100 * row.high:.0f} %)"

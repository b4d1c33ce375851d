"""A forest plot: one row a comparison, its name above its interval, and 0 as the line that matters."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.report.html.charts.canvas import BETTER, GREY, INK, MUTED, WORSE, canvas, label, row_label, rows_axes
from bandit.report.html.numbers import tick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from bandit.report.html.charts.canvas import ReportChart
    from bandit.report.html.section import Tone

_ROW, _FOOT, _NO_AXIS = 46.0, 40.0, 6.0

_COLOURS: dict[Tone, str] = {"good": BETTER, "bad": WORSE, "open": INK, "unknown": GREY}
_MARKS: dict[Tone, str] = {"good": ">", "bad": "<", "open": "o", "unknown": "x"}
_WHY_COLUMNS, _WHY_LINES = 60, 2


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One comparison: its name, the words beside it, and its interval; the tone "unknown" draws it grey.

    A row without finite numbers says `why` in their place.
    """

    name: str
    words: str
    value: float
    low: float
    high: float
    tone: Tone
    why: str = ""

    @property
    def known(self) -> bool:
        """Whether there is an interval to draw."""
        return all(map(math.isfinite, (self.value, self.low, self.high)))


def forest_chart(name: str, title: str, rows: Sequence[ForestRow], unit: str) -> ReportChart:
    """Return the chart of some comparisons with a baseline, whose values are in `unit`."""
    told = "; ".join(f"{each.name}: {each.words}" for each in rows)
    any_known = any(row.known for row in rows)
    height, foot = _ROW * len(rows), _FOOT if any_known else _NO_AXIS
    with canvas(name, title, told, height + foot) as drawn:
        axes = rows_axes(drawn, height, foot)
        axes.set_ylim(len(rows), 0)
        if any_known:
            _limits(axes, rows)
            axes.xaxis.set_major_formatter(tick)
            axes.set_xlabel(unit, fontsize=9.5)
        else:
            axes.set_xticks([])
        for place, row in enumerate(rows):
            _row(axes, row, place)
    return drawn.chart


def _row(axes: Axes, row: ForestRow, place: int) -> None:
    colour, y = _COLOURS.get(row.tone, INK), place + 0.74
    row_label(axes, place + 0.32, label(row.name, 27), fontweight="bold", fontsize=10)
    words_colour = MUTED if row.tone == "unknown" else colour
    row_label(axes, place + 0.32, label(row.words, 32), right=True, fontsize=9.5, color=words_colour)
    if not row.known:
        lines = textwrap.wrap(label(row.why, 180), _WHY_COLUMNS)
        shown = lines[:_WHY_LINES]
        if len(lines) > _WHY_LINES:
            shown[-1] = shown[-1][: _WHY_COLUMNS - 1] + "…"
        row_label(axes, place + 0.74, "\n".join(shown), fontsize=8.5, color=MUTED)
        return
    axes.plot([0.0, 0.0], [place + 0.55, place + 0.95], color=INK, linewidth=1.2)
    style = ":" if row.tone == "unknown" else "-"
    axes.plot([row.low, row.high], [y, y], color=colour, linewidth=3.0, linestyle=style, solid_capstyle="butt")
    axes.plot([row.value], [y], color=colour, marker=_MARKS.get(row.tone, "o"), markersize=8, linestyle="none")


def _limits(axes: Axes, rows: Sequence[ForestRow]) -> None:
    """Set the horizontal limits by the rows that tell something, 0 among them; others may reach beyond the chart."""
    told = [row for row in rows if row.known and row.tone != "unknown"] or [row for row in rows if row.known]
    ends = [end for row in told for end in (row.low, row.high)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = 0.06 * (high - low) or 1.0
    axes.set_xlim(low - room, high + room)

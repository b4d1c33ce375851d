"""A forest plot: one row a comparison, its name above its interval, and 0 as the line that matters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.report.html.charts.canvas import BETTER, GREY, INK, MUTED, WORSE, bare_axes, canvas, label
from bandit.report.html.numbers import tick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from bandit.report.html.charts.canvas import ReportChart
    from bandit.report.html.section import Tone

_ROW, _FOOT = 44.0, 40.0

_COLOURS: dict[Tone, str] = {"good": BETTER, "bad": WORSE, "open": INK, "unknown": GREY, "plain": INK}
_MARKS: dict[Tone, str] = {"good": ">", "bad": "<", "open": "o", "unknown": "x", "plain": "o"}


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One comparison: its name, the words beside it, and its interval; a tone "unknown" draws it grey.

    A row without finite numbers has only its name and its words.
    """

    name: str
    words: str
    value: float
    low: float
    high: float
    tone: Tone

    @property
    def known(self) -> bool:
        """Whether there is an interval to draw."""
        return all(map(math.isfinite, (self.value, self.low, self.high)))


def forest_chart(name: str, title: str, rows: Sequence[ForestRow], unit: str) -> ReportChart:
    """Return the chart of some comparisons with a baseline, whose values are in `unit`."""
    told = "; ".join(f"{each.name}: {each.words}" for each in rows)
    with canvas(name, title, told, _ROW * len(rows) + _FOOT) as drawn:
        axes = drawn.figure.add_axes(
            (0.03, _FOOT / (_ROW * len(rows) + _FOOT), 0.94, _ROW * len(rows) / (_ROW * len(rows) + _FOOT))
        )
        axes.set_ylim(len(rows), 0)
        _limits(axes, rows)
        bare_axes(axes)
        axes.axvline(0.0, color=INK, linewidth=1.0)
        for place, row in enumerate(rows):
            _row(axes, row, place)
        axes.xaxis.set_major_formatter(tick)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(unit, fontsize=9.5)
    return drawn.chart


def _row(axes: Axes, row: ForestRow, place: int) -> None:
    colour, y = _COLOURS[row.tone], place + 0.72
    axes.text(
        0.0, place + 0.34, label(row.name, 34), transform=axes.get_yaxis_transform(), fontweight="bold", fontsize=10
    )
    axes.text(
        1.0, place + 0.34, label(row.words, 30), transform=axes.get_yaxis_transform(), ha="right", fontsize=9.5,
        color=MUTED if row.tone == "unknown" else colour,
    )  # fmt: skip
    if row.known:
        axes.plot([row.low, row.high], [y, y], color=colour, linewidth=3.0, solid_capstyle="butt")
        axes.plot([row.value], [y], color=colour, marker=_MARKS[row.tone], markersize=9, linestyle="none")


def _limits(axes: Axes, rows: Sequence[ForestRow]) -> None:
    """Set the horizontal limits, 0 among them."""
    ends = [end for row in rows if row.known for end in (row.low, row.high)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = 0.06 * (high - low) or 1.0
    axes.set_xlim(low - room, high + room)

"""A line a group over time, each point with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.report.html.charts.canvas import INK, SERIES_COLOURS, SERIES_MARKERS, canvas, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.report.html.charts.canvas import ReportChart

_HEIGHT, _LINE = 200.0, 15.0
_SHIFT = 0.09
_CENTRED = 4
"""Up to this many periods each is named; of more the first, the middle and the last, which ends at the edge."""

_STYLES = ("-", "--", "-.", ":", "-")

MOST_LINES = len(SERIES_COLOURS)
"""Most lines of a chart; the table has all."""


@dataclass(frozen=True, slots=True)
class TimeLine:
    """One line: its name, and by the place of its period the value and the ends of its interval."""

    name: str
    points: tuple[tuple[int, float, float, float], ...]


def lines_chart(name: str, title: str, periods: Sequence[str], lines: Sequence[TimeLine], unit: str) -> ReportChart:
    """Return the chart of some values over time; `periods` are the names of the places on the horizontal axis."""
    told = "; ".join(
        f"{line.name}: " + ", ".join(f"{periods[place]} {value:.3g}" for place, value, _, _ in line.points)
        for line in lines
    )
    head = _LINE * ((len(lines) + 2) // 3) + 26.0
    height = _HEIGHT + head
    with canvas(name, title, told, height) as drawn:
        axes = drawn.figure.add_axes((0.13, 28.0 / height, 0.84, (_HEIGHT - 28.0) / height))
        for number, line in enumerate(lines[:MOST_LINES]):
            shift = _SHIFT * (number - (len(lines) - 1) / 2)
            x = [place + shift for place, *_ in line.points]
            y = [value for _, value, _, _ in line.points]
            sure = [(at, low, high) for at, (_, _, low, high) in zip(x, line.points, strict=True) if _finite(low, high)]
            colour = SERIES_COLOURS[number]
            for at, low, high in sure:
                axes.plot([at, at], [low, high], color=colour, linewidth=1.4)
            axes.plot(
                x, y, color=colour, marker=SERIES_MARKERS[number], markersize=6, linestyle=_STYLES[number],
                label=label(line.name, 15),
            )  # fmt: skip
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelsize=9.5)
        axes.locator_params(axis="y", nbins=5)
        axes.set_xlim(-0.5, len(periods) - 0.5)
        shown = (
            range(len(periods)) if len(periods) <= _CENTRED else sorted({0, (len(periods) - 1) // 2, len(periods) - 1})
        )
        axes.set_xticks(list(shown), [periods[place] for place in shown])
        if len(periods) > _CENTRED:
            axes.get_xticklabels()[-1].set_horizontalalignment("right")
        drawn.figure.legend(
            loc="upper left", bbox_to_anchor=(0.01, 1.0), ncols=3, fontsize=9.5, labelcolor=INK, handlelength=2.6,
            columnspacing=1.2, borderpad=0.2, labelspacing=0.3,
        )  # fmt: skip
        axes.set_title(unit, loc="left", fontsize=9.5, pad=6)
    return drawn.chart


def _finite(*numbers: float) -> bool:
    return all(map(math.isfinite, numbers))

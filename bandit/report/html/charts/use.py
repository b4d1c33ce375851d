"""How often each option is served: a bar an option, with a sign where it is never or hardly ever served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.report.html.charts.canvas import GREY, GRID, MUTED, SERIES_COLOURS, WORSE, canvas, two_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.report.html.charts.canvas import ReportChart

_ROW, _FOOT = 21.0, 6.0
_LEFT, _WIDTH = 0.34, 0.36
_LETTERS = 17


@dataclass(frozen=True, slots=True)
class UseRow:
    """One option: its name, its share of the decisions, and what is the matter with it, empty where nothing is."""

    name: str
    share: float
    words: str
    first_of_dimension: bool


def use_chart(name: str, title: str, rows: Sequence[UseRow]) -> ReportChart:
    """Return the chart of how often options are served."""
    told = "; ".join(f"{row.name}: {row.words}" for row in rows)
    height = _ROW * len(rows) + _FOOT
    with canvas(name, title, told, height) as drawn:
        axes = drawn.figure.add_axes((_LEFT, _FOOT / height, _WIDTH, 1.0 - _FOOT / height))
        axes.set_ylim(len(rows), 0)
        axes.set_xlim(0, max([0.001, *(row.share for row in rows)]))
        axes.axis("off")
        edge = axes.get_yaxis_transform()
        for place, row in enumerate(rows):
            y, odd = place + 0.5, row.words.startswith(("never", "hardly"))
            if row.first_of_dimension and place:
                axes.plot([-_LEFT / _WIDTH, 1.0 + (1.0 - _LEFT - _WIDTH) / _WIDTH], [place, place], transform=edge,
                          color=GRID, linewidth=0.8, clip_on=False)  # fmt: skip
            axes.text(-0.04, y, two_lines(row.name, _LETTERS), transform=edge, ha="right", va="center", fontsize=8.5,
                      linespacing=0.95)  # fmt: skip
            axes.barh(y, row.share, 0.62, color=GREY if odd else SERIES_COLOURS[0])
            axes.text(1.04, y, row.words, transform=edge, va="center", fontsize=9, color=WORSE if odd else MUTED)
    return drawn.chart

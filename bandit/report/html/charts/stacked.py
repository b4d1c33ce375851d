"""A stacked bar a row: how an amount is made up, each part with its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.report.html.charts.canvas import INK, MUTED, PAPER, SERIES_COLOURS, canvas, label, row_label, rows_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.report.html.charts.canvas import ReportChart

_ROW, _LINE, _FOOT = 50.0, 17.0, 38.0

_HATCHES = ("", "////", "....")
"""One a part, so that none is told by its colour alone."""


@dataclass(frozen=True, slots=True)
class StackedRow:
    """One bar: its name, the words beside it, and its parts, one a name of the chart."""

    name: str
    words: str
    parts: tuple[float, ...]


def stacked_chart(name: str, title: str, rows: Sequence[StackedRow], parts: Sequence[str], unit: str) -> ReportChart:
    """Return the chart of some amounts and what they are made of; at most three parts."""
    from matplotlib.patches import Patch  # noqa: PLC0415 - an optional extra

    told = "; ".join(
        f"{row.name}: " + ", ".join(f"{part} {value:,.3g}" for part, value in zip(parts, row.parts, strict=True))
        for row in rows
    )
    height, head = _ROW * len(rows), _LINE * len(parts) + 8.0
    with canvas(name, title, told, height + head + _FOOT) as drawn:
        axes = rows_axes(drawn, height, _FOOT, head)
        axes.set_ylim(len(rows), 0)
        for place, row in enumerate(rows):
            row_label(axes, place + 0.3, label(row.name, 20), fontweight="bold", fontsize=10)
            row_label(axes, place + 0.3, label(row.words, 34), right=True, fontsize=9.5, color=MUTED)
            left = 0.0
            for number, value in enumerate(row.parts):
                axes.barh(
                    place + 0.72, max(value, 0.0), 0.4, left=left, color=SERIES_COLOURS[number], edgecolor=PAPER,
                    hatch=_HATCHES[number], linewidth=0.8,
                )  # fmt: skip
                left += max(value, 0.0)
        handles = [
            Patch(facecolor=SERIES_COLOURS[number], edgecolor=PAPER, hatch=_HATCHES[number], label=part)
            for number, part in enumerate(parts)
        ]
        drawn.figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(0.015, 1.0), fontsize=9.5, handlelength=1.6,
            labelspacing=0.35, borderpad=0.2, labelcolor=INK,
        )  # fmt: skip
        axes.set_xlim(0.0, 1.06 * max(sum(max(part, 0.0) for part in row.parts) for row in rows) or 1.0)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.4g}")
        axes.set_xlabel(unit, fontsize=9.5)
    return drawn.chart

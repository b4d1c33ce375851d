"""A stacked bar a row: how an amount is made up, each part with its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.report.html.charts.canvas import INK, MUTED, PAPER, SERIES_COLOURS, bare_axes, canvas, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.report.html.charts.canvas import ReportChart

_ROW, _HEAD, _FOOT = 52.0, 34.0, 36.0

_HATCHES = ("", "////", "....", "xxxx")


@dataclass(frozen=True, slots=True)
class StackedRow:
    """One bar: its name, the words beside it, and its parts, one a name of the chart."""

    name: str
    words: str
    parts: tuple[float, ...]


def stacked_chart(name: str, title: str, rows: Sequence[StackedRow], parts: Sequence[str], unit: str) -> ReportChart:
    """Return the chart of some amounts and what they are made of."""
    told = "; ".join(
        f"{row.name}: " + ", ".join(f"{part} {value:,.3g}" for part, value in zip(parts, row.parts, strict=True))
        for row in rows
    )
    head = _HEAD * ((len(parts) + 1) // 2) / 2 + 8
    height = _ROW * len(rows) + head + _FOOT
    with canvas(name, title, told, height) as drawn:
        axes = drawn.figure.add_axes((0.03, _FOOT / height, 0.94, _ROW * len(rows) / height))
        axes.set_ylim(len(rows), 0)
        bare_axes(axes)
        from matplotlib.patches import Patch  # noqa: PLC0415 - an optional extra

        for place, row in enumerate(rows):
            axes.text(0.0, place + 0.26, label(row.name, 30), transform=axes.get_yaxis_transform(), fontweight="bold")
            axes.text(
                1.0, place + 0.26, label(row.words, 34), transform=axes.get_yaxis_transform(), ha="right", color=MUTED
            )
            left = 0.0
            for number, value in enumerate(row.parts):
                width = max(value, 0.0)
                axes.barh(
                    place + 0.68, width, 0.42, left=left, color=SERIES_COLOURS[number], edgecolor=PAPER,
                    hatch=_HATCHES[number], linewidth=1.0,
                )  # fmt: skip
                left += width
        handles = [
            Patch(facecolor=SERIES_COLOURS[number], edgecolor=PAPER, hatch=_HATCHES[number], label=part)
            for number, part in enumerate(parts)
        ]
        drawn.figure.legend(
            handles=handles, loc="upper left", ncols=2, bbox_to_anchor=(0.01, 1.0), fontsize=9.5, handlelength=1.4,
            columnspacing=1.2, labelcolor=INK,
        )  # fmt: skip
        axes.set_xlim(left=0.0)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(unit, fontsize=9.5)
    return drawn.chart

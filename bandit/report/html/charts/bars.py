"""A bar a period, in order of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.report.html.charts.canvas import GREY, SERIES_COLOURS, canvas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.report.html.charts.canvas import ReportChart

_HEIGHT = 200.0


def bars_chart(name: str, title: str, labels: Sequence[str], values: Sequence[float], unit: str) -> ReportChart:
    """Return the chart of one value a period; only the first, the middle and the last period are named below it."""
    told = "; ".join(f"{each}: {value:,.3g}" for each, value in zip(labels, values, strict=True))
    with canvas(name, title, told, _HEIGHT) as drawn:
        axes = drawn.figure.add_axes((0.13, 0.12, 0.84, 0.78))
        axes.bar(range(len(values)), values, 0.7, color=SERIES_COLOURS[0])
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.axhline(0.0, color=GREY, linewidth=1.0)
        axes.tick_params(length=0)
        shown = sorted({0, len(values) // 2, len(values) - 1}) if len(values) > 4 else range(len(values))
        axes.set_xticks(list(shown), [labels[place] for place in shown], fontsize=9)
        axes.locator_params(axis="y", nbins=5)
        axes.set_title(unit, loc="left", fontsize=9.5)
    return drawn.chart

"""Predicted against observed probabilities: on the diagonal a prediction is right."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bandit.report.html.charts.canvas import GREY, SERIES_COLOURS, canvas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.report.html.charts.canvas import ReportChart

_HEIGHT = 250.0


def calibration_chart(name: str, title: str, points: Sequence[tuple[float, float, float, float, bool]]) -> ReportChart:
    """Return the chart of (predicted, observed, low, high, sure) points; those not sure are grey."""
    told = "; ".join(f"predicted {100 * x:.3g} %, observed {100 * y:.3g} %" for x, y, *_ in points)
    most = max(max(x, high if math.isfinite(high) else y) for x, y, _, high, _ in points) * 1.05
    with canvas(name, title, told, _HEIGHT) as drawn:
        axes = drawn.figure.add_axes((0.16, 0.17, 0.8, 0.76))
        axes.plot([0, most], [0, most], color=GREY, linewidth=1.0, linestyle="--")
        for x, y, low, high, sure in points:
            colour = SERIES_COLOURS[0] if sure else GREY
            if math.isfinite(low) and math.isfinite(high):
                axes.plot([x, x], [low, high], color=colour, linewidth=2.0, linestyle="-" if sure else ":")
            axes.plot([x], [y], color=colour, marker="o" if sure else "x", markersize=6, linestyle="none")
        axes.set_xlim(0, most)
        axes.set_ylim(0, most)
        axes.grid(visible=True)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelsize=9.5)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        axes.locator_params(nbins=5)
        axes.set_xlabel("predicted chance of a response", fontsize=9.5)
        axes.set_title("share that responded (dashed: as predicted)", loc="left", fontsize=9.5, pad=6)
    return drawn.chart

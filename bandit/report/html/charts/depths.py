"""Response and profit by depth: two panels over the same depths, a question mark where a point cannot be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.report.html.charts.canvas import GREY, SERIES_COLOURS, SERIES_MARKERS, canvas
from bandit.report.html.numbers import MINUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from bandit.report.html.charts.canvas import ReportChart

_PANEL, _GAP, _FOOT = 105.0, 26.0, 36.0


@dataclass(frozen=True, slots=True)
class DepthPanel:
    """One measure by depth: its title, and value, low and high at each depth; `percent` shows it as a percentage."""

    title: str
    values: tuple[tuple[float, float, float], ...]
    percent: bool


def depths_chart(
    name: str, title: str, depths: Sequence[float], sure: Sequence[bool], panels: Sequence[DepthPanel]
) -> ReportChart:
    """Return the chart of some measures by depth.

    `depths` are shares of revenue given away, and `sure` says of each depth whether its points can be trusted.
    """
    told = "; ".join(
        f"{panel.title} at {100 * depth:g} %: {value[0]:.3g}"
        for panel in panels
        for depth, value in zip(depths, panel.values, strict=True)
    )
    height = (_PANEL + _GAP) * len(panels) + _FOOT
    with canvas(name, title, told, height) as drawn:
        for number, panel in enumerate(panels):
            top = (_PANEL + _GAP) * (len(panels) - number - 1) + _FOOT
            axes = drawn.figure.add_axes((0.15, top / height, 0.82, _PANEL / height))
            _panel(axes, panel, depths, sure, number)
            last = number == len(panels) - 1
            axes.set_xticks(list(depths), [f"{100 * depth:g} %" for depth in depths] if last else [])
            if last:
                axes.set_xlabel("depth of the discount", fontsize=9.5)
    return drawn.chart


def _panel(axes: Axes, panel: DepthPanel, depths: Sequence[float], sure: Sequence[bool], number: int) -> None:
    colour = SERIES_COLOURS[number]
    low, high = _limits(panel, sure)
    line = [(depth, value[0]) for depth, value, trusted in zip(depths, panel.values, sure, strict=True) if trusted]
    axes.plot([depth for depth, _ in line], [value for _, value in line], color=GREY, linewidth=1.0, linestyle="--")
    for depth, (value, start, end), trusted in zip(depths, panel.values, sure, strict=True):
        if trusted:
            axes.plot([depth, depth], [start, end], color=colour, linewidth=2.2)
            axes.plot([depth], [value], color=colour, marker=SERIES_MARKERS[number], markersize=7, linestyle="none")
        else:
            axes.text(depth, (low + high) / 2, "?", ha="center", va="center", fontsize=12, color=GREY)
    axes.set_ylim(low, high)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9.5)
    axes.locator_params(axis="y", nbins=4)
    room = 0.08 * (max(depths) - min(depths)) or 1.0
    axes.set_xlim(min(depths) - room, max(depths) + room)
    if panel.percent:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    else:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.4g}".replace("-", MINUS))
    axes.set_title(panel.title, loc="left", fontsize=9.5, pad=5)


def _limits(panel: DepthPanel, sure: Sequence[bool]) -> tuple[float, float]:
    """Return the vertical limits, by the points that can be trusted."""
    told = [value for value, trusted in zip(panel.values, sure, strict=True) if trusted]
    ends = [end for _, low, high in told for end in (low, high) if math.isfinite(end)]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.08 * (high - low) or 0.1
    return (max(low - room, 0.0) if panel.percent else low - room), high + room

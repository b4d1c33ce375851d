"""A heat map: options by segments, coloured where a difference is sure, grey with a question mark where it is not."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.report.html.charts.canvas import BLANK, HEAT_COLOURS, INK, MUTED, PAPER, canvas, label, two_lines
from bandit.report.html.numbers import MINUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.report.html.charts.canvas import ReportChart

_ROW, _HEAD = 25.0, 32.0
_NAMES = 0.32
"""Share of the width that the names of the rows take."""

_LETTERS = 16
"""Letters of a row's name on one line."""

_STEPS = len(HEAT_COLOURS) // 2


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One cell: the difference, and whether it is sure."""

    value: float
    sure: bool


def heat_chart(
    name: str, title: str, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[HeatCell | None]]
) -> ReportChart:
    """Return the chart of differences by row and column; a cell that is None stays empty."""
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - an optional extra

    sure = [abs(cell.value) for line in cells for cell in line if cell is not None and cell.sure]
    scale = max(sure, default=1.0)
    told = "; ".join(
        f"{row}, {column}: {_words(cell, scale)}"
        for row, line in zip(rows, cells, strict=True)
        for column, cell in zip(columns, line, strict=True)
        if cell is not None and cell.sure
    )
    height = _ROW * len(rows) + _HEAD
    with canvas(name, title, told or "no difference is sure", height) as drawn:
        axes = drawn.figure.add_axes((_NAMES, 0.0, 1.0 - _NAMES, 1.0 - _HEAD / height))
        axes.set_xlim(0, len(columns))
        axes.set_ylim(len(rows), 0)
        axes.axis("off")
        size = 9.5 if len(columns) <= 4 else 8.5
        letters = max(5, int(52 / len(columns)))
        for place, column in enumerate(columns):
            name_of = "\n".join(textwrap.wrap(label(column, 2 * letters), letters)[:2])
            axes.text(place + 0.5, -0.15, name_of, ha="center", va="bottom", fontsize=size, color=MUTED)
        for y, (row, line) in enumerate(zip(rows, cells, strict=True)):
            name_of = two_lines(row, _LETTERS)
            axes.text(-0.06, y + 0.5, name_of, ha="right", va="center", fontsize=8.5, linespacing=1.0)
            for x, cell in enumerate(line):
                if cell is None:
                    continue
                colour = _colour(cell, scale)
                axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor=PAPER, linewidth=1.5))
                axes.text(
                    x + 0.5, y + 0.52, _words(cell, scale), ha="center", va="center", fontsize=size,
                    color=INK if cell.sure else MUTED, fontweight="bold" if cell.sure else "normal",
                )  # fmt: skip
    return drawn.chart


def _words(cell: HeatCell, scale: float) -> str:
    """Return the text of a cell: all of a chart have as many decimals as give the largest two figures."""
    if not cell.sure or not math.isfinite(cell.value):
        return "?"
    places = max(0, 1 - math.floor(math.log10(scale))) if scale > 0.0 else 0
    return f"{cell.value:+,.{places}f}".replace("-", MINUS)


def _colour(cell: HeatCell, scale: float) -> str:
    """Return the colour of a cell: one of as many steps as there are, away from the middle where it is sure."""
    if not cell.sure or not math.isfinite(cell.value):
        return BLANK
    step = max(1, min(_STEPS, math.ceil(_STEPS * abs(cell.value) / scale - 1e-9)))
    return HEAT_COLOURS[_STEPS + (step if cell.value > 0.0 else -step)]

"""The drawing surface of all charts: a matplotlib figure that becomes an SVG in the page's own colours and letters.

Figures are drawn in marker colours, each of which the SVG names as a CSS variable, so that the page decides what a
colour is in light, in dark and on paper. Widths are those of a phone; a wide screen enlarges the drawing.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bandit.errors import MissingExtraError
from bandit.printable import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, GREY = "#010203", "#040506", "#070809", "#0a0b0c"
BETTER, WORSE = "#0d0e0f", "#101112"
SERIES_COLOURS = ("#131415", "#161718", "#191a1b", "#1c1d1e", "#1f2021")
HEAT_COLOURS = ("#222324", "#252627", "#28292a", "#2b2c2d", "#2e2f30", "#313233", "#343536")
"""Of a heat map's cells, from much less to much more; the middle one is no difference."""

PAPER, BLANK = "#373839", "#3a3b3c"

_NAMES = {
    INK: "ink", MUTED: "muted", GRID: "grid", GREY: "grey", BETTER: "better", WORSE: "worse", PAPER: "paper",
    BLANK: "blank",
    **{colour: f"s{place}" for place, colour in enumerate(SERIES_COLOURS, start=1)},
    **{colour: f"h{place}" for place, colour in enumerate(HEAT_COLOURS)},
}  # fmt: skip

SERIES_MARKERS = ("o", "s", "^", "D", "v")
"""One a series, so that none is told by its colour alone."""

_WIDTH = 4.6
"""Inches of 72 points: 331 points, about as many as a phone has for a chart."""

_STYLE: dict[Any, Any] = {  # the keys' type differs between versions of matplotlib
    "svg.fonttype": "none",
    "svg.hashsalt": "offer-bandit",
    "text.parse_math": False,
    "font.size": 10.0,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True, slots=True)
class ReportChart:
    """A chart: its title, its SVG element, ready for a page, and what it shows in words, for who cannot see it."""

    title: str
    svg: str
    description: str


class Canvas:
    """One figure while it is drawn; `chart` holds the result after the block of `canvas`."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self._chart: ReportChart | None = None

    @property
    def chart(self) -> ReportChart:
        """The finished chart."""
        if self._chart is None:
            raise ValueError("a chart is ready when its block ends")
        return self._chart

    def finish(self, name: str, title: str, description: str) -> None:
        """Turn the figure into the chart; `name` makes its ids differ from those of other charts."""
        self._chart = ReportChart(title, _themed(_svg(self.figure), name, title, description), description)


@contextmanager
def canvas(name: str, title: str, description: str, height: float) -> Iterator[Canvas]:
    """Yield a figure of a phone's width and `height` points to draw on; MissingExtraError without matplotlib."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an optional extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as fault:
        raise MissingExtraError("a chart", "report") from fault
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the reader's own letters are used
        drawn = Canvas(Figure(figsize=(_WIDTH, height / 72.0)))
        yield drawn
        drawn.finish(name, title, description)


def label(text: str, most: int = 52) -> str:
    """Return a name as one short line for a chart."""
    return plain(text, 200) if len(text) <= most else plain(text, 200)[: most - 1].rstrip() + "…"


def two_lines(text: str, letters: int) -> str:
    """Return a name on at most two lines of so many letters, since a reader's font may be wider than the chart's."""
    lines = textwrap.wrap(label(text, 2 * letters - 2), letters)
    return "\n".join(lines[:2]) if len(lines) <= 2 else f"{lines[0]}\n{lines[1][: letters - 1].rstrip()}…"


def rows_axes(drawn: Canvas, rows: float, foot: float, head: float = 0.0) -> Axes:
    """Return axes for a chart of one row below the other, `rows` points high, with room above and below in points.

    Rows are numbered from 0 at the top; only the horizontal axis is shown, with vertical grid lines.
    """
    height = rows + foot + head
    axes = drawn.figure.add_axes((0.03, foot / height, 0.94, rows / height))
    axes.tick_params(length=0, labelsize=9.5)
    axes.locator_params(axis="x", nbins=5)
    bare_axes(axes)
    return axes


def row_label(axes: Axes, y: float, text: str, *, right: bool = False, **style: Any) -> None:  # noqa: ANN401 - of matplotlib
    """Write a name at the left or right edge of a row, on the colour of the page, so that no line crosses it."""
    edge, side = (1.0, "right") if right else (0.0, "left")
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.2}
    axes.text(edge, y, text, transform=axes.get_yaxis_transform(), ha=side, va="center", bbox=box, **style)


def bare_axes(axes: Axes) -> None:
    """Keep only the horizontal axis, with vertical grid lines, of a chart whose rows carry their own names."""
    axes.set_yticks([])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=nothing)
    return text.getvalue()


def _themed(svg: str, name: str, title: str, description: str) -> str:
    """Return the svg element alone: ids of its own, colours as CSS variables, no metadata, no foreign addresses."""
    from markupsafe import escape  # noqa: PLC0415 - of jinja2, an optional extra

    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]+)"', body)
    start = body.index(">") + 1
    inner = _own_ids(body[start:].replace("xlink:href", "href"), name)
    inner = re.sub(r"#[0-9a-f]{6}\b", lambda found: _variable(found[0]), inner)
    inner = re.sub(r"font: ((?:bold )?)([\d.]+)px [^;\"]*", r"font: \1\2px var(--sans)", inner)
    inner = re.sub(r' (?:d|transform|x|y|points)="[^"]*"', lambda found: _short_numbers(found[0]), inner)
    inner = re.sub(r"; stroke-linejoin: miter|stroke-linejoin: miter; ?", "", inner)
    inner = re.sub(r"\s*\n\s*", "\n", inner)
    head = (
        f'<svg viewBox="{box[1] if box else "0 0 331 200"}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return head + inner.strip()


def _short_numbers(attribute: str) -> str:
    """Return an attribute with its numbers to a hundredth of a point."""
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), attribute)


def _variable(colour: str) -> str:
    return f"var(--{_NAMES[colour]})" if colour in _NAMES else colour


def _own_ids(body: str, name: str) -> str:
    """Return the drawing with only those ids that it refers to, numbered in order under the chart's name."""
    referred = dict.fromkeys(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    number = {old: f"{name}-{place}" for place, old in enumerate(referred)}
    body = re.sub(r' id="([^"]+)"', lambda found: f' id="{number[found[1]]}"' if found[1] in number else "", body)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda found: found[1] + number[found[2]], body)

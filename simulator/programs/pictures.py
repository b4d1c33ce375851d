"""Figures of matplotlib that are drawn without a screen."""

from __future__ import annotations

from typing import Any

import numpy as np

from bandit.errors import MissingExtraError


def new_figure(width: float, height: float, rows: int, columns: int) -> tuple[Any, Any]:
    """Return a figure of so many inches and its (rows * columns,) axes; MissingExtraError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError as fault:
        raise MissingExtraError("the plot", "notebooks") from fault
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, np.atleast_1d(figure.subplots(rows, columns, squeeze=False).ravel())

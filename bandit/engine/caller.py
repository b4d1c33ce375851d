"""Warnings that name the line of the program that called the package, however deep inside they are raised."""

from __future__ import annotations

import inspect
import warnings


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn whoever called the package: the innermost frame outside of it."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and _is_inside(str(frame.f_globals.get("__name__", ""))):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_inside(module: str) -> bool:
    """Say whether a module is one of the package, or what runs its context managers."""
    return module.startswith("bandit.") or module == "contextlib"

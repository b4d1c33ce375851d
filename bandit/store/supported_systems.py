"""What a store needs of the operating system, and a check that it is there."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from bandit.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

_NEEDED_CALLS = ("pread", "pwrite", "fsync", "register_at_fork")
_NEEDED_MODULE = "fcntl"


def missing_calls() -> tuple[str, ...]:
    """Return what a store needs and this system's Python does not have."""
    found = [f"os.{name}" for name in _NEEDED_CALLS if not hasattr(os, name)]
    if sys.platform == "win32" or (
        _NEEDED_MODULE not in sys.modules and importlib.util.find_spec(_NEEDED_MODULE) is None
    ):
        found.append(_NEEDED_MODULE)
    return tuple(found)


def check_system(path: Path) -> None:
    """StoreError where the spool's locks, positioned writes or forks cannot work.

    Without locks on files the spool of a running process would be taken for that of one that has ended.
    """
    missing = missing_calls()
    if missing:
        raise StoreError(
            f"{path}: cannot be used on this system ({sys.platform}), whose Python lacks {', '.join(missing)}; use "
            "Linux, on Windows by WSL or a container"
        )

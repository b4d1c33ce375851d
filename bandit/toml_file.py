"""Reading TOML files, with one sentence for every way in which that can fail."""

from __future__ import annotations

import tomllib
from pathlib import Path

from bandit.errors import CatalogueError


def read_toml(path: Path, what: str) -> dict[str, object]:
    """Return the content of a TOML file; CatalogueError names the file, `what` it should be, and the line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise CatalogueError(f"{path}: cannot be read: {fault.strerror}; give the path of {what}") from fault
    except UnicodeDecodeError as fault:
        raise CatalogueError(f"{path}: is not UTF-8 text (byte {fault.start}); save it as UTF-8") from fault
    except tomllib.TOMLDecodeError as fault:
        raise CatalogueError(f"{path}: is not well-formed TOML: {fault}") from fault
    except RecursionError as fault:
        raise CatalogueError(f"{path}: is nested too deep to be read; flatten it") from fault

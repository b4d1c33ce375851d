"""Reading of TOML files, with one clear sentence for each kind of failure."""

from __future__ import annotations

import tomllib
from pathlib import Path

from bandit.errors import CatalogueError

MAX_TOML_BYTES = 2_000_000
"""Largest TOML file that is read; the parser's time grows faster than the file."""


def read_toml(path: Path, what: str) -> dict[str, object]:
    """Return the content of a TOML file; CatalogueError names the file, the expected kind (`what`) and the line."""
    try:
        with path.open("rb") as content:
            raw = content.read(MAX_TOML_BYTES + 1)
        if len(raw) > MAX_TOML_BYTES:
            raise CatalogueError(f"{path}: is larger than {MAX_TOML_BYTES:,} bytes; give the path of {what}")
        return tomllib.loads(raw.decode())
    except OSError as fault:
        raise CatalogueError(f"{path}: cannot be read: {fault.strerror}; give the path of {what}") from fault
    except UnicodeDecodeError as fault:
        raise CatalogueError(f"{path}: is not UTF-8 text (byte {fault.start}); save it as UTF-8") from fault
    except ValueError as fault:  # what is not well formed, and a number of thousands of digits
        raise CatalogueError(f"{path}: is not well-formed TOML: {fault}") from fault
    except RecursionError as fault:
        raise CatalogueError(f"{path}: is nested too deep to be read; flatten it") from fault

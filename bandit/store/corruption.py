"""Reports stored values that cannot be decoded: corruption that SQLite itself does not notice."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from bandit.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def decoding(path: Path, what: str) -> Iterator[None]:
    """Turn any error of decoding a corrupt value into a StoreError of one sentence."""
    try:
        yield
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as fault:
        raise StoreError(
            f"{path}: {what} cannot be read as it was written, so the file is damaged; `offer-bandit verify` says "
            "where, restore it from a backup"
        ) from fault

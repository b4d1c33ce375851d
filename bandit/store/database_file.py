"""The database as a file: the paths beside it, its size, and a check of its header before SQLite opens it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bandit.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = b"SQLite format 3\x00"


def wal_path(path: Path) -> Path:
    """Return the path of a database's write-ahead log."""
    return path.with_name(path.name + "-wal")


def file_size(path: Path) -> int:
    """Return the size in bytes, 0 if there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def sync_directory(folder: Path) -> None:
    """Flush the entries of a directory to the disk; OSError where the file system cannot."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def check_before_opening(path: Path, *, read_only: bool) -> None:
    """StoreError for a path that cannot be a store, and for a truncated file, which SQLite would notice late."""
    if path.name == ":memory:" or str(path).startswith("file:"):
        raise StoreError(
            f'"{path}" is no path of a file; a log outlives its program, so give a path such as offers.db (in a test, '
            "one in a temporary folder)"
        )
    try:
        if path.is_dir():
            raise StoreError(f"{path}: is a directory; give the path of a file in it")
        if not path.exists():
            if read_only:
                raise StoreError(f"{path}: there is no such file; check the path")
            if not path.absolute().parent.is_dir():
                raise StoreError(f"{path}: its directory does not exist; create {path.absolute().parent} first")
            return
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as fault:
        raise StoreError(f"{path}: cannot be read ({fault.strerror}); check its permissions") from fault
    if header and not header.startswith(_HEADER):
        raise StoreError(f"{path}: is not a database; give the path of a store, or of a new file")
    # The header has the page size at byte 16 (1 stands for 65,536) and the number of pages at byte 28. Pages may be
    # missing from the file while they are in a write-ahead log.
    page = int.from_bytes(header[16:18], "big")
    expected = (65_536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
    if file_size(path) < expected and not file_size(wal_path(path)):
        raise StoreError(
            f"{path}: is cut short, {file_size(path):,} of {expected:,} bytes are there; restore it from a backup"
        )

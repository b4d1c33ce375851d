"""The file of a database as the system sees it: what it is called, how large it is, and whether it can be one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bandit.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = b"SQLite format 3\x00"


def wal_path(path: Path) -> Path:
    """Return where SQLite keeps the write-ahead log of a database."""
    return path.with_name(path.name + "-wal")


def file_size(path: Path) -> int:
    """Return the size in bytes, 0 where there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def sync_directory(folder: Path) -> None:
    """Have the names in a directory on the disk; OSError where that cannot be done."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def look_before_opening(path: Path, *, read_only: bool) -> None:
    """Refuse what SQLite would answer in words of its own, or would not notice at once."""
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
    # The header has the size of a page at byte 16 (1 stands for 65,536) and their number at byte 28. While a
    # write-ahead log is there, pages may rightly be missing from the file.
    page = int.from_bytes(header[16:18], "big")
    expected = (65_536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
    if file_size(path) < expected and not file_size(wal_path(path)):
        raise StoreError(
            f"{path}: is cut short, {file_size(path):,} of {expected:,} bytes are there; restore it from a backup"
        )

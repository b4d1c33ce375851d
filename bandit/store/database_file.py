"""The database as a file: the paths beside it, its size, and a check of its header before SQLite opens it."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from bandit.errors import StoreError

_HEADER = b"SQLite format 3\x00"

_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH

HEADER_BYTES = 100
"""Bytes at the start of a database that describe it."""


def wal_path(path: Path) -> Path:
    """Return the path of a database's write-ahead log."""
    return path.with_name(path.name + "-wal")


def index_path(path: Path) -> Path:
    """Return the path of the index of a database's write-ahead log, through which processes share it."""
    return path.with_name(path.name + "-shm")


def resolved(path: Path) -> Path:
    """Return the absolute path without symbolic links, by which all processes find the same files beside a database."""
    return Path(os.path.realpath(path))


def is_header(header: bytes) -> bool:
    """Say whether these are the first bytes of a database."""
    return header.startswith(_HEADER)


def expected_bytes(header: bytes) -> int:
    """Return the size of a database by its header: the page size is at byte 16, the number of pages at byte 28.

    Pages may be missing from the file while they are in a write-ahead log. The page size 1 stands for 65,536.
    """
    page = int.from_bytes(header[16:18], "big")
    return (65_536 if page == 1 else page) * int.from_bytes(header[28:32], "big")


def file_size(path: Path) -> int:
    """Return the size in bytes, 0 if there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def create_private(path: Path) -> None:
    """Create an empty file that its owner alone may read (0600, or less by the umask); FileExistsError if it is there.

    Not for a file that this process has open: closing it would release the locks of SQLite (POSIX).
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600))


def keep_mode(path: Path, of: Path) -> None:
    """Give a file that is to replace another one the permissions of that one, if it is there."""
    with contextlib.suppress(OSError):
        path.chmod(stat.S_IMODE(of.stat().st_mode))


def is_open_to_others(path: Path) -> bool:
    """Say whether users other than the owner may read or write a file; never on Windows, which has no such modes."""
    try:
        return os.name != "nt" and bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False


def sync_directory(folder: Path) -> None:
    """Flush the entries of a directory to the disk; OSError where the file system cannot."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def check_before_opening(path: Path, *, create: bool) -> None:
    """StoreError for a path that cannot be a store, and for a truncated file, which SQLite would notice late.

    With `create`, there need not be a file yet.
    """
    if path.name == ":memory:" or str(path).startswith("file:"):
        raise StoreError(
            f'"{path}" is no path of a file; a log outlives its program, so give a path such as offers.db (in a test, '
            "one in a temporary folder)"
        )
    try:
        if path.is_dir():
            raise StoreError(f"{path}: is a directory; give the path of a file in it")
        if not path.exists():
            if not create:
                raise StoreError(f"{path}: there is no such file; check the path")
            if not path.absolute().parent.is_dir():
                raise StoreError(f"{path}: its directory does not exist; create {path.absolute().parent} first")
            return
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError as fault:
        raise StoreError(f"{path}: cannot be read ({fault.strerror}); check its permissions") from fault
    if header and not is_header(header):
        raise StoreError(f"{path}: is not a database; give the path of a store, or of a new file")
    expected = expected_bytes(header)
    if file_size(path) < expected and not file_size(wal_path(path)):
        raise StoreError(
            f"{path}: is cut short, {file_size(path):,} of {expected:,} bytes are there; restore it from a backup"
        )

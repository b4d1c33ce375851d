"""Keeps the write-ahead log of a file that was at a path before from being applied to the one that is there now.

SQLite pairs a file and its log by their names alone. While connections to a database are open, whoever moves it away
and puts another one in its place without moving the log as well would have them mixed. POSIX locks tell: each
connection has a shared lock on a byte of the index of its log, and one on a range of bytes of its database, so that
a log in use beside a database that nobody has open belongs to another file (https://sqlite.org/walformat.html, section
2.2.3; https://sqlite.org/lockingv3.html, section 3).
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bandit.store.database_file import file_size, index_path, wal_path

ASIDE = "-of-a-former-file-"
"""Stands in the name of a log that was kept, before the time."""

_FIRST_SHARED, _SHARED_BYTES = 0x4000_0002, 510
_INDEX_IN_USE = 128
_CONFLICTS = {errno.EAGAIN, errno.EACCES}

with contextlib.suppress(ImportError):  # `supported_systems` says which systems have it
    import fcntl


def take_former_log_away(path: Path) -> None:
    """Remove the log beside a database if it is in use although nobody has the database open; keep what it holds.

    Not for a path of which this process has the database open, before or after a replacement: closing a file releases
    the locks of SQLite in this process (POSIX).
    """
    index = index_path(path)
    if not os.path.lexists(index):  # also where the folder may not be read
        return
    with nobody_has_open(path) as free:
        if free and _is_locked(index, _INDEX_IN_USE, 1):
            set_aside(path)


def set_aside(path: Path) -> None:
    """Rename the log of this path if there is something in it, else remove it, and remove its index."""
    log = wal_path(path)
    with contextlib.suppress(OSError):
        if file_size(log):
            log.rename(log.with_name(f"{log.name}{ASIDE}{time.time_ns()}"))
        else:
            log.unlink()
    with contextlib.suppress(OSError):
        index_path(path).unlink()


@contextlib.contextmanager
def nobody_has_open(path: Path) -> Iterator[bool]:
    """Say whether no process has the database open, and keep it so inside: others wait as for any lock of SQLite."""
    try:
        fd = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:  # not there, or not to be written by this process
        yield False
        return
    try:
        yield _lock(fd, _FIRST_SHARED, _SHARED_BYTES)
    finally:
        os.close(fd)


def _is_locked(path: Path, first: int, n_bytes: int) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return False
    try:
        return not _lock(fd, first, n_bytes)
    finally:
        os.close(fd)


def _lock(fd: int, first: int, n_bytes: int) -> bool:
    """Take an exclusive lock without waiting; False where another process has one that excludes it."""
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, n_bytes, first)
    except OSError as fault:
        if fault.errno in _CONFLICTS:
            return False
        raise
    return True

"""Notices that a database was moved, replaced, removed or cut short under an open connection, or lost its log.

SQLite goes on writing to the file that it has open, whatever its path names by then, so each acknowledged commit
is followed by a comparison of the path's device and inode with those of the opened file. After a commit of what would
be done again if it were lost, as a small step of learning, they are compared every `LOG_INTERVAL` seconds, and so are
the write-ahead log and its index, before a transaction begins.
"""

from __future__ import annotations

import os
import sqlite3
import time
from enum import Enum
from typing import TYPE_CHECKING

from bandit.store.database_file import HEADER_BYTES, expected_bytes, index_path, is_header, wal_path

if TYPE_CHECKING:
    from pathlib import Path

LOG_INTERVAL = 0.05
"""Seconds between two looks at the write-ahead log and its index."""

LOG_FRAME_HEADER = 24
"""Bytes before each page in the write-ahead log."""

Inode = tuple[int, int]
"""Device and inode of a file."""


class FileChange(Enum):
    """What happened to a database while it was open; the value says it in words."""

    GONE = "was moved or removed while it was open; put it back, what is decided meanwhile waits in the spool"
    REPLACED = "was replaced by another file while it was open"
    CUT = "was cut short or overwritten while it was open; restore it from a backup, as a new file that replaces it"
    REKEYED = (
        "was given another customer key while it was open; add the new key to the key file as its last line, and open "
        "it again"
    )
    LOG = "lost its write-ahead log while it was open: the file with -wal or -shm behind its name was removed"


class DisplacedFileError(sqlite3.OperationalError):
    """The cause of a StoreError for a file that is no longer what was opened.

    `committed` says that a transaction was committed to the opened file before that was noticed.
    """

    def __init__(self, change: FileChange, *, committed: bool = False) -> None:
        super().__init__(change.value)
        self.change = change
        self.committed = committed


class FileIdentity:
    """The file, log and index that a connection has open, to compare with what their paths name now."""

    def __init__(self, path: Path) -> None:
        """Take down what the path names; OSError if that is nothing."""
        self._name = os.fspath(path)
        self._beside = (os.fspath(wal_path(path)), os.fspath(index_path(path)))
        found = os.stat(self._name)  # noqa: PTH116 - a Path costs as much again, at each commit
        self.inode: Inode = (found.st_dev, found.st_ino)
        self._size = found.st_size
        self._log = tuple(map(_inode, self._beside))
        self._next_look = self._next_glance = 0.0
        self.is_cut = False

    def change(self) -> FileChange | None:
        """Return what happened to the file itself, None if nothing did."""
        try:
            found = os.stat(self._name)  # noqa: PTH116
        except OSError:
            return FileChange.GONE
        if (found.st_dev, found.st_ino) != self.inode:
            return FileChange.REPLACED
        if found.st_size < self._size or self.is_cut:
            return FileChange.CUT
        self._size = found.st_size
        return None

    def change_lately(self) -> FileChange | None:
        """Return what `change` does, looking again after `LOG_INTERVAL` only."""
        now = time.monotonic()
        if now < self._next_glance:
            return None
        change = self.change()
        if change is None:
            self._next_glance = now + LOG_INTERVAL
        return change

    def change_before(self) -> FileChange | None:
        """Return what happened to the file or to its log, looking again after `LOG_INTERVAL` only."""
        now = time.monotonic()
        if now < self._next_look:
            return None
        change = self.change()
        if change is None and not self._has_log():
            change = FileChange.LOG
        if change is None:
            self._next_look = self._next_glance = now + LOG_INTERVAL
        return change

    def _has_log(self) -> bool:
        """Say whether log and index are those of before; they are made at the first reading, and taken down then."""
        found = tuple(map(_inode, self._beside))
        if self._log == (None, None):
            self._log = found
        return found == self._log

    def is_whole(self, pages: int, page_bytes: int) -> bool:
        """Say whether a file that has become smaller is a whole database, as after a VACUUM.

        `pages` is the size that SQLite reports: those that the file lacks must fit into the write-ahead log. A file
        that `is_cut` stays so: one that is written over in place is never again the one that was opened.
        """
        if self.is_cut:
            return False
        size = os.stat(self._name).st_size  # noqa: PTH116
        header = os.pread(kept_descriptor(self._name), HEADER_BYTES, 0)
        logged = _size(self._beside[0]) // (page_bytes + LOG_FRAME_HEADER)
        if not is_header(header) or expected_bytes(header) > size or pages - size // page_bytes > logged:
            return False
        self._size = size
        return True

    def log_remains(self) -> bool:
        """Say whether the log or the index of the opened file lies at its path."""
        return any(
            inode is not None and _inode(name) == inode for name, inode in zip(self._beside, self._log, strict=True)
        )

    def log_is_new(self) -> bool:
        """Say whether another log with content lies where that of the opened file was."""
        return _inode(self._beside[0]) != self._log[0] and _size(self._beside[0]) > 0


_DESCRIPTORS: dict[tuple[Inode, int], int] = {}


def kept_descriptor(name: str | Path, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of a file, the same one each time; OSError where it cannot be opened.

    It stays open: closing one would release the locks of SQLite in this process (POSIX).
    """
    found = os.stat(name)  # noqa: PTH116
    key = ((found.st_dev, found.st_ino), flags)
    if key not in _DESCRIPTORS:
        fd = os.open(name, flags | getattr(os, "O_CLOEXEC", 0))
        opened = os.fstat(fd)
        key = ((opened.st_dev, opened.st_ino), flags)
        _DESCRIPTORS[key] = fd
    return _DESCRIPTORS[key]


def inode_of(path: Path) -> Inode | None:
    """Return the device and inode that a path names, None if it names nothing."""
    return _inode(os.fspath(path))


def _inode(name: str) -> Inode | None:
    try:
        found = os.stat(name)  # noqa: PTH116
    except OSError:
        return None
    return (found.st_dev, found.st_ino)


def _size(name: str) -> int:
    try:
        return os.stat(name).st_size  # noqa: PTH116
    except OSError:
        return 0

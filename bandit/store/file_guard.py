"""Keeps a connection from writing to a database that was moved, replaced, removed or cut short, or lost its log."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, NoReturn

from bandit.errors import StoreError
from bandit.store.file_identity import DisplacedFileError, FileChange, FileIdentity, Inode, inode_of
from bandit.store.fork_safety import OPENING
from bandit.store.former_log import nobody_has_open, set_aside
from bandit.store.sqlite_errors import is_busy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOG_GRACE = 1.0
"""Seconds from noticing that the write-ahead log was removed until a new one is begun."""

COPY_LOG_TIMEOUT = 0.05
"""Seconds that copying the log of a displaced file waits for other connections."""


class FileGuard:
    """What one connection knows of the file that it has open; the connection's lock guards it.

    A file that was moved or replaced gets what is in the write-ahead log, so that it is whole wherever it lies. The log
    of a file that is gone stays: the file may be put back, and then all connections must go on with the same log. That
    of a replaced file fits no other one, and is taken away, unless somebody has the new file open with it by then.
    """

    def __init__(self, path: Path, inode: Inode | None, is_open_here: Callable[[Path], bool]) -> None:
        """Guard the file of this path; with `inode`, no other one may be opened.

        `is_open_here` says whether a connection of this process has the file open that the path names now.
        """
        self._path = path
        self._is_open_here = is_open_here
        self._inode = inode
        self._identity: FileIdentity | None = None
        self._log_lost_at: float | None = None

    @property
    def inode(self) -> Inode | None:
        """Device and inode of the opened file, None before one was opened."""
        return self._inode

    def before_opening(self) -> None:
        """StoreError if a file was opened before and the path does not name it now."""
        if self._inode is not None:
            found = inode_of(self._path)
            if found != self._inode:
                self._displaced(FileChange.GONE if found is None else FileChange.REPLACED)

    def opened(self) -> None:
        """Take down which file was opened; StoreError if it is another one than before."""
        try:
            found = FileIdentity(self._path)
        except OSError:
            self._displaced(FileChange.GONE)
        if self._inode is not None and found.inode != self._inode:
            self._displaced(FileChange.REPLACED)
        self._identity, self._inode = found, found.inode

    def must_reopen(self, raw: sqlite3.Connection) -> bool:
        """Look at the file before a transaction; True if the connection is to be opened anew to get a log again.

        StoreError if the file is displaced. A log that was removed is replaced by a new one after `LOG_GRACE`: by then
        the other connections have ended what they were writing to the old one, and looked before they write more.
        """
        identity = self._identity
        change = None if identity is None else identity.change_before()
        if identity is None or change is None:
            self._log_lost_at = None
            return False
        if change is not FileChange.LOG:
            self._act_on(change, identity, raw, committed=False)
            return False
        now = time.monotonic()
        self._log_lost_at = now if self._log_lost_at is None else self._log_lost_at
        if now < self._log_lost_at + LOG_GRACE:
            self._displaced(FileChange.LOG)
        if not identity.log_is_new():
            _copy_log(raw)
        self._log_lost_at = None
        return True

    def require_in_place(self, raw: sqlite3.Connection, *, committed: bool) -> None:
        """StoreError unless the path names the opened file; outside transactions only."""
        identity = self._identity
        change = None if identity is None else identity.change()
        if identity is not None and change is not None:
            self._act_on(change, identity, raw, committed=committed)

    def look_around(self, raw: sqlite3.Connection) -> None:
        """Do what `require_in_place` does after a commit of what would be done again, at times only."""
        identity = self._identity
        change = None if identity is None else identity.change_lately()
        if identity is not None and change is not None:
            self._act_on(change, identity, raw, committed=True)

    def leave_log(self, raw: sqlite3.Connection) -> None:
        """Take the log away from the path of a file that was replaced; StoreError while others use it.

        A log that cannot be copied, as the file is damaged, is kept under another name.
        """
        identity = self._identity
        if identity is None or not identity.log_remains():
            return
        if _copy_log(raw) is False or not self._take_log_away(identity):
            raise StoreError(f"{self._path}: the write-ahead log of the file before is still in use")

    def _take_log_away(self, identity: FileIdentity) -> bool:
        """Take the log away while nobody has the new file open, and say whether it is gone or has become that one's."""
        with OPENING:
            if self._is_open_here(self._path):
                return True
            with nobody_has_open(self._path) as free:
                if free and identity.log_remains():
                    set_aside(self._path)
            return not (free and identity.log_remains())

    def _act_on(self, change: FileChange, identity: FileIdentity, raw: sqlite3.Connection, *, committed: bool) -> None:
        if change is FileChange.CUT:
            with contextlib.suppress(sqlite3.Error):  # damaged beyond reading
                pages, page_bytes = (int(raw.execute(pragma).fetchone()[0]) for pragma in (_PAGES, _PAGE_BYTES))
                if identity.is_whole(pages, page_bytes):
                    return
            identity.is_cut = True
        elif _copy_log(raw) and change is FileChange.REPLACED and identity.log_remains():
            self._take_log_away(identity)
        self._displaced(change, committed=committed)

    def _displaced(self, change: FileChange, *, committed: bool = False) -> NoReturn:
        raise StoreError(f"{self._path}: {change.value}") from DisplacedFileError(change, committed=committed)


_PAGES, _PAGE_BYTES = "PRAGMA page_count", "PRAGMA page_size"


def _copy_log(raw: sqlite3.Connection) -> bool | None:
    """Copy the write-ahead log into the file that is open, and say whether all of it was; None if it cannot be."""
    try:
        (before,) = raw.execute("PRAGMA busy_timeout").fetchone()
        raw.execute(f"PRAGMA busy_timeout = {round(1_000 * COPY_LOG_TIMEOUT):d}")
        try:
            busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            raw.execute(f"PRAGMA busy_timeout = {int(before):d}")
    except sqlite3.Error as fault:
        return False if is_busy(fault) else None
    return not busy

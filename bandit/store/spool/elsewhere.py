"""Finds the spools of other writers beside a database, and decisions in them before they are folded."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bandit.store.spool.file import LINE_HASH_DIGITS, open_regular, read_lines, spools
from bandit.store.spool.records import SpooledDecisions, read_spooled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bandit.store.file_identity import Inode
    from bandit.store.records import DecisionRows

LISTINGS = 20
"""Most times that the folder is listed for one search, where spools vanish meanwhile."""

CLOCK_TICK = 50_000_000
"""Nanoseconds within which a second change of a folder may leave its time as it is: their clock is coarse."""


class OtherSpools:
    """The spools beside one database that are not its caller's own; one thread at a time.

    The folder is listed again only when its time of change has moved, and each file is read once: what costs little
    may be done at each decision with an id of the caller's.
    """

    def __init__(self, database: Path, own: Callable[[], Path | None]) -> None:
        """`own` returns the path of the caller's spool, None while there is none."""
        self._database = database
        self._folder = os.fspath(database.parent)
        self._own = own
        self._listed: int | None = None
        self._found: list[Path] = []
        self._indexes: dict[Path, _Index] = {}

    def paths(self) -> list[Path]:
        """Return the spools that there are, without the caller's own."""
        try:
            changed = os.stat(self._folder).st_mtime_ns  # noqa: PTH116 - a Path costs as much again
        except OSError:
            return []
        if changed != self._listed:
            self._found = spools(self._database)
            self._listed = changed if time.time_ns() - changed > CLOCK_TICK else None
        if not self._found:
            self._indexes.clear()
            return []
        own = self._own()
        return [path for path in self._found if path != own]

    def all(self) -> Iterator[DecisionRows]:
        """Yield the decisions in all of the spools, batch by batch."""
        for path in self.paths():
            with contextlib.suppress(OSError):  # it was folded meanwhile
                yield from _batches(path)

    def first_existing(self, decision_ids: Sequence[str]) -> str | None:
        """Return the first of the ids that is in one of the spools, None if none is."""
        return next((name for name in decision_ids if self.find(name) is not None), None)

    def find(self, decision_id: str) -> tuple[DecisionRows, int] | None:
        """Return the batch that contains a decision and its row there; None if it is in none of the spools.

        Look into the database after that, not before: lines go from a spool to the database, never back. They may also
        go to another spool, so the folder is listed again where one has vanished before it was read.
        """
        for _ in range(LISTINGS):
            paths, vanished = self.paths(), False
            if not paths:
                return None
            for path in set(self._indexes) - set(paths):
                del self._indexes[path]
            for path in paths:
                try:
                    found = self._indexes.setdefault(path, _Index(path)).find(decision_id)
                    if found is not None:
                        return found.rows(), found.decision_ids.index(decision_id)
                except FileNotFoundError:
                    vanished = True
                except (OSError, ValueError, TypeError, LookupError, msgspec.MsgspecError):
                    continue
            if not vanished:
                return None
            self._listed = None
        return None


def _batches(path: Path) -> Iterator[DecisionRows]:
    """Yield the decisions of one spool, line by line, as far as they can be read."""
    fd = open_regular(path, os.O_RDONLY)
    try:
        for line in read_lines(fd, 0):
            with contextlib.suppress(ValueError, TypeError, LookupError, msgspec.MsgspecError):
                content = read_spooled(line.record)
                if isinstance(content, SpooledDecisions):
                    yield content.rows()
    finally:
        os.close(fd)


class _Index:
    """Where each decision is in one spool, as far as it was read; of two lines with one id, the first.

    A writer withdraws its last line where an exception cuts it short, and writes another one there: so the hash of the
    last line that was read is compared before it is read on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: Inode | None = None
        self._end = self._last = 0
        self._hash = b""
        self._offsets: dict[str, int] = {}

    def find(self, decision_id: str) -> SpooledDecisions | None:
        """Return the line with a decision; OSError if the file was deleted meanwhile."""
        fd = open_regular(self._path, os.O_RDONLY)
        try:
            found = os.fstat(fd)
            inode = found.st_dev, found.st_ino
            if self._inode != inode or os.pread(fd, len(self._hash), self._last) != self._hash:
                self._inode, self._end, self._last, self._hash, self._offsets = inode, 0, 0, b"", {}
            self._read_on(fd)
            start = self._offsets.get(decision_id)
            if start is None:
                return None
            content = read_spooled(next(read_lines(fd, start)).record)
            return content if isinstance(content, SpooledDecisions) else None
        finally:
            os.close(fd)

    def _read_on(self, fd: int) -> None:
        for line in read_lines(fd, self._end):
            start, self._end = self._end, line.end
            self._last, self._hash = start, line.text[:LINE_HASH_DIGITS]
            if line.record is not None and line.record.get("type") == "decisions":
                ids = line.record.get("decision_ids")
                for decision_id in ids if isinstance(ids, list) else ():
                    self._offsets.setdefault(str(decision_id), start)

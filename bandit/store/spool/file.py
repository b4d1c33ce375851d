"""Reads and writes spool files, in which one process keeps what the database cannot take, line by line.

A line is the blake2b-64 hash of a JSON text in hex, a space, and that text. The file's name is that of the database
with "-spool-", the process id and a random token. Its writer holds a lock (flock) on it while it may append, so a
process that gets the lock knows that the writer has ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bandit.errors import StoreError
from bandit.store.database_file import sync_directory

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MARK = "-spool-"
"""Stands in a spool's name between the name of the database and the process id."""

REFUSED = "-spool-refused"
"""Suffix, after the name of the database, of the file that keeps the lines that the database refused."""

_DIGITS = 16
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SpoolLine:
    """A line read back: its record, None if it is damaged; its bytes; and the offset of the next line."""

    record: dict[str, object] | None
    text: bytes
    end: int


def digest(text: bytes) -> bytes:
    """Return the hash that precedes a line's text: blake2b-64 in hex (RFC 7693)."""
    return hashlib.blake2b(text, digest_size=_DIGITS // 2).hexdigest().encode()


class Spool:
    """The spool of one writer; the file exists only while there are lines in it."""

    def __init__(self, database: Path, *, sync: bool) -> None:
        """With `sync` each line is on the disk before `append` returns, else with the operating system."""
        self._database = database
        self._sync = sync
        self._fd: int | None = None
        self._end = 0
        self.path = database
        self.lines = 0

    def __len__(self) -> int:
        return self.lines

    @property
    def token(self) -> str:
        """The random part of the file's name."""
        return _token(self.path)

    def append(self, record: Mapping[str, object]) -> int:
        """Write a line and return its offset; OSError if that fails, and then nothing of the line is in the file."""
        text = msgspec.json.encode(record)
        line = digest(text) + b" " + text + b"\n"
        fd = self._create() if self._fd is None else self._fd
        start = self._end
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(fd, line[written:], start + written)
            if self._sync:
                os.fsync(fd)
            # One statement without a call: an exception of a signal's handler leaves the line whole or not there.
            self._end, self.lines = start + len(line), self.lines + 1
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, self._end)
            raise
        return start

    def read(self, start: int) -> Iterator[SpoolLine]:
        """Yield the lines from an offset on."""
        return iter(()) if self._fd is None else read_lines(self._fd, start)

    def remove(self) -> None:
        """Delete the file, after all of it was folded into the database."""
        fd, end, lines = self._fd, self._end, self.lines
        self._fd, self._end, self.lines = None, 0, 0  # first, so that no line goes to a file that is deleted
        if fd is not None:
            try:
                self.path.unlink(missing_ok=True)
            except OSError:
                self._fd, self._end, self.lines = fd, end, lines
                raise
            os.close(fd)

    def release(self) -> None:
        """Close the file and leave it to the next process that opens the database, or to the parent after a fork."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._end, self.lines = None, 0, 0

    def _create(self) -> int:
        self.path = self._database.with_name(f"{self._database.name}{MARK}{os.getpid()}-{secrets.token_hex(8)}")
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(fd)
            if self._sync:
                sync_directory(self.path.absolute().parent)
        except OSError:
            os.close(fd)
            self.path.unlink(missing_ok=True)
            raise
        self._fd, self._end, self.lines = fd, 0, 0
        return fd


@dataclass(frozen=True, slots=True)
class AbandonedSpool:
    """A spool whose writer has ended, locked by this process."""

    path: Path
    fd: int

    @property
    def token(self) -> str:
        """The random part of the file's name."""
        return _token(self.path)

    def read(self, start: int) -> Iterator[SpoolLine]:
        """Yield the lines from an offset on."""
        return read_lines(self.fd, start)


def spools(database: Path) -> list[Path]:
    """Return the spools beside a database, including those of running processes."""
    prefix = database.name + MARK
    with contextlib.suppress(OSError):
        beside = [entry for entry in database.absolute().parent.iterdir() if entry.name.startswith(prefix)]
        return sorted(entry for entry in beside if entry.name != database.name + REFUSED)
    return []


@contextlib.contextmanager
def abandoned_spool(path: Path) -> Iterator[AbandonedSpool | None]:
    """Lock a spool whose writer has ended; yields None if the writer is running or the file was deleted."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        yield None
        return
    try:
        yield AbandonedSpool(path, fd) if _try_lock(fd) and os.fstat(fd).st_nlink else None
    finally:
        os.close(fd)


def keep_refused(database: Path, line: bytes, reason: str) -> None:
    """Append a line that the database refused, with the reason, to the file of those; StoreError if that fails."""
    path = database.with_name(database.name + REFUSED)
    entry = msgspec.json.encode({"reason": reason, "line": line.decode(errors="replace")}) + b"\n"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(fd, entry)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as fault:
        raise StoreError(f"{path}: cannot be written ({fault.strerror}); make room, what is spooled waits") from fault


def read_lines(fd: int, start: int) -> Iterator[SpoolLine]:
    """Yield the lines from an offset on; an unfinished last line was never acknowledged, and is skipped."""
    rest, place = b"", start
    while chunk := os.pread(fd, _CHUNK_BYTES, place + len(rest)):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            place += len(line) + 1
            yield SpoolLine(_record(line), line, place)


def _token(path: Path) -> str:
    return path.name.rpartition("-")[2]


def _record(line: bytes) -> dict[str, object] | None:
    expected, _, text = line.partition(b" ")
    if expected != digest(text):
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.MsgspecError:
        return None


def _lock(fd: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _try_lock(fd: int) -> bool:
    try:
        _lock(fd)
    except OSError:
        return False
    return True

"""A spool: a file beside the database that keeps what the database cannot take just now, line by line.

A line is the blake2b-64 hash of a JSON text, in hex, a space and that text. Its name is that of the database with
"-spool-", the writer's process and a random token; the writer holds a lock on it (flock) as long as it may append, so
whoever gets that lock has the spool of a process that is gone.
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
"""What stands between the name of the database and that of the spool's writer."""

REFUSED = "-spool-refused"
"""What the file is called, after the database, in which lines are kept that the database did not take."""

_DIGITS = 16
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line read back: what was written, None where it is damaged; its bytes; and where the next one starts."""

    record: dict[str, object] | None
    text: bytes
    end: int


def digest(text: bytes) -> bytes:
    """Return the hash that stands before a line's text: blake2b-64 in hex (RFC 7693)."""
    return hashlib.blake2b(text, digest_size=_DIGITS // 2).hexdigest().encode()


class Spool:
    """The spool of one writer; the file is there only while something is in it."""

    def __init__(self, database: Path, *, sync: bool) -> None:
        """`sync` has every line on the disk before `append` returns, else with the operating system."""
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
        """The random part of its name."""
        return _token(self.path)

    def append(self, record: Mapping[str, object]) -> int:
        """Write a line and return where it starts; OSError where it cannot be written, and then it is not there."""
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
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, start)
            raise
        self._end += len(line)
        self.lines += 1
        return start

    def read(self, start: int) -> Iterator[Line]:
        """Yield the lines from a place on."""
        return iter(()) if self._fd is None else read_lines(self._fd, start)

    def remove(self) -> None:
        """Delete the file: all of it is in the database."""
        if self._fd is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
        self._fd, self._end, self.lines = None, 0, 0

    def let_go(self) -> None:
        """Leave the file to whoever opens the database next; in the child of a fork, to the parent."""
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
class LeftSpool:
    """A spool whose writer is gone, locked for the one who has it now."""

    path: Path
    fd: int

    @property
    def token(self) -> str:
        """The random part of its name."""
        return _token(self.path)

    def read(self, start: int) -> Iterator[Line]:
        """Yield the lines from a place on."""
        return read_lines(self.fd, start)


def spools(database: Path) -> list[Path]:
    """Return the spools beside a database, also those of processes that live."""
    prefix = database.name + MARK
    with contextlib.suppress(OSError):
        beside = [entry for entry in database.absolute().parent.iterdir() if entry.name.startswith(prefix)]
        return sorted(entry for entry in beside if entry.name != database.name + REFUSED)
    return []


@contextlib.contextmanager
def left_spool(path: Path) -> Iterator[LeftSpool | None]:
    """Yield a spool whose writer is gone, for this process alone; None where it lives, or the spool is no more."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        yield None
        return
    try:
        yield LeftSpool(path, fd) if _locked_now(fd) and os.fstat(fd).st_nlink else None
    finally:
        os.close(fd)


def keep_refused(database: Path, line: bytes, reason: str) -> None:
    """Keep a line that the database did not take, with the reason, in a file of its own; StoreError where it cannot."""
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


def read_lines(fd: int, start: int) -> Iterator[Line]:
    """Yield the lines from a place on; one that was not written to its end was never promised, and is passed over."""
    rest, place = b"", start
    while piece := os.pread(fd, _PIECE, place + len(rest)):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            place += len(line) + 1
            yield Line(_record(line), line, place)


def _token(path: Path) -> str:
    return path.name.rpartition("-")[2]


def _record(line: bytes) -> dict[str, object] | None:
    mark, _, text = line.partition(b" ")
    if mark != digest(text):
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.MsgspecError:
        return None


def _lock(fd: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _locked_now(fd: int) -> bool:
    try:
        _lock(fd)
    except OSError:
        return False
    return True

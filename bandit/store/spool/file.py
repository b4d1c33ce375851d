"""Reads and writes spool files, in which one process keeps what the database cannot take, line by line.

A line is the blake2b-64 hash of a JSON text in hex, a space, and that text. The file's name is that of the database
with "-spool-", the process id and a random token. Its writer holds a lock (flock) on it while it may append, so a
process that gets the lock knows that the writer has ended. Only regular files count, and no link is followed: what
else has such a name is left alone, and opening it never waits.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
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

LINE_HASH_DIGITS = 16
"""Hex digits of the hash at the beginning of a line."""

_CHUNK_BYTES = 1 << 20

CREATE_TRIES = 100
"""Most files that are made for one spool: another process may take a file for abandoned before it is locked."""

_SAFE = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class SpoolLine:
    """A line read back: its record, None if it is damaged; its bytes; and the offset of the next line."""

    record: dict[str, object] | None
    text: bytes
    end: int


def digest(text: bytes) -> bytes:
    """Return the hash that precedes a line's text: blake2b-64 in hex (RFC 7693)."""
    return hashlib.blake2b(text, digest_size=LINE_HASH_DIGITS // 2).hexdigest().encode()


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

    @property
    def end(self) -> int:
        """The offset of the next line."""
        return self._end

    def append(self, record: Mapping[str, object]) -> int:
        """Write a line and return its offset; OSError if that fails, and then nothing of the line is in the file."""
        text = msgspec.json.encode(record)
        line = digest(text) + b" " + text + b"\n"
        fd = self._create() if self._fd is None else self._fd
        start = self._end
        try:
            self._write(fd, line, start)
            while not _names(self.path, fd):
                fd = self._write_again(fd, start + len(line))
            # One statement without a call: an exception of a signal's handler leaves the line whole or not there.
            self._end, self.lines = start + len(line), self.lines + 1
        except BaseException:
            if self._fd is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, self._end)
            raise
        return start

    def _write(self, fd: int, content: bytes, start: int) -> None:
        written = 0
        while written < len(content):
            written += os.pwrite(fd, content[written:], start + written)
        if self._sync:
            os.fsync(fd)

    def _write_again(self, old: int, size: int) -> int:
        """Write all lines to another file, as the one that was written was deleted or moved; return its descriptor."""
        before, path = (self._end, self.lines), self.path
        content = os.pread(old, size, 0)
        if len(content) < size:
            raise OSError(errno.EIO, "the spool was deleted and cannot be read", str(path))
        self._fd = None
        try:
            fd = self._create()
            self._write(fd, content, 0)
        except BaseException:
            with contextlib.suppress(OSError):
                self.remove()
            self._fd, self.path = old, path
            raise
        finally:
            self._end, self.lines = before
        os.close(old)
        return fd

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
        """Make a file and lock it; where another process took or deleted it between the two, make another one."""
        for _ in range(CREATE_TRIES):
            path = self._database.with_name(f"{self._database.name}{MARK}{os.getpid()}-{secrets.token_hex(8)}")
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
            try:
                if _try_lock(fd) and _names(path, fd):
                    if self._sync:
                        sync_directory(path.parent)
                    self.path, self._fd, self._end, self.lines = path, fd, 0, 0
                    return fd
            except OSError:
                path.unlink(missing_ok=True)
                os.close(fd)
                raise
            os.close(fd)  # the other process deletes the empty file
        raise OSError(errno.EBUSY, "each file that was made was taken by another process")


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
    prefix, refused = database.name + MARK, database.name + REFUSED
    with contextlib.suppress(OSError), os.scandir(database.absolute().parent) as entries:
        return sorted(
            database.absolute().with_name(entry.name)
            for entry in entries
            if entry.name.startswith(prefix) and entry.name != refused and entry.is_file(follow_symlinks=False)
        )
    return []


def open_regular(path: Path, flags: int) -> int:
    """Open a regular file, made with mode 0600 if the flags say so; OSError for anything else, without waiting."""
    fd = os.open(path, flags | _SAFE, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return fd


@contextlib.contextmanager
def abandoned_spool(path: Path) -> Iterator[AbandonedSpool | None]:
    """Lock a spool whose writer has ended; yields None if the writer is running or the file was deleted."""
    try:
        fd = open_regular(path, os.O_RDWR)
    except OSError:
        yield None
        return
    try:
        yield AbandonedSpool(path, fd) if _try_lock(fd) and _names(path, fd) else None
    finally:
        os.close(fd)


def keep_refused(database: Path, line: bytes, reason: str) -> None:
    """Append a line that the database refused, with the reason, to the file of those; StoreError if that fails.

    One that was kept lately is not kept again: a fold that is rolled back is done again.
    """
    path = database.with_name(database.name + REFUSED)
    entry = msgspec.json.encode({"reason": reason, "line": line.decode(errors="replace")}) + b"\n"
    try:
        with os.fdopen(open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab") as file:
            if entry in os.pread(file.fileno(), _CHUNK_BYTES, max(0, os.fstat(file.fileno()).st_size - _CHUNK_BYTES)):
                return
            file.write(entry)
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        raise StoreError(f"{path}: cannot be written ({fault.strerror}); make room, what is spooled waits") from fault


def read_lines(fd: int, start: int) -> Iterator[SpoolLine]:
    """Yield the lines from an offset on; an unfinished last line was never acknowledged, and is skipped."""
    rest, place = b"", start
    while chunk := os.pread(fd, _CHUNK_BYTES, place + len(rest)):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            place += len(line) + 1
            yield SpoolLine(read_line(line), line, place)


def _names(path: Path, fd: int) -> bool:
    """Say whether a path names the file of a descriptor."""
    try:
        found, opened = os.lstat(path), os.fstat(fd)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino)


def _token(path: Path) -> str:
    return path.name.rpartition("-")[2]


def read_line(line: bytes) -> dict[str, object] | None:
    """Return the record of a line without its end, None if it is damaged."""
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

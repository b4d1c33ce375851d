"""Translates SQLite's errors into StoreErrors of one sentence, and classifies those."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

from bandit.errors import InputError, StoreError
from bandit.store.file_identity import DisplacedFileError

if TYPE_CHECKING:
    from pathlib import Path

    from bandit.store.file_identity import FileChange

_NEEDED_BYTES = 64 << 10

_SENTENCES = {
    sqlite3.SQLITE_BUSY: "is locked by another process; try again, or open it with a longer busy_timeout",
    sqlite3.SQLITE_LOCKED: "is locked by another use of this connection; finish that first",
    sqlite3.SQLITE_NOTADB: "is not a database; give the path of a store, or of a new file",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; make room and try again, nothing was written",
    sqlite3.SQLITE_READONLY: "is open for reading only; open it for writing, or make the file writable",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that the directory exists and may be written to",
    sqlite3.SQLITE_IOERR: "could not be read or written by the system; look at the disk, its room and its quotas",
    sqlite3.SQLITE_PERM: "may not be accessed; check its permissions",
    sqlite3.SQLITE_AUTH: "may not be accessed; check its permissions",
}


def raise_store_error(path: Path, fault: BaseException) -> None:
    """Raise a StoreError of one sentence for an error of SQLite; return for any other fault.

    InputError for a value that cannot be passed to SQLite at all: half a character, a number of more than 64 bits.
    """
    if isinstance(fault, sqlite3.ProgrammingError):
        if "closed database" in str(fault):
            raise StoreError(f"{path}: the store is closed; open it again") from fault
    elif isinstance(fault, UnicodeEncodeError):
        raise InputError(
            f"a text of {len(fault.object):,} characters has half a character at place {fault.start + 1:,}; send "
            "whole ones"
        ) from None  # the fault has the text, which may be a customer
    elif isinstance(fault, OverflowError) and "SQLite INTEGER" in str(fault):
        raise InputError("a number has more than 64 bits and cannot be stored; send a smaller one") from fault
    elif isinstance(fault, UnicodeDecodeError):  # SQLite quotes a damaged schema, whose bytes are no text
        raise StoreError(f"{path}: {_SENTENCES[sqlite3.SQLITE_CORRUPT]}") from fault
    elif isinstance(fault, sqlite3.Error):
        code = _code(fault)
        if "decode to UTF-8" in str(fault):  # the message quotes the damaged text, which may be a customer's
            code = sqlite3.SQLITE_CORRUPT
        if code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN} and _is_full(path):
            raise StoreError(
                f"{path}: cannot be used, the disk is full, and SQLite needs room beside the file even to read it; "
                "make room and try again"
            ) from fault
        sentence = _SENTENCES.get(code, f"could not be used, SQLite says: {fault}; see `doctor` for its state")
        raise StoreError(f"{path}: {sentence}") from fault


def is_busy(fault: sqlite3.Error) -> bool:
    """Say whether another connection held the lock that was asked for."""
    return _code(fault) == sqlite3.SQLITE_BUSY


def is_unwritable(fault: sqlite3.Error) -> bool:
    """Say whether a file could not be made or written beside the database."""
    return _code(fault) in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


def is_outage(fault: StoreError) -> bool:
    """Say whether the database is at fault (locked, full, damaged), not the data to write and not a closed store."""
    return isinstance(fault.__cause__, sqlite3.Error) and not isinstance(
        fault.__cause__, (sqlite3.ProgrammingError, sqlite3.IntegrityError)
    )


def is_closed(fault: StoreError) -> bool:
    """Say whether the only fault is that the store is closed."""
    return fault.__cause__ is None or isinstance(fault.__cause__, sqlite3.ProgrammingError)


def file_change(fault: StoreError) -> FileChange | None:
    """Return what happened to the database's file, if that is the fault."""
    return fault.__cause__.change if isinstance(fault.__cause__, DisplacedFileError) else None


def is_committed_elsewhere(fault: StoreError) -> bool:
    """Say whether a transaction was committed to a file that was no longer at its path."""
    return isinstance(fault.__cause__, DisplacedFileError) and fault.__cause__.committed


def is_broken_reference(fault: StoreError) -> bool:
    """Say whether a row referred to another one that the database does not have."""
    return isinstance(fault.__cause__, sqlite3.IntegrityError) and "FOREIGN KEY" in str(fault.__cause__)


def _is_full(path: Path) -> bool:
    """Say whether the disk of a file has less room than the files that SQLite makes beside it need at first."""
    try:
        return shutil.disk_usage(path.parent).free < _NEEDED_BYTES
    except OSError:
        return False


def _code(fault: sqlite3.Error) -> int:
    """Return the primary result code, without the bits of the extended one."""
    return int(getattr(fault, "sqlite_errorcode", 0)) & 0xFF

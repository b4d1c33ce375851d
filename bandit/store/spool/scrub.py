"""Texts that stand in the files beside a database: finding them, and taking out the lines that have them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from bandit.errors import StoreError
from bandit.store.spool.file import REFUSED, spools

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def spools_with(database: Path, words: Sequence[str]) -> tuple[Path, ...]:
    """Return the spools in which one of these texts stands."""
    return tuple(path for path in spools(database) if _stands_in(path, words))


def clean_refused(database: Path, words: Sequence[str]) -> bool:
    """Take out of the lines that the database refused those in which one of these texts stands; say if any did.

    The lines that stay are in the one file or in the other at any moment. The caller keeps out whoever adds lines;
    StoreError where the files cannot be written.
    """
    path = database.with_name(database.name + REFUSED)
    if not path.exists() or not _stands_in(path, words):
        return False
    needles = [_needle(word) for word in words]
    fresh = database.with_name(f"{database.name}-refused-new")
    try:
        lines = path.read_bytes().splitlines(keepends=True)
        kept = b"".join(line for line in lines if not any(needle in _unwrapped(line) for needle in needles))
        _write(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), kept)
        old = os.open(path, os.O_WRONLY)
        fresh.replace(path)
        _write(old, b"\0" * sum(map(len, lines)))  # over what was there: its blocks go back to the disk
    except OSError as fault:
        raise StoreError(f"{path}: cannot be rewritten ({fault.strerror}); make room and try again") from fault
    return True


def _write(fd: int, content: bytes) -> None:
    """Write a file whole, have it on the disk, and close it."""
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _needle(word: str) -> bytes:
    """Return a text as it stands in JSON."""
    return msgspec.json.encode(word)


def _unwrapped(line: bytes) -> bytes:
    """Return a line that was refused as it was spooled."""
    try:
        return str(msgspec.json.decode(line, type=dict[str, object])["line"]).encode()
    except (msgspec.MsgspecError, KeyError):
        return line


def _stands_in(path: Path, words: Sequence[str]) -> bool:
    needles = [_needle(word) for word in words]
    try:
        with path.open("rb") as file:
            return any(needle in _unwrapped(line) for line in file for needle in needles)
    except OSError:  # folded and deleted meanwhile
        return False

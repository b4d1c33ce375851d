"""Finds texts of a customer in the files beside a database, and removes the refused lines that contain them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from bandit.errors import StoreError
from bandit.store.spool.file import REFUSED, open_regular, spools

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def spools_with(database: Path, texts: Sequence[str]) -> tuple[Path, ...]:
    """Return the spools that contain one of these texts."""
    return tuple(path for path in spools(database) if _contains(path, texts))


def remove_refused(database: Path, texts: Sequence[str]) -> bool:
    """Remove the refused lines that contain one of these texts, and say whether there were any.

    At every moment the lines that stay are in the old file or in the new one. The caller keeps other processes from
    adding lines. StoreError if the files cannot be written.
    """
    path = database.with_name(database.name + REFUSED)
    if not path.exists() or not _contains(path, texts):
        return False
    needles = [_as_json(text) for text in texts]
    fresh = database.with_name(f"{database.name}-refused-new")
    try:
        with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
            lines = file.read().splitlines(keepends=True)
        staying = b"".join(line for line in lines if not any(needle in _spooled_line(line) for needle in needles))
        fresh.unlink(missing_ok=True)
        _write(open_regular(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL), staying)
        old = open_regular(path, os.O_WRONLY)
        fresh.replace(path)
        _write(old, b"\0" * sum(map(len, lines)))  # zeros over the old content, before its blocks are freed
    except OSError as fault:
        raise StoreError(f"{path}: cannot be rewritten ({fault.strerror}); make room and try again") from fault
    return True


def _write(fd: int, content: bytes) -> None:
    """Write a file, flush it to the disk, and close it."""
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _as_json(text: str) -> bytes:
    return msgspec.json.encode(text)


def _spooled_line(line: bytes) -> bytes:
    """Return a line of the file of refused lines as it was spooled, without the reason around it."""
    try:
        return str(msgspec.json.decode(line, type=dict[str, object])["line"]).encode()
    except (msgspec.MsgspecError, KeyError):
        return line


def _contains(path: Path, texts: Sequence[str]) -> bool:
    needles = [_as_json(text) for text in texts]
    try:
        with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
            return any(needle in _spooled_line(line) for line in file for needle in needles)
    except OSError:  # folded and deleted meanwhile, or no regular file
        return False

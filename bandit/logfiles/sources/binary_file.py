"""Opening plain and gzipped files, with their faults as one kind of error and a limit on how far they unpack."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from bandit.errors import LogFileError

GZIP_MAGIC = b"\x1f\x8b"

MAX_INFLATION, INFLATION_FROM = 200, 100_000_000
"""How many times as large as its gzip file a log may be, once it has so many bytes."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a file; yield it as it is on the disk, and its content, unpacked where it is gzipped."""
    with path.open("rb") as raw:
        if raw.peek(2)[:2] == GZIP_MAGIC:
            with gzip.GzipFile(fileobj=raw) as content:
                yield raw, cast("IO[bytes]", content)
        else:
            yield raw, raw


@contextmanager
def file_faults(path: Path) -> Iterator[None]:
    """Turn the errors of opening, reading and unpacking a file into LogFileError."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as fault:
        raise LogFileError(f"{path}: is a damaged or truncated gzip file ({fault}); copy it again") from fault
    except OSError as fault:
        raise LogFileError(f"{path}: cannot be read: {fault.strerror or fault}; give the path of a log") from fault


def check_inflation(path: Path, n_bytes: int, n_stored: int) -> None:
    """LogFileError where `n_bytes` unpacked from `n_stored` are more than a log of that size has."""
    if n_bytes > INFLATION_FROM and n_bytes > MAX_INFLATION * n_stored:
        raise LogFileError(
            f"{path}: is more than {MAX_INFLATION} times as large as its gzip file; unpack it first if it is sound"
        )

"""The decision ids of rows whose log has none: from the line of a known file, or from what the row says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from bandit.logfiles.columns.seen import Occurrences

if TYPE_CHECKING:
    from bandit.domain import IntArray
    from bandit.logfiles.sources.source import SourceChunk

_SEPARATOR = "\x1f"
_ID_BYTES = 12
_END = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class LineRun:
    """The lines up to `last` of a file, named by the digest of the file that had them first."""

    last: int
    digest: str


@dataclass(slots=True, eq=False)
class RowNames:
    """Makes decision ids: digest and line in the `runs` of known lines, and in the others what `content` says.

    Without `content` all lines are in the runs. With it, an id is a hash of the row's customer, time and offer, and of
    how many rows before it have the same: what came of a decision and what was known of the customer are not in it, so
    that a later export of the same decision has the same id.
    """

    runs: Sequence[LineRun]
    content: ContentNames | None = None
    line_customers: bool = False

    @staticmethod
    def of_lines(digest: str, runs: Sequence[LineRun] = (), *, line_customers: bool = False) -> RowNames:
        """Return names by line, those after the runs by the file's own digest."""
        return RowNames((*runs, LineRun(_END, digest)), None, line_customers)

    def ids(self, chunk: SourceChunk, time: IntArray) -> list[str]:
        """Return the ids of a chunk's rows, whose times are known."""
        named = self._by_line(chunk.lines)
        if self.content is None:
            return named
        made = self.content.ids(chunk, time)
        n_known = len(named)
        return named + made[n_known:]

    def lines(self, chunk: SourceChunk) -> list[str]:
        """Return names by line for all rows, for customers that a log without keys does not name."""
        return self._by_line(chunk.lines)

    def _by_line(self, lines: IntArray) -> list[str]:
        """Return the names of the rows whose lines are in a run, which are the first of them."""
        names: list[str] = []
        for run in self.runs:
            here = lines[len(names) :]
            here = here[: int(np.searchsorted(here, run.last, side="right"))]
            names += map(f"{run.digest}-%s".__mod__, map(str, here.tolist()))
        return names


class ContentNames:
    """Makes ids of the texts of some columns and of the time, chunk by chunk in the order of the rows.

    With a key they are keyed hashes, so that nobody can tell from an id whether a guessed customer is behind it.
    """

    def __init__(self, columns: Sequence[str], key: bytes | None = None) -> None:
        self.columns = columns
        self.key = key
        self._occurrences = Occurrences()

    def ids(self, chunk: SourceChunk, time: IntArray) -> list[str]:
        """Return the ids of a chunk's rows: a hash, with the number of the row from the second of its kind on."""
        if not len(chunk):
            return []
        texts = [map(str.strip, chunk.columns[name]) for name in self.columns]
        rows = map(_SEPARATOR.join, zip(map(str, time.tolist()), *texts, strict=True))
        hashes = [blake2b(row.encode(), digest_size=_ID_BYTES, key=self.key or b"").digest() for row in rows]
        ids = [each.hex() for each in hashes]
        heads = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(ids), _ID_BYTES)[:, :8]
        before = self._occurrences.add(np.ascontiguousarray(heads).view(np.int64).ravel())
        for row in np.flatnonzero(before).tolist():
            ids[row] = f"{ids[row]}.{before[row] + 1}"
        return ids

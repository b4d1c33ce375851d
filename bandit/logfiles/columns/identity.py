"""The customer and the decision id of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.schema import MAX_NAME
from bandit.logfiles.columns.values import is_blank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import BoolArray, IntArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk


EVENT_ROWS_CURE = "; for a file with a row an event write [event_rows] in the mapping"
"""What to do where several rows have one decision id, as the end of a sentence."""


class IdentityReader:
    """Reads customers and decision ids; where no column has them they are made of the file's digest and the line."""

    def __init__(self, mapping: LogMapping) -> None:
        self.customer = mapping.file.columns.customer
        rows = mapping.file.event_rows
        self.decision_id = mapping.file.columns.decision_id or (None if rows is None else rows.event_id)
        self.columns = [name for name in (self.customer, self.decision_id) if name is not None]
        self._seen = _SeenIds()

    def read(
        self, chunk: SourceChunk, digest: str | None, rejections: ChunkRejections
    ) -> tuple[Sequence[str] | None, Sequence[str] | None]:
        """Return (customers, decision ids); rows where one is blank or too long are rejected.

        Without a digest none are made: what no column has is None.
        """
        made: Sequence[str] | None = None
        if digest is not None and len(self.columns) < 2:
            made = list(map(f"{digest}-%s".__mod__, map(str, chunk.lines.tolist())))
        ids, customers = made, made
        if self.decision_id is not None:
            ids = list(chunk.columns[self.decision_id])
            _reject_unusable("decision id", self.decision_id, ids, rejections)
        if self.customer is not None:
            customers = list(chunk.columns[self.customer])
            _reject_unusable("customer", self.customer, customers, rejections)
        return customers, ids

    def customers(self, chunk: SourceChunk) -> Sequence[str] | None:
        """Return the customers of rows that were checked before, None where no column has them."""
        return None if self.customer is None else list(chunk.columns[self.customer])

    def reject_repeated(self, ids: Sequence[str] | None, rejections: ChunkRejections) -> None:
        """Reject the rows whose id an earlier row of the file has; to be called when all else is checked."""
        if self.decision_id is None or ids is None:
            return
        rows = np.flatnonzero(rejections.ok)
        repeated = np.zeros(len(ids), dtype=np.bool_)
        repeated[rows] = self._seen.add(list(map(ids.__getitem__, rows.tolist())))
        rejections.reject(
            repeated,
            "decision id twice in the file",
            lambda row: f'an earlier row has the decision id "{ids[row]}" too{EVENT_ROWS_CURE}',
        )


class _SeenIds:
    """The ids seen so far, as sorted arrays of 64-bit hashes: eight bytes a row.

    Two ids of one hash would be taken for the same; among a million rows that happens in one of 37 million files.
    """

    def __init__(self) -> None:
        self._runs: list[IntArray] = []

    def add(self, ids: Sequence[str]) -> BoolArray:
        """Add a column of ids; return which of them were seen before, or stand earlier in the column, (n,)."""
        hashes = np.fromiter(map(hash, ids), dtype=np.int64, count=len(ids))
        distinct, first = np.unique(hashes, return_index=True)
        repeated = np.ones(len(ids), dtype=np.bool_)
        repeated[first] = False
        for run in self._runs:
            repeated |= run[np.minimum(np.searchsorted(run, hashes), len(run) - 1)] == hashes
        if len(distinct):
            self._append(distinct)
        return repeated

    def _append(self, run: IntArray) -> None:
        while self._runs and len(self._runs[-1]) <= 2 * len(run):  # few long runs: each id is moved log n times
            run = np.concatenate((self._runs.pop(), run))
        run.sort()
        self._runs.append(run)


def too_long(texts: Sequence[str]) -> BoolArray:
    """Return which texts are longer than a name may be, (n,)."""
    return np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) > MAX_NAME


def too_long_message(column: str) -> str:
    """Return why a row with too long a text in a column is rejected."""
    return f'"{column}" has more than {MAX_NAME:,} characters'


def _reject_unusable(what: str, column: str, texts: Sequence[str], rejections: ChunkRejections) -> None:
    """Reject the rows whose text is blank or longer than a name may be."""
    rejections.reject(_blank(texts), f"{what} is blank", lambda _: f'"{column}" is blank')
    rejections.reject(too_long(texts), f"{what} is too long", lambda _: too_long_message(column))


def _blank(texts: Sequence[str]) -> BoolArray:
    blank = {text for text in set(texts) if is_blank(text)}
    if not blank:
        return np.zeros(len(texts), dtype=np.bool_)
    return np.fromiter(map(blank.__contains__, texts), dtype=np.bool_, count=len(texts))

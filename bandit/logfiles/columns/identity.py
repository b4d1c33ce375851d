"""Who and which: the customer and the decision id of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.schema import MAX_NAME
from bandit.logfiles.columns.values import is_blank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bandit.domain import BoolArray, IntArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import RowRejections
    from bandit.logfiles.sources.source import Chunk


class IdentityReader:
    """Reads customers and decision ids; where no column has the ids they are the file's digest and the line."""

    def __init__(self, mapping: LogMapping) -> None:
        self.customer = mapping.file.columns.customer
        self.decision_id = mapping.file.columns.decision_id
        self.columns = [name for name in (self.customer, self.decision_id) if name is not None]
        self._seen = _Seen()

    def read(self, chunk: Chunk, digest: str, refused: RowRejections) -> tuple[Sequence[str], Sequence[str]]:
        """Return (customers, decision ids); rows where one is blank are refused."""
        lines = map(str, chunk.lines.tolist())
        made = [] if self.customer and self.decision_id else list(map(f"{digest}-%s".__mod__, lines))
        ids, customers = made, made
        if self.decision_id is not None:
            ids = list(chunk.columns[self.decision_id])
            refused.refuse(_blank(ids), "decision id is blank", lambda _: f'"{self.decision_id}" is blank')
            refused.refuse(too_long(ids), "decision id is too long", _says_too_long(self.decision_id))
        if self.customer is not None:
            customers = list(chunk.columns[self.customer])
            refused.refuse(_blank(customers), "customer is blank", lambda _: f'"{self.customer}" is blank')
            refused.refuse(too_long(customers), "customer is too long", _says_too_long(self.customer))
        return customers, ids

    def refuse_twice(self, ids: Sequence[str], refused: RowRejections) -> None:
        """Refuse the rows whose id an earlier row of the file has; to be called when all else is checked."""
        if self.decision_id is None:
            return
        rows = np.flatnonzero(refused.ok)
        again = np.zeros(len(ids), dtype=np.bool_)
        again[rows] = self._seen.again(list(map(ids.__getitem__, rows.tolist())))
        refused.refuse(
            again,
            "decision id twice in the file",
            lambda row: f'an earlier row has the decision id "{ids[row]}" too',
        )


class _Seen:
    """The ids seen so far, as sorted arrays of 64-bit hashes: eight bytes a row.

    Two ids of one hash would be taken for the same; among a million rows that happens once in 37 million files.
    """

    def __init__(self) -> None:
        self._runs: list[IntArray] = []

    def again(self, ids: Sequence[str]) -> BoolArray:
        """Return which ids were seen before, or stand earlier in this column; remember them all."""
        hashes = np.fromiter(map(hash, ids), dtype=np.int64, count=len(ids))
        found, first = np.unique(hashes, return_index=True)
        again = np.ones(len(ids), dtype=np.bool_)
        again[first] = False
        for run in self._runs:
            again |= run[np.minimum(np.searchsorted(run, hashes), len(run) - 1)] == hashes
        if len(found):
            self._remember(found)
        return again

    def _remember(self, run: IntArray) -> None:
        while self._runs and len(self._runs[-1]) <= 2 * len(run):  # few long runs: each id is moved log n times
            run = np.concatenate((self._runs.pop(), run))
        run.sort()
        self._runs.append(run)


def too_long(texts: Sequence[str]) -> BoolArray:
    """Return which texts are longer than a name may be, (n,)."""
    return np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) > MAX_NAME


def _says_too_long(column: str) -> Callable[[int], str]:
    return lambda _: f'"{column}" has more than {MAX_NAME:,} characters'


def _blank(texts: Sequence[str]) -> BoolArray:
    blank = {text for text in set(texts) if is_blank(text)}
    if not blank:
        return np.zeros(len(texts), dtype=np.bool_)
    return np.fromiter(map(blank.__contains__, texts), dtype=np.bool_, count=len(texts))

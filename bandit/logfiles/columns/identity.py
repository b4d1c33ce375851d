"""The customer and the decision id of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.schema import MAX_NAME
from bandit.logfiles.columns.coded_text import Utf8Texts, hashes_of, marked
from bandit.logfiles.columns.damaged_ids import IdDamage
from bandit.logfiles.columns.seen import SeenIds
from bandit.logfiles.columns.values import is_blank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import BoolArray, IntArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import ChunkRejections, ImportFinding
    from bandit.logfiles.row_names import RowNames
    from bandit.logfiles.sources.source import SourceChunk


EVENT_ROWS_CURE = "; for a file with a row an event write [event_rows] in the mapping"
"""What to do where several rows have one decision id, as the end of a sentence."""


class IdentityReader:
    """Reads customers and decision ids; where no column has ids, `RowNames` makes them."""

    def __init__(self, mapping: LogMapping) -> None:
        self.customer = mapping.file.columns.customer
        rows = mapping.file.event_rows
        self.decision_id = mapping.file.columns.decision_id or (None if rows is None else rows.event_id)
        self.columns = [name for name in (self.customer, self.decision_id) if name is not None]
        self._seen = SeenIds()
        named = (("customer", self.customer), ("decision id", self.decision_id))
        self._damage = {column: IdDamage(what, column) for what, column in named if column is not None}

    def read(
        self, chunk: SourceChunk, rejections: ChunkRejections
    ) -> tuple[Sequence[str] | None, Sequence[str] | None]:
        """Return (customers, decision ids), None for what no column has; rows where one is unusable are rejected."""
        ids = customers = None
        for column, damage in self._damage.items():
            damage.add(chunk.columns[column])
        if self.decision_id is not None:
            ids = chunk.columns[self.decision_id]
            _reject_unusable("decision id", self.decision_id, ids, rejections)
        if self.customer is not None:
            customers = chunk.columns[self.customer]
            _reject_unusable("customer", self.customer, customers, rejections)
        return customers, ids

    def named(
        self,
        chunk: SourceChunk,
        time: IntArray,
        read: tuple[Sequence[str] | None, Sequence[str] | None],
        names: RowNames,
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Return customers and decision ids, those that no column has as `names` makes them.

        Where each row is a customer of its own, its name is the decision's id.
        """
        customers, ids = read
        made = names.ids(chunk, time) if ids is None else ids
        if customers is None:
            customers = names.lines(chunk) if names.line_customers else made
        return customers, made

    def findings(self) -> tuple[ImportFinding, ...]:
        """Return what is wrong with the customers and ids read so far."""
        found = (damage.finding() for damage in self._damage.values())
        return tuple(finding for finding in found if finding is not None)

    def customers(self, chunk: SourceChunk) -> Sequence[str] | None:
        """Return the customers of rows that were checked before, None where no column has them."""
        return None if self.customer is None else chunk.columns[self.customer]

    def reject_repeated(self, ids: Sequence[str] | None, rejections: ChunkRejections) -> None:
        """Reject the rows whose id an earlier row of the file has; to be called when all else is checked."""
        if self.decision_id is None or ids is None:
            return
        repeated = np.zeros(len(ids), dtype=np.bool_)
        repeated[rejections.ok] = self._seen.add_hashes(hashes_of(ids)[rejections.ok].view(np.int64))
        rejections.reject(
            repeated,
            "decision id twice in the file",
            lambda row: f'an earlier row has the decision id "{ids[row]}" too{EVENT_ROWS_CURE}',
        )


def too_long(texts: Sequence[str]) -> BoolArray:
    """Return which texts are longer than a name may be, (n,)."""
    return marked(texts, lambda text: len(text) > MAX_NAME, lambda utf8: utf8.sizes > MAX_NAME)


def too_long_message(column: str) -> str:
    """Return why a row with too long a text in a column is rejected."""
    return f'"{column}" has more than {MAX_NAME:,} characters'


def _reject_unusable(what: str, column: str, texts: Sequence[str], rejections: ChunkRejections) -> None:
    """Reject the rows whose text is blank or longer than a name may be."""
    rejections.reject(marked(texts, is_blank, Utf8Texts.odd), f"{what} is blank", lambda _: f'"{column}" is blank')
    rejections.reject(too_long(texts), f"{what} is too long", lambda _: too_long_message(column))

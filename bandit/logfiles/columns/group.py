"""The group that each decision was made in, and whether more events may come for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.logfiles.columns.coded_text import CodedTexts, coded
from bandit.logfiles.columns.identity import too_long, too_long_message
from bandit.logfiles.columns.values import floats, is_blank, truth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import BoolArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk

IMPORT_GROUP = "import"
"""The group of imported decisions whose row names no group."""


class GroupReader:
    """Reads the groups of the decisions, and which decisions are closed."""

    def __init__(self, mapping: LogMapping) -> None:
        self._group = mapping.file.columns.group
        self._closed = mapping.file.closed
        self.columns = [name for name in (self._group, self._closed) if isinstance(name, str)]

    def groups(self, chunk: SourceChunk, rejections: ChunkRejections) -> Sequence[str]:
        """Return the group of each row; rows whose group has a name that is too long are rejected."""
        if self._group is None:
            return CodedTexts([IMPORT_GROUP], np.zeros(len(chunk), dtype=np.int64))
        texts, message = chunk.columns[self._group], too_long_message(self._group)
        rejections.reject(too_long(texts), "group is too long", lambda _: message)
        rows = coded(texts)
        return CodedTexts([IMPORT_GROUP if is_blank(text) else text for text in rows.distinct], rows.codes)

    def closed(self, chunk: SourceChunk, rejections: ChunkRejections) -> BoolArray:
        """Return which rows are closed, (n,); rows whose column cannot be read are rejected.

        Where a row is an event, `closed = true` means those whose window is over when the file ends.
        """
        if chunk.events is not None and self._closed is True:
            return chunk.events.complete
        if isinstance(self._closed, bool):
            return np.full(len(chunk), self._closed)
        column, texts = self._closed, chunk.columns[self._closed]
        marks = floats(texts, truth)
        closed: BoolArray = marks == 1.0
        rejections.reject(
            ~closed & (marks != 0.0),
            "closed cannot be read",
            lambda row: f'"{texts[row]}" in "{column}", which says whether it is closed, is not 0, 1, true or false',
        )
        return closed

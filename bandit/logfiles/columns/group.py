"""Where a decision stands: the group it was made in, and whether anything more may come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.schema import MAX_NAME
from bandit.logfiles.columns.identity import too_long
from bandit.logfiles.columns.values import by_value, floats, is_blank, truth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import BoolArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import RowRejections
    from bandit.logfiles.sources.source import Chunk

GROUP = "import"
"""The group of imported decisions of which the log names none."""


class GroupReader:
    """Reads the groups, and which decisions are closed."""

    def __init__(self, mapping: LogMapping) -> None:
        self.group = mapping.file.columns.group
        self.marked = mapping.file.closed
        self.columns = [name for name in (self.group, self.marked) if isinstance(name, str)]

    def groups(self, chunk: Chunk) -> Sequence[str]:
        """Return the group of each row."""
        if self.group is None:
            return [GROUP] * len(chunk)
        return by_value(chunk.columns[self.group], lambda text: GROUP if is_blank(text) else text)

    def refuse_long(self, chunk: Chunk, refused: RowRejections) -> None:
        """Refuse the rows whose group has a name that is too long."""
        if self.group is not None:
            words = f'"{self.group}" has more than {MAX_NAME:,} characters'
            refused.refuse(too_long(chunk.columns[self.group]), "group is too long", lambda _: words)

    def closed(self, chunk: Chunk, refused: RowRejections) -> BoolArray:
        """Return which rows are closed, (n,); rows where the column does not say are refused."""
        if isinstance(self.marked, bool):
            return np.full(len(chunk), self.marked)
        column, texts = self.marked, chunk.columns[self.marked]
        said = floats(texts, truth)
        closed: BoolArray = said == 1.0
        refused.refuse(
            ~closed & (said != 0.0),
            "closed cannot be read",
            lambda row: f'"{texts[row]}" in "{column}", which says whether it is closed, is not 0, 1, true or false',
        )
        return closed

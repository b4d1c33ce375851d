"""How many decisions each row stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.logfiles.columns.number_style import number_cure
from bandit.logfiles.columns.values import INVALID
from bandit.logfiles.mapping.mapping import fixed_weight

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk

OWN_WEIGHT = "weight"
"""The column in which a source that `has_weights` says how many decisions each of its lines stands for."""


class WeightReader:
    """Reads the weight of each row: a column, one number for all, or what the format says of its own lines.

    A format says so by a source with `has_weights`, whose column "weight" is read unless the mapping names another
    column or a number.
    """

    def __init__(self, mapping: LogMapping, *, own: bool = False) -> None:
        """Take `own` as whether the source has weights of its own."""
        given = mapping.file.columns.weight
        fixed = fixed_weight(given)
        self._fixed = 1.0 if fixed is None else fixed
        column = given if isinstance(given, str) else OWN_WEIGHT if given is None and own else None
        self.columns: list[str] = [] if column is None else [column]
        self._style = mapping.numbers

    def read(self, chunk: SourceChunk, rejections: ChunkRejections) -> FloatArray:
        """Return the weights, (n,), or an empty array where all are 1; rows without a number above 0 are rejected."""
        if not self.columns:
            return np.empty(0) if self._fixed == 1.0 else np.full(len(chunk), self._fixed)
        (column,) = self.columns
        texts = chunk.columns[column]
        weight = self._style.numbers(texts)
        rejections.reject(np.isnan(weight), "weight is blank", lambda _: f'the weight "{column}" is blank')
        rejections.reject(
            weight == INVALID,
            "weight is no number",
            lambda row: f'the weight "{texts[row]}" is not a finite number{number_cure(texts[row], self._style)}',
        )
        rejections.reject(
            ~(weight > 0.0), "weight is not above 0", lambda row: f"the weight {texts[row]} is not above 0"
        )
        return weight

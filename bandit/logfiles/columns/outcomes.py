"""From columns to what came of each decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.logfiles.columns.values import BAD, floats, truth
from bandit.logfiles.mapping.schema import WhenSource

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.mapping.schema import OutcomeFile
    from bandit.logfiles.rejections import RowRejections
    from bandit.logfiles.sources.source import Chunk


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeColumns:
    """One kind of event over n rows: whether it happened, and its money (NaN: none)."""

    event: str
    happened: BoolArray
    revenue: FloatArray
    reward: FloatArray


class OutcomeReader:
    """Reads the outcomes of each row, one kind of event after the other."""

    def __init__(self, mapping: LogMapping) -> None:
        self.outcomes: Sequence[OutcomeFile] = mapping.file.outcomes
        self.columns: list[str] = []
        for outcome in self.outcomes:
            when = outcome.when.column if isinstance(outcome.when, WhenSource) else outcome.when
            self.columns += [name for name in (when, outcome.revenue, outcome.reward) if name is not None]

    def read(self, chunk: Chunk, refused: RowRejections) -> list[OutcomeColumns]:
        """Return a record an entry of [[outcomes]]; rows with a value that cannot be read are refused."""
        read = []
        for outcome in self.outcomes:
            happened = _happened(outcome, chunk, refused)
            revenue = _money(outcome, outcome.revenue, happened, chunk, refused)
            reward = _money(outcome, outcome.reward, happened, chunk, refused)
            read.append(OutcomeColumns(outcome.event, happened, revenue, reward))
        return read


def _happened(outcome: OutcomeFile, chunk: Chunk, refused: RowRejections) -> BoolArray:
    if outcome.when is None:
        return np.ones(len(chunk), dtype=np.bool_)
    if isinstance(outcome.when, WhenSource):
        texts = chunk.columns[outcome.when.column]
        values, wanted = floats(texts), "a finite number"
        happened: BoolArray = values > outcome.when.above
    else:
        texts = chunk.columns[outcome.when]
        values, wanted = floats(texts, truth), "0, 1, true or false"
        happened = values == 1.0
    refused.refuse(
        values == BAD,
        f'outcome "{outcome.event}" cannot be read',
        lambda row: f'"{texts[row]}", which says whether "{outcome.event}" happened, is not {wanted}',
    )
    happened[values == BAD] = False
    return happened


def _money(
    outcome: OutcomeFile, column: str | None, happened: BoolArray, chunk: Chunk, refused: RowRejections
) -> FloatArray:
    if column is None:
        return np.full(len(chunk), np.nan)
    texts = chunk.columns[column]
    values = floats(texts)
    refused.refuse(
        values == BAD,
        f'"{column}" is no finite number',
        lambda row: f'"{texts[row]}" in "{column}" is not a finite number',
    )
    refused.refuse(
        happened & np.isnan(values),
        f'"{column}" is blank where "{outcome.event}" happened',
        lambda _: f'"{column}" is blank although "{outcome.event}" happened',
    )
    return values

"""The outcomes of each decision: which events happened, and their money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.logfiles.columns.values import INVALID, floats, truth
from bandit.logfiles.mapping.schema import WhenSource

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.mapping.schema import OutcomeSection
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeEvents:
    """One kind of event over n rows: whether it `happened`, and its `revenue` and `reward`, NaN for none; (n,) each."""

    event: str
    happened: BoolArray
    revenue: FloatArray
    reward: FloatArray


class OutcomeReader:
    """Reads the events of each row, one kind after the other."""

    def __init__(self, mapping: LogMapping) -> None:
        self.outcomes: Sequence[OutcomeSection] = mapping.file.outcomes
        self.columns: list[str] = []
        for outcome in self.outcomes:
            when = outcome.when.column if isinstance(outcome.when, WhenSource) else outcome.when
            self.columns += [name for name in (when, outcome.revenue, outcome.reward) if name is not None]

    def read(self, chunk: SourceChunk, rejections: ChunkRejections) -> list[OutcomeEvents]:
        """Return one record for each entry of [[outcomes]]; rows with a value that cannot be read are rejected."""
        read = []
        for outcome in self.outcomes:
            happened = _happened(outcome, chunk, rejections)
            revenue = _money(outcome, outcome.revenue, happened, chunk, rejections)
            reward = _money(outcome, outcome.reward, happened, chunk, rejections)
            read.append(OutcomeEvents(outcome.event, happened, revenue, reward))
        return read


def _happened(outcome: OutcomeSection, chunk: SourceChunk, rejections: ChunkRejections) -> BoolArray:
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
    rejections.reject(
        values == INVALID,
        f'outcome "{outcome.event}" cannot be read',
        lambda row: f'"{texts[row]}", which says whether "{outcome.event}" happened, is not {wanted}',
    )
    happened[values == INVALID] = False
    return happened


def _money(
    outcome: OutcomeSection, column: str | None, happened: BoolArray, chunk: SourceChunk, rejections: ChunkRejections
) -> FloatArray:
    if column is None:
        return np.full(len(chunk), np.nan)
    texts = chunk.columns[column]
    values = floats(texts)
    rejections.reject(
        values == INVALID,
        f'"{column}" is no finite number',
        lambda row: f'"{texts[row]}" in "{column}" is not a finite number',
    )
    rejections.reject(
        happened & np.isnan(values),
        f'"{column}" is blank where "{outcome.event}" happened',
        lambda _: f'"{column}" is blank although "{outcome.event}" happened',
    )
    return values

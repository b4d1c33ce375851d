"""The outcomes of each decision: which events happened, and their money."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.logfiles.columns.coded_text import coded
from bandit.logfiles.columns.number_style import NumberStyle, number_cure
from bandit.logfiles.columns.values import INVALID, floats, is_blank, truth
from bandit.logfiles.mapping.schema import WhenSource

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.mapping.schema import OutcomeSection
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeEvents:
    """One kind of event over n rows: whether it `happened`, and its `revenue` and `reward`, NaN for none; (n,) each.

    `readable` marks the rows in which it can be read whether it happened, and `refused` those that were rejected
    because of this event's cells. `time` (n,) are the times of the events, None where they have those of their rows.
    `ids` (n,) tell events of one kind apart; where they are None there is at most one of the kind for each row.
    """

    event: str
    happened: BoolArray
    revenue: FloatArray
    reward: FloatArray
    readable: BoolArray
    refused: BoolArray
    time: IntArray | None = None
    ids: ObjectArray | None = None


class OutcomeReader:
    """Reads the events of each row, one kind after the other."""

    def __init__(self, mapping: LogMapping) -> None:
        self.outcomes: Sequence[OutcomeSection] = mapping.file.outcomes
        self._style = mapping.numbers
        self.columns: list[str] = []
        if mapping.file.event_rows is None:
            self.columns = [name for outcome in self.outcomes for name in outcome_columns(outcome)]

    @property
    def names(self) -> frozenset[str]:
        """The names of the events that a row can have."""
        return frozenset(outcome.event for outcome in self.outcomes)

    def read(self, chunk: SourceChunk, rejections: ChunkRejections) -> Sequence[OutcomeEvents]:
        """Return the events of the rows, one kind after the other; rows with one that cannot be read are rejected."""
        if chunk.events is not None:
            return chunk.events.read(rejections)
        read = []
        for outcome in self.outcomes:
            usable = rejections.ok.copy()
            happened, readable = happened_in(outcome, self._style, chunk, rejections)
            revenue, reward = amounts_of(outcome, self._style, happened, chunk, rejections)
            refused = usable & ~rejections.ok
            read.append(OutcomeEvents(outcome.event, happened, revenue, reward, readable, refused))
        return read


def outcome_columns(outcome: OutcomeSection) -> list[str]:
    """Return the columns that an entry of [[outcomes]] is read from."""
    when = outcome.when.column if isinstance(outcome.when, WhenSource) else outcome.when
    return [
        name
        for name in (when, outcome.revenue, outcome.reward, *outcome.add, *outcome.partial)
        if isinstance(name, str)
    ]


def amounts_of(
    outcome: OutcomeSection,
    style: NumberStyle,
    happened: BoolArray,
    chunk: SourceChunk,
    rejections: ChunkRejections,
    *,
    blank_returns: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Return revenue and reward of an event, (n,) each; rows where one cannot be read are rejected.

    With `blank_returns` the revenue of a return may be blank, and is NaN then.
    """
    needed = np.zeros_like(happened) if blank_returns and outcome.returns else happened
    revenue = _money(outcome, outcome.revenue, style, needed, chunk, rejections)
    for column in outcome.add:
        more = _money(outcome, column, style, np.zeros_like(happened), chunk, rejections)
        revenue = revenue + np.where(np.isnan(more), 0.0, more)
    for column in outcome.partial if blank_returns else ():
        named = ~np.isnan(floats(chunk.columns[column], lambda text: np.nan if is_blank(text) else 1.0))
        rejections.reject(
            happened & named & np.isnan(revenue),
            "a return without an amount",
            lambda row, column=column: (  # type: ignore[misc]  # the default binds the column
                f'it says by "{column}" what was returned, "{chunk.columns[column][row]}", and not for how much'
            ),
        )
    if outcome.returns:
        revenue = -np.abs(revenue)
    return revenue, _money(outcome, outcome.reward, style, happened, chunk, rejections)


def happened_in(
    outcome: OutcomeSection, style: NumberStyle, chunk: SourceChunk, rejections: ChunkRejections
) -> tuple[BoolArray, BoolArray]:
    """Return whether the event happened in each row, and whether that can be read; else the row is rejected."""
    readable = np.ones(len(chunk), dtype=np.bool_)
    if outcome.when is None:
        return readable, readable
    if isinstance(outcome.when, WhenSource) and outcome.when.equals is not None:
        words = {outcome.when.equals} if isinstance(outcome.when.equals, str) else set(outcome.when.equals)
        matches: BoolArray = (
            floats(coded(chunk.columns[outcome.when.column]), lambda text: text.strip() in words) == 1.0
        )
        return matches, readable
    if isinstance(outcome.when, WhenSource):
        texts = chunk.columns[outcome.when.column]
        values, wanted = style.numbers(texts), "a finite number"
        happened: BoolArray = values > (outcome.when.above or 0.0)
        cure = _number_cure_of(texts, style)
    else:
        column, texts = outcome.when, chunk.columns[outcome.when]
        values, wanted = floats(texts, truth), "0, 1, true or false"
        happened = values == 1.0
        cure = _words_cure_of(column)
    rejections.reject(
        values == INVALID,
        f'outcome "{outcome.event}" cannot be read',
        lambda row: f'"{texts[row]}", which says whether "{outcome.event}" happened, is not {wanted}{cure(row)}',
    )
    readable = values != INVALID
    return happened & readable, readable


def _number_cure_of(texts: Sequence[str], style: NumberStyle) -> Callable[[int], str]:
    return lambda row: number_cure(texts[row], style)


def _words_cure_of(column: str) -> Callable[[int], str]:
    """Return the function that says how a column of other words than true and false is read."""
    return lambda _: f'; to read other words put when = {{ column = "{column}", equals = "..." }} under [[outcomes]]'


def _money(
    outcome: OutcomeSection,
    column: str | float | None,
    style: NumberStyle,
    happened: BoolArray,
    chunk: SourceChunk,
    rejections: ChunkRejections,
) -> FloatArray:
    if not isinstance(column, str):
        return np.full(len(chunk), np.nan if column is None else float(column))
    texts = chunk.columns[column]
    values = style.numbers(texts)
    rejections.reject(
        values == INVALID,
        f'"{column}" is no finite number',
        lambda row: f'"{texts[row]}" in "{column}" is not a finite number{number_cure(texts[row], style)}',
    )
    rejections.reject(
        happened & np.isnan(values),
        f'"{column}" is blank where "{outcome.event}" happened',
        lambda row: f'"{column}" is {_written(texts[row])} although "{outcome.event}" happened',
    )
    return values


def _written(text: str) -> str:
    return "blank" if is_blank(text) else f'"{text}"'

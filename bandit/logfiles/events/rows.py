"""The first reading of a file with a row an event: which rows are decisions, which are outcomes, and their keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bandit.domain import BoolArray, FloatArray, IntArray, Progress
from bandit.logfiles.columns.coded_text import coded, take_texts
from bandit.logfiles.columns.offers import OfferReader
from bandit.logfiles.columns.outcomes import amounts_of, happened_in, outcome_columns
from bandit.logfiles.columns.time import TimeReader
from bandit.logfiles.mapping.mapping import decision_events, join_of
from bandit.logfiles.rejections import Rejections

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.mapping.schema import EventRowsSection, OutcomeSection
    from bandit.logfiles.sources.source import Source, SourceChunk

MAX_MESSAGES = 1_000
"""Rows of outcomes that cannot be read whose message is kept; the others are only counted."""

NO_KEY = 0
"""The key of a row whose cell is blank."""


@dataclass(frozen=True, slots=True, eq=False)
class DecisionEvents:
    """D rows that are, or may be, decisions, in the order of the file; (D,) each.

    `place` is the number of the row among those of the source, `rank` the place of its event among those of
    [event_rows] decision, `key` the hash of its decision id or customer, `offer` that of its options.
    """

    place: IntArray
    time: IntArray
    rank: IntArray
    key: IntArray
    offer: IntArray
    event_id: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeRows:
    """E rows that are outcomes, in the order of the file; (E,) each.

    `outcome` is the number of the entry of [[outcomes]], `order` the hash of the order's number. `unreadable` marks
    those whose amount cannot be read; `messages` has the reasons of the first of them by line and outcome.
    """

    place: IntArray
    line: IntArray
    time: IntArray
    key: IntArray
    outcome: IntArray
    order: IntArray
    event_id: IntArray
    revenue: FloatArray
    reward: FloatArray
    unreadable: BoolArray

    def take(self, rows: IntArray) -> OutcomeRows:
        """Return some of the rows, in the order given."""
        return OutcomeRows(*(getattr(self, name)[rows] for name in self.__slots__))


_Table = TypeVar("_Table", DecisionEvents, OutcomeRows)


@dataclass(frozen=True, slots=True, eq=False)
class EventTable:
    """What a first reading of the file found: its decisions and outcomes, and the rows of each event by name."""

    decisions: DecisionEvents
    outcomes: OutcomeRows
    events: Counter[str]
    used: frozenset[str]
    n_rows: int
    last_time: int
    messages: dict[tuple[int, int], str]
    absent: frozenset[str]


class EventTableReader:
    """Reads the rows of a source once and keeps, of decisions and outcomes, what joining them needs.

    Memory: about 60 bytes for each row that is a decision or an outcome.
    """

    def __init__(self, catalogue: Catalogue, mapping: LogMapping, rows: EventRowsSection) -> None:
        """Take the columns from the mapping; CatalogueError where it does not fit the catalogue."""
        file = mapping.file
        self._rows, self._style, self._outcomes = rows, mapping.numbers, file.outcomes
        self._key = file.columns.decision_id if join_of(file) == "decision_id" else file.columns.customer
        self._time = TimeReader(mapping)
        self._offer = OfferReader(catalogue, mapping).columns
        self._ranks = decision_events(rows)
        names = [rows.event, self._key, rows.event_id, rows.order, *self._time.columns, *self._offer]
        names += [name for outcome in file.outcomes for name in outcome_columns(outcome)]
        self.columns = [name for name in dict.fromkeys(names) if name is not None]
        self._rejections = [Rejections(MAX_MESSAGES) for _ in file.outcomes]
        self._events: Counter[str] = Counter()
        self._used: set[str] = set()

    def read(self, source: Source, size: int, progress: Progress | None) -> EventTable:
        """Read all rows; LogFileError where the source is malformed."""
        decisions: list[DecisionEvents] = []
        outcomes: list[OutcomeRows] = []
        absent = frozenset(self.columns)
        start, last = 0, np.iinfo(np.int64).min
        for chunk in source.chunks(self.columns, size, progress):
            found, came, latest = self._read(chunk, start)
            decisions.append(found)
            outcomes += came
            start, last = start + len(chunk), max(last, latest)
            absent = absent & chunk.absent if len(chunk) else absent
        whole = OutcomeRows(*_joined(outcomes, _NO_OUTCOMES))
        messages = {
            (rejection.line, number): rejection.reason
            for number, rejections in enumerate(self._rejections)
            for rejection in rejections.listed
        }
        return EventTable(
            DecisionEvents(*_joined(decisions, _NO_DECISIONS)),
            whole.take(np.lexsort((whole.outcome, whole.place))),
            self._events,
            frozenset(self._used),
            start,
            last,
            messages,
            absent if start else frozenset(),
        )

    def _read(self, chunk: SourceChunk, start: int) -> tuple[DecisionEvents, list[OutcomeRows], int]:
        events = coded(chunk.columns[self._rows.event])
        names = [name.strip() for name in events.distinct]
        for code, n in enumerate(np.bincount(events.codes, minlength=len(names)).tolist()):
            if n:
                self._events[names[code]] += n
        ranks = np.array([self._ranks.get(name, -1) for name in names], dtype=np.int64)[events.codes]
        self._used.update(name for name in names if name in self._ranks)
        time = self._time.read(chunk, Rejections(0).chunk(chunk.lines))
        found = np.flatnonzero(ranks >= 0)
        decisions = DecisionEvents(
            start + found,
            time[found],
            ranks[found],
            _hashes(chunk, [self._key], found),
            _hashes(chunk, self._offer, found),
            _hashes(chunk, [self._rows.event_id], found),
        )
        came = []
        for number, outcome in enumerate(self._outcomes):
            rows, readable = self._happened(number, outcome, chunk, names, events.codes)
            self._used.update(names[code] for code in np.unique(events.codes[rows]).tolist())
            came.append(self._outcome(number, chunk, rows, readable, start, time))
        return decisions, came, int(time.max(initial=np.iinfo(np.int64).min))

    def _happened(
        self, number: int, outcome: OutcomeSection, chunk: SourceChunk, names: Sequence[str], codes: IntArray
    ) -> tuple[IntArray, BoolArray]:
        """Return the rows that are about an outcome, and which of them say so in a readable way."""
        if outcome.when is None:
            mine = np.array([name == outcome.event.strip() for name in names], dtype=np.bool_)
            rows = np.flatnonzero(mine[codes])
            return rows, np.ones(len(rows), dtype=np.bool_)
        rejections = self._rejections[number].chunk(chunk.lines)
        happened, _ = happened_in(outcome, self._style, chunk, rejections)
        readable = rejections.close()
        rows = np.flatnonzero(happened | ~readable)
        return rows, readable[rows]

    def _outcome(
        self, number: int, chunk: SourceChunk, rows: IntArray, readable: BoolArray, start: int, time: IntArray
    ) -> OutcomeRows:
        """Return the rows of one entry of [[outcomes]]."""
        outcome = self._outcomes[number]
        texts = {name: take_texts(chunk.columns[name], rows) for name in outcome_columns(outcome)}
        mine = replace(chunk, lines=chunk.lines[rows], columns=texts)
        rejections = self._rejections[number].chunk(mine.lines)
        happened = np.ones(len(rows), dtype=np.bool_)
        revenue, reward = amounts_of(outcome, self._style, happened, mine, rejections, blank_returns=True)
        readable = readable & rejections.close()
        return OutcomeRows(
            start + rows,
            chunk.lines[rows],
            time[rows],
            _hashes(chunk, [self._key], rows),
            np.full(len(rows), number, dtype=np.int64),
            _hashes(chunk, [self._rows.order], rows),
            _hashes(chunk, [self._rows.event_id], rows),
            np.where(readable, revenue, np.nan),
            np.where(readable, reward, np.nan),
            ~readable,
        )


def _hashes(chunk: SourceChunk, columns: Sequence[str | None], rows: IntArray) -> IntArray:
    """Return a hash of some rows' texts, NO_KEY where they are blank or there is no column.

    As 64-bit hashes, two of a million texts are taken for one in one of 37 million files.
    """
    named = [take_texts(chunk.columns[name], rows) for name in columns if name is not None]
    if not named:
        return np.full(len(rows), NO_KEY, dtype=np.int64)
    if len(named) == 1:
        texts = map(str.strip, named[0])
        return np.fromiter((hash(text) if text else NO_KEY for text in texts), dtype=np.int64, count=len(rows))
    return np.fromiter(map(hash, zip(*named, strict=True)), dtype=np.int64, count=len(rows))


def _joined(parts: Sequence[_Table], empty: _Table) -> Iterator[NDArray[Any]]:
    """Yield each column of some tables of one kind, end to end."""
    for name in empty.__slots__:
        yield np.concatenate([getattr(part, name) for part in (empty, *parts)])


_NONE = np.zeros(0, dtype=np.int64)
_NO_DECISIONS = DecisionEvents(_NONE, _NONE, _NONE, _NONE, _NONE, _NONE)
_NO_OUTCOMES = OutcomeRows(
    _NONE, _NONE, _NONE, _NONE, _NONE, _NONE, _NONE, np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.bool_)
)

"""A file with a row an event as a source with a row a decision, to which its outcomes are attached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import BoolArray, IntArray, Progress
from bandit.errors import LogFileError
from bandit.logfiles.columns.coded_text import take_texts
from bandit.logfiles.columns.values import INVALID_TIME
from bandit.logfiles.coverage import nearest_name
from bandit.logfiles.events.attached import MAX_EVENTS, AttachedEvents
from bandit.logfiles.events.counts import EventRowCounts, UnjoinedRows, named_events
from bandit.logfiles.events.joining import JOINED, JoinedRows, JoinRule, join, with_full_returns
from bandit.logfiles.events.rows import EventTable, EventTableReader
from bandit.logfiles.mapping.mapping import decision_events, join_of
from bandit.printable import plain

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.mapping.schema import EventRowsSection
    from bandit.logfiles.sources.source import Source, SourceChunk

FIRST_READING_ROWS = 65_536
"""Rows of a file that are read at a time when decisions and outcomes are joined."""

_CONTRADICTED = "one decision with several offers"
_UNREADABLE = "outcome cannot be read"
_TOO_MANY = "too many events of one decision"


def decision_rows(source: Source, catalogue: Catalogue, mapping: LogMapping) -> Source:
    """Return a source with a row a decision: the source itself, or its decisions where the mapping has [event_rows]."""
    rows = mapping.file.event_rows
    return source if rows is None else EventRowsSource(source, catalogue, mapping, rows)


class EventRowsSource:
    """The decisions of a source with a row an event; its chunks have `events`.

    The file is read once to join outcomes to decisions, and once more each time the decisions are read. Memory: about
    60 bytes for each row that is a decision or an outcome, and a chunk.
    """

    def __init__(self, source: Source, catalogue: Catalogue, mapping: LogMapping, rows: EventRowsSection) -> None:
        """Check the mapping; CatalogueError where it does not fit the catalogue."""
        self._source, self._catalogue, self._mapping, self._rows = source, catalogue, mapping, rows
        self._reader = EventTableReader(catalogue, mapping, rows)
        self._progress: Progress | None = None

    @property
    def digest(self) -> str:
        """The digest of the source."""
        return self._source.digest

    @property
    def columns(self) -> Sequence[str]:
        """The columns of the source."""
        return self._source.columns

    @property
    def has_weights(self) -> bool:
        """Whether the source says how many decisions each row stands for."""
        return self._source.has_weights

    @property
    def counts(self) -> EventRowCounts:
        """What became of the rows of the file."""
        return self._joined.counts

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[SourceChunk]:
        """Yield the decisions in the order of their rows, with what came of them.

        LogFileError where the source is malformed, no row is a decision, or no outcome of the objective's event
        belongs to one.
        """
        self._progress = progress
        joined = self._joined
        start = 0
        for chunk in self._source.chunks(columns, size, progress):
            first, last = joined.between(start, start + len(chunk))
            rows = joined.place[first:last] - start
            start += len(chunk)
            if last > first or chunk.misfits:
                texts = {name: take_texts(column, rows) for name, column in chunk.columns.items()}
                events = joined.attached(first, last)
                yield replace(chunk, lines=chunk.lines[rows], columns=texts, events=events)

    @cached_property
    def _joined(self) -> _DecisionsWithEvents:
        table = self._reader.read(self._source, FIRST_READING_ROWS, self._progress)
        file, objective = self._mapping.file, self._catalogue.objective
        returns = tuple(outcome.returns for outcome in file.outcomes)
        purchases = tuple(outcome.event == objective.event or outcome.revenue is not None for outcome in file.outcomes)
        times_known = file.columns.time is not None
        rule = JoinRule(join_of(file) == "decision_id", objective.window, times_known, returns, purchases)
        joined = with_full_returns(join(table.decisions, table.outcomes, rule), returns)
        events = tuple(outcome.event for outcome in file.outcomes)
        found = _DecisionsWithEvents(table, joined, events, rule)
        self._require_columns(table)
        self._require_decisions(table, found.counts)
        self._require_conversions(table, found.counts)
        return found

    def _require_columns(self, table: EventTable) -> None:
        """LogFileError where a column that is read here is in no row, as a misspelt path of JSON is."""
        missing = sorted(table.absent - set(self._mapping.file.optional))
        if not missing:
            return
        near = nearest_name(missing[0], [path for path in self.columns if path not in self._reader.columns])
        hint = f'; did you mean "{near}"? correct' if near else "; correct"
        raise LogFileError(
            plain(
                f'{self._mapping.where}: none of the {table.n_rows:,} rows has "{missing[0]}"{hint} the mapping, or '
                "name it under optional where the file need not have it"
            )
        )

    def _require_decisions(self, table: EventTable, counts: EventRowCounts) -> None:
        if counts.n_decisions == 0 and table.n_rows:
            wanted = '" or "'.join(decision_events(self._rows))
            raise LogFileError(
                f'{self._mapping.where}: no row has the event "{wanted}" of [event_rows] decision in the column '
                f'"{self._rows.event}"; the events there are {named_events(table.events)}: correct the mapping'
            )

    def _require_conversions(self, table: EventTable, counts: EventRowCounts) -> None:
        """LogFileError where no row of the objective's event belongs to a decision, so that nothing converts."""
        objective, event = self._catalogue.objective, self._catalogue.objective.event
        if objective.kind == "reward" or not counts.n_decisions or counts.joined.get(event):
            return
        if event not in counts.joined:
            named = ", ".join(f'"{name}"' for name in counts.joined)
            raise LogFileError(
                f'{self._mapping.where}: no entry of [[outcomes]] is the objective\'s event "{event}", so nothing '
                f"converts; entries are {named}: name one of them "
                f'event = "{event}" and the rows it is about by when'
            )
        lost = [each for each in counts.unjoined if each.event == event]
        if not lost:
            raise LogFileError(
                f'{self._mapping.where}: no row is the outcome "{event}", so nothing converts; the events in '
                f'"{self._rows.event}" are {named_events(table.events)}: name one by when = {{ column = '
                f'"{self._rows.event}", equals = "..." }} under [[outcomes]]'
            )
        raise LogFileError(
            f'{self._mapping.where}: none of the {sum(each.n for each in lost):,} rows of "{event}" belongs to a '
            f"decision: {lost[0].reason}; join them by join under [event_rows], or, where such a row is the decision "
            f'too, write decision = ["{next(iter(decision_events(self._rows)))}", "its event"]'
        )


class _DecisionsWithEvents:
    """The decisions of a file and their events, sorted by decision."""

    def __init__(self, table: EventTable, joined: JoinedRows, names: Sequence[str], rule: JoinRule) -> None:
        self.place = joined.decisions.place
        self._names, self._contradicted = names, joined.contradicted
        outcomes = joined.outcomes
        rows = np.flatnonzero(joined.decision >= 0)
        rows = rows[
            np.lexsort((outcomes.place[rows], outcomes.time[rows], outcomes.outcome[rows], joined.decision[rows]))
        ]
        self._decision = joined.decision[rows]
        self._outcomes = outcomes.take(rows)
        self._number = _numbered(self._decision, self._outcomes.outcome)
        self._times_known = rule.times_known
        self._messages = table.messages
        decided = joined.decisions.time
        known = decided != INVALID_TIME
        self._complete: BoolArray = ~known | (np.where(known, decided, 0) + rule.window <= table.last_time)
        if not rule.times_known:
            self._complete = np.ones(len(decided), dtype=np.bool_)
            self._outcomes.time[:] = decided[self._decision]
        self._twin = _numbered(self._decision, self._outcomes.outcome, self._outcomes.time)
        self.counts = self._count(table, joined, rule)

    def between(self, start: int, stop: int) -> tuple[int, int]:
        """Return the numbers of the decisions in some rows of the file: the first, and the one after the last."""
        first, last = np.searchsorted(self.place, [start, stop]).tolist()
        return first, last

    def attached(self, first: int, last: int) -> AttachedEvents:
        """Return the events of some decisions."""
        start, stop = np.searchsorted(self._decision, [first, last]).tolist()
        events, row = slice(start, stop), self._decision[start:stop] - first
        outcomes = self._outcomes
        return AttachedEvents(
            self._names,
            row,
            outcomes.outcome[events],
            self._number[events],
            self._twin[events],
            outcomes.time[events],
            outcomes.revenue[events],
            outcomes.reward[events],
            self._faults(first, last, start, row),
            self._complete[first:last],
            self._times_known,
        )

    def _faults(self, first: int, last: int, start: int, row: IntArray) -> dict[int, tuple[str, str]]:
        """Return why decisions cannot be used, by their row."""
        faults: dict[int, tuple[str, str]] = {}
        for place in np.flatnonzero(self._contradicted[first:last]).tolist():
            faults[place] = (_CONTRADICTED, "the rows of its decision id name several offers")
        events = slice(start, start + len(row))
        for at in np.flatnonzero(self._outcomes.unreadable[events]).tolist():
            line, number = int(self._outcomes.line[start + at]), int(self._outcomes.outcome[start + at])
            message = self._messages.get((line, number), "its amount cannot be read, or is that of no purchase")
            faults.setdefault(int(row[at]), (_UNREADABLE, f'its "{self._names[number]}" at line {line}: {message}'))
        for at in np.flatnonzero(self._number[events] >= MAX_EVENTS).tolist():
            name = self._names[int(self._outcomes.outcome[start + at])]
            message = f'it has more than {MAX_EVENTS} rows of "{name}"; check by which column [event_rows] joins them'
            faults.setdefault(int(row[at]), (_TOO_MANY, message))
        return faults

    def _count(self, table: EventTable, joined: JoinedRows, rule: JoinRule) -> EventRowCounts:
        outcomes, code = joined.outcomes, joined.code
        counted = np.bincount(self._outcomes.outcome, minlength=len(self._names)).tolist()
        unjoined = []
        for number, name in enumerate(self._names):
            for fault in np.unique(code[(outcomes.outcome == number) & (code != JOINED)]).tolist():
                rows = np.flatnonzero((outcomes.outcome == number) & (code == fault))
                unjoined.append(UnjoinedRows(name, rule.reason(fault), len(rows), int(outcomes.line[rows].min())))
        decided = joined.decisions.time[self._decision]
        late = rule.times_known & (decided != INVALID_TIME) & (self._outcomes.time - decided > rule.window)
        return EventRowCounts(
            n_rows=table.n_rows,
            n_decisions=len(self.place),
            joined=dict(zip(self._names, counted, strict=True)),
            unjoined=tuple(unjoined),
            other=_other(table),
            events=dict(table.events.most_common()),
            n_repeated=joined.n_repeated,
            n_alike=_n_alike(self._decision, self._outcomes.outcome, self._outcomes.time, self._outcomes.revenue),
            n_further=joined.n_further,
            n_late=int(late.sum()),
            n_open=int((~self._complete).sum()),
        )


def _other(table: EventTable) -> dict[str, int]:
    """Return the events that are neither a decision nor an outcome, the most frequent first."""
    unused = Counter({name or "(blank)": n for name, n in table.events.items() if name not in table.used})
    return dict(unused.most_common())


def _numbered(*columns: IntArray) -> IntArray:
    """Return the place of each of n events among those that are equal in all columns, which are sorted, from 0."""
    n = len(columns[0])
    is_first = np.zeros(n, dtype=np.bool_)
    is_first[:1] = True
    for column in columns:
        is_first[1:] |= column[1:] != column[:-1]
    starts = np.flatnonzero(is_first)
    return np.arange(n) - np.repeat(starts, np.diff(np.append(starts, n)))


def _n_alike(*columns: IntArray | np.ndarray[tuple[int], np.dtype[np.float64]]) -> int:
    """Return how many events equal the one before them in all columns, the times being sorted."""
    if len(columns[0]) < 2:
        return 0
    order = np.lexsort(columns[::-1])
    equal = np.ones(len(order) - 1, dtype=np.bool_)
    for column in columns:
        values = np.nan_to_num(column[order])
        equal &= values[1:] == values[:-1]
    return int(equal.sum())

"""What a mapping names that a file does not have: paths, values and texts that are in no row.

A CSV file without a column is refused at once; what lies deeper, a path that no JSON object has, a text of `equals`
or of a `map` that no cell has, would be a blank or a silence in every row. It is looked for while the rows are read.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import LogFileError
from bandit.logfiles.columns.coded_text import CodedTexts, NumberTexts, coded
from bandit.logfiles.columns.values import is_blank
from bandit.logfiles.mapping.schema import FactSource, LookupSection, OptionSource, WhenSource
from bandit.logfiles.sources.dsjson_event import EXPORT_PROPERTY
from bandit.printable import count, counted, plain

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.columns.outcomes import OutcomeEvents
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.sources.source import Source, SourceChunk

_MOST_VALUES = 1_000
"""Distinct texts of a column that are counted, to name those that do occur."""

_NAMED = 5
"""Texts that a message names."""

_CLOSE = 0.6
"""Least likeness, 0 to 1, of a name that is suggested (`difflib.SequenceMatcher.ratio`)."""


@dataclass(slots=True)
class MappedWords:
    """Texts that a mapping names for one column: which of them were seen, and what else the column has.

    `place` is where the mapping names them; `event` is the event that they decide, empty for other texts.
    """

    column: str
    words: frozenset[str]
    place: str
    event: str = ""
    seen: set[str] = field(default_factory=set)
    values: Counter[str] = field(default_factory=Counter)

    def add(self, texts: Sequence[str]) -> None:
        """Look for the words in some rows, unless all of them were seen."""
        if len(self.seen) == len(self.words):
            return
        rows = coded(texts)
        counts = np.bincount(rows.codes, minlength=len(rows.distinct)).tolist()
        for text, n in zip(rows.distinct, counts, strict=True):
            if n and (text in self.words or text.strip() in self.words):
                self.seen.update({text, text.strip()} & self.words)
            if n and len(self.values) < _MOST_VALUES:
                self.values[text] += n

    @property
    def unseen(self) -> list[str]:
        """The words that no row has."""
        return sorted(self.words - self.seen)

    def sentence(self) -> str:
        """Return what is missing, what there is instead, and what to correct."""
        missing = self.unseen
        shown = ", ".join(f'"{word}"' for word in missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        there = ", ".join(f'"{text}" ({count(n)})' if text else f"blank ({count(n)})" for text, n in self._most())
        near = nearest_name(missing[0], [text for text in self.values if text not in self.words])
        hint = "" if near is None else f'; did you mean "{near}"?'
        verb = "occurs" if len(missing) == 1 else "occur"
        return plain(
            f'{shown} of {self.place} {verb} in no row of "{self.column}", which has {there or "no text"}{hint}'
        )

    def _most(self) -> list[tuple[str, int]]:
        return self.values.most_common(_NAMED)


class MappingCoverage:
    """Follows, chunk by chunk, what of a mapping a file has; `check` refuses, `notices` says what is missing."""

    def __init__(self, catalogue: Catalogue, mapping: LogMapping, name: str) -> None:
        self._name, self._objective, self._mapping = name, catalogue.objective, mapping
        self._facts = {fact: _column(source) for fact, source in mapping.file.context.items()}
        self._blank = dict(self._facts)
        self._words = list(_mapped_words(mapping))
        self._absent: frozenset[str] | None = None
        self._happened: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._notes: list[str] = []
        self._n_rows = 0

    @property
    def left_out(self) -> dict[str, int]:
        """The lines that the file itself says are no decisions, by reason, the most frequent first."""
        return dict(self._left_out.most_common())

    def add(self, chunk: SourceChunk) -> None:
        """Take in the next rows."""
        self._left_out.update(chunk.left_out)
        self._notes += chunk.notes
        self._n_rows += len(chunk) + len(chunk.misfits)
        if not len(chunk):
            return
        self._absent = chunk.absent if self._absent is None else self._absent & chunk.absent
        self._blank = {fact: name for fact, name in self._blank.items() if _all_blank(chunk.columns[name])}
        for words in self._words:
            words.add(chunk.columns[words.column])

    def add_outcomes(self, events: Iterable[OutcomeEvents]) -> None:
        """Count the rows in which each event happened."""
        for event in events:
            self._happened[event.event] += int(event.happened.sum())

    def check(self, source: Source) -> None:
        """LogFileError where the file has no row, lacks a path in every row, or can have no conversion."""
        if self._n_rows == 0:
            raise LogFileError(self._no_rows())
        paths = source.columns if self._absent else ()
        mapped = set(self._mapping_columns)
        for column in sorted((self._absent or frozenset()) - set(self._mapping.file.optional)):
            near = nearest_name(column, [path for path in paths if path not in mapped])
            if column.startswith(f"{EXPORT_PROPERTY}.") and near is None:
                continue  # an export leaves out what is missing, so that a line need not have every column
            raise LogFileError(
                plain(
                    f'{self._name}: none of the {counted(self._n_rows, "row")} has "{column}"; '
                    + (f'did you mean "{near}"? correct' if near else f"it has {_listed(paths)}; correct")
                    + " the mapping or the file"
                )
            )
        for words in self._words:
            if self._converts(words.event) and not words.seen and not self._happened[words.event]:
                raise LogFileError(f'{self._name}: "{words.event}" happened in no row: {words.sentence()}')

    def notices(self) -> tuple[str, ...]:
        """Return sentences on what of the mapping the file does not have, and on how its lines were put together."""
        said = [words for words in self._words if words.unseen]
        told = {words.event for words in said}
        silent = [
            outcome.event
            for outcome in self._mapping.file.outcomes
            if outcome.when is not None
            and self._mapping.file.event_rows is None
            and self._converts(outcome.event)
            and not self._happened[outcome.event]
        ]
        return (
            *self._notes,
            *(words.sentence() for words in said),
            *(
                f'"{event}" happened in none of the {counted(self._n_rows, "row")}'
                for event in silent
                if event not in told
            ),
            *(
                f'the fact "{fact}" is missing in all {counted(self._n_rows, "row")}: "{column}" is blank'
                for fact, column in self._blank.items()
            ),
        )

    @property
    def _mapping_columns(self) -> list[str]:
        columns = self._mapping.file.columns
        named: list[str | float | None] = [
            columns.customer,
            columns.decision_id,
            columns.time,
            columns.group,
            columns.eligible,
        ]
        named += [each for outcome in self._mapping.file.outcomes for each in (outcome.revenue, outcome.reward)]
        return [each for each in [*named, *self._facts.values()] if isinstance(each, str)]

    def _converts(self, event: str) -> bool:
        """Return whether an event decides what a decision was worth."""
        if not event:
            return False
        if self._objective.kind == "reward":
            return any(each.event == event and each.reward for each in self._mapping.file.outcomes)
        return event == self._objective.event

    def _no_rows(self) -> str:
        if not self._left_out:
            return f"{self._name}: has no rows; give a log with at least one decision"
        reasons = "; ".join(f"{count(n)} {reason}" for reason, n in self.left_out.items())
        return f"{self._name}: has no decision that can be read; its lines are left out: {reasons}"


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the name that is most like one that is unknown, whatever its case; None where none is like it.

    >>> nearest_name("c.User.teir", ["c.User.tier", "c.User.age"])
    'c.User.tier'
    """
    by_key: dict[str, str] = {}
    for each in known:
        by_key.setdefault(each.strip().casefold(), each)
    key = name.strip().casefold()
    ends = [each for each in by_key if key and each.rpartition(".")[2] == key.rpartition(".")[2]]
    found = difflib.get_close_matches(key, list(by_key), n=1, cutoff=_CLOSE) or ends[:1]
    return by_key[found[0]] if found else None


def _mapped_words(mapping: LogMapping) -> Iterator[MappedWords]:
    """Yield the texts that a mapping names, column by column."""
    for name, source in mapping.file.context.items():
        if isinstance(source, FactSource) and source.map:
            yield MappedWords(source.column, frozenset(source.map), f"the map of [context] {name}")
    if isinstance(mapping.offer, LookupSection):
        yield MappedWords(mapping.offer.column, frozenset(mapping.offer.lookup), "[offer.lookup]")
    else:
        for name, option in mapping.offer.items():
            if isinstance(option, OptionSource) and option.map:
                yield MappedWords(option.column, frozenset(option.map), f"the map of [offer] {name}")
    for outcome in mapping.file.outcomes:
        if mapping.file.event_rows is not None:
            return  # outcomes stand in rows of their own, which say what they lack
        if isinstance(outcome.when, WhenSource) and outcome.when.equals is not None:
            equals = outcome.when.equals
            words = frozenset({equals} if isinstance(equals, str) else equals)
            yield MappedWords(outcome.when.column, words, f'equals of [[outcomes]] "{outcome.event}"', outcome.event)


def _column(source: str | FactSource) -> str:
    return source if isinstance(source, str) else source.column


def _all_blank(texts: Sequence[str]) -> bool:
    if isinstance(texts, NumberTexts):
        return bool(np.isnan(texts.numbers).all())
    if isinstance(texts, CodedTexts):
        used = np.unique(texts.codes).tolist() if len(texts.distinct) > 1 else range(len(texts.distinct))
        return all(is_blank(texts.distinct[code]) for code in used)
    return all(map(is_blank, texts))


def _listed(paths: Sequence[str]) -> str:
    shown = ", ".join(f'"{path}"' for path in paths[:20])
    return shown + (", ..." if len(paths) > 20 else "") if paths else "no values"

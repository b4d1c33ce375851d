"""What a file has of a tool's events and paths, counted in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import BoolArray, Progress
from bandit.logfiles.columns.coded_text import CodedTexts, coded
from bandit.logfiles.columns.values import is_blank
from bandit.logfiles.shipped.paths import ShippedPaths, flat
from bandit.logfiles.sources.json_lines import JsonLinesSource

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.sources.source import Source, SourceChunk

DECISION, PURCHASE, RETURN, ALL = PARTS = ("decision", "purchase", "return", "all")
"""The parts of a file in which filled paths are counted."""

_ROWS = 50_000
_TIMES_KEPT = 1_000


@dataclass(slots=True)
class PathSurvey:
    """What a pass over a file found.

    `events` counts rows by path and name of their event; `filled` counts, for each part of the file, the rows in which
    a path is not blank; `options` counts the values of the paths of offers in decisions; `times` has times by path.
    """

    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    filled: dict[str, Counter[str]] = field(default_factory=lambda: {part: Counter() for part in PARTS})
    options: dict[str, Counter[str]] = field(default_factory=dict)
    times: dict[str, dict[str, None]] = field(default_factory=dict)

    @staticmethod
    def of(paths: ShippedPaths, catalogue: Catalogue, source: Source, progress: Progress | None) -> PathSurvey:
        """Read the file once; LogFileError where it is malformed."""
        seen = PathSurvey()
        offers = [path for name in catalogue.dimension_names for path in paths.offer.of(name)]
        facts = [path for name in catalogue.facts for path in paths.context.of(name)]
        asked = list(dict.fromkeys([*_all_paths(paths), *offers, *facts]))
        if not isinstance(source, JsonLinesSource):
            there = set(source.columns)
            asked = [path for path in asked if path in there]
        named = {
            DECISION: flat(paths.event_rows.decision),
            PURCHASE: paths.purchase.events,
            RETURN: paths.returned.events,
        }
        keys = {part: frozenset(event.casefold() for event in events) for part, events in named.items()}
        for chunk in source.chunks(asked, _ROWS, progress):
            texts = {path: coded(chunk.columns[path]) for path in asked if path not in chunk.absent}
            parts = seen._add_events(chunk, texts, paths, keys)
            for path in paths.columns.time:
                if path in texts and len(seen.times.setdefault(path, {})) < _TIMES_KEPT:
                    seen.times[path].update(dict.fromkeys(texts[path].distinct[:_TIMES_KEPT]))
            for path, column in texts.items():
                filled = np.array([not is_blank(text) for text in column.distinct], dtype=np.bool_)[column.codes]
                for part, mask in parts.items():
                    seen.filled[part][path] += int((filled & mask).sum())
            for path in offers:
                if path in texts:
                    seen.options.setdefault(path, Counter()).update(_counts(texts[path], parts[DECISION]))
        return seen

    def most(self, paths: Iterable[str], part: str) -> str | None:
        """Return the path that is filled most often in a part, the first of equals; None where none is."""
        return max((path for path in paths if self.filled[part][path]), key=self.filled[part].__getitem__, default=None)

    def named(self, path: str) -> Counter[str]:
        """Return the names of the events at a path, with their numbers of rows."""
        return Counter({name: n for (where, name), n in self.events.items() if where == path})

    def _add_events(
        self,
        chunk: SourceChunk,
        texts: Mapping[str, CodedTexts],
        paths: ShippedPaths,
        keys: Mapping[str, frozenset[str]],
    ) -> dict[str, BoolArray]:
        """Count the events of a chunk and return which rows belong to each part."""
        everything = np.ones(len(chunk), dtype=np.bool_)
        parts = dict.fromkeys(keys, ~everything)
        for path in dict.fromkeys((*paths.event_rows.event, *paths.purchase.names, *paths.returned.names)):
            if path not in texts:
                continue
            column = texts[path]
            for name, n in _counts(column, everything).items():
                self.events[path, name] += n
            for part, names in keys.items():
                mine = np.array([text.strip().casefold() in names for text in column.distinct], dtype=np.bool_)
                parts[part] = parts[part] | mine[column.codes]
        return parts | {ALL: everything}


def _all_paths(paths: ShippedPaths) -> Sequence[str]:
    """Return the paths that do not depend on a catalogue."""
    columns, rows = paths.columns, paths.event_rows
    listed = [*columns.customer, *columns.decision_id, *columns.time, *columns.propensity, *rows.event, *rows.order]
    for part in (paths.purchase, paths.returned):
        listed += [*part.revenue, *part.names, *part.net, *part.discount, *part.partial]
    return listed


def _counts(column: CodedTexts, rows: BoolArray) -> dict[str, int]:
    """Return the texts of some rows that are not blank, with their numbers of rows."""
    n_codes = np.bincount(column.codes[rows], minlength=len(column.distinct)).tolist()
    counts: Counter[str] = Counter()
    for text, n in zip(column.distinct, n_codes, strict=True):
        if n and text.strip():
            counts[text.strip()] += n
    return counts

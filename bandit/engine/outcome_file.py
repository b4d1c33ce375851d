"""Outcomes from a file, recorded under their decisions: by the decision's id, or by campaign and customer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandit.clock import implausible, now
from bandit.engine.campaign import campaign_decision_ids
from bandit.errors import InputError, LogFileError
from bandit.logfiles.columns.number_style import NumberStyle
from bandit.logfiles.columns.values import INVALID, INVALID_TIME, is_blank, times
from bandit.logfiles.rejections import Rejection, Rejections
from bandit.logfiles.sources.open_source import open_source
from bandit.store import EventRows
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.catalogue.events import EventNote
    from bandit.domain import FloatArray, IntArray, Progress
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk
    from bandit.store import Store
    from bandit.tabular import Cell

OUTCOME_COLUMNS = ("decision_id", "customer", "event", "time", "revenue", "reward", "event_id")
"""What a file of outcomes may have a column of; each is looked for under its own name unless another is given."""

_CHUNK_ROWS = 20_000
_ID_BYTES = 12


@dataclass(frozen=True, slots=True)
class OutcomeFile:
    """How to read a file of outcomes.

    `columns` names the columns that are called otherwise than `OUTCOME_COLUMNS`, `events` what the file's events are
    called here: with it, rows of other events are left out. Rows without a decision's id are those of the `campaign`
    that decided for their customer.
    """

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class OutcomeReport(Tabular):
    """What became of the rows of a file of outcomes.

    n_rows = n_new + n_repeated + n_unknown + n_refused + those left out. `n_unknown` are of no decision of the
    database, `left_out` counts events that were not asked for. `notes` say which events do not count, and why.
    """

    n_rows: int
    n_new: int
    n_repeated: int
    n_unknown: int
    n_refused: int
    refused: tuple[Rejection, ...]
    left_out: Mapping[str, int]
    notes: tuple[EventNote, ...]

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a kind of result."""
        found = {
            "recorded": self.n_new,
            "recorded before": self.n_repeated,
            "of no decision here": self.n_unknown,
            "refused": self.n_refused,
        }
        rows: list[dict[str, Cell]] = [{"result": name, "rows": n} for name, n in found.items()]
        return rows + [{"result": f"left out: {name}", "rows": n} for name, n in self.left_out.items()]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "n_rows": self.n_rows,
            "n_new": self.n_new,
            "n_repeated": self.n_repeated,
            "n_unknown": self.n_unknown,
            "n_refused": self.n_refused,
            "refused": [{"line": each.line, "reason": each.reason} for each in self.refused],
            "left_out": dict(self.left_out),
            "notes": [note.sentence for note in self.notes],
        }


def record_file(
    store: Store, catalogue: Catalogue, file: OutcomeFile, *, max_listed: int = 20, progress: Progress | None = None
) -> OutcomeReport:
    """Record the outcomes of a file in one transaction; the same file again changes nothing.

    An event is known by its `event_id` where the file has that column, else by its name, time and amounts, so that two
    equal rows of one decision count once. InputError for a file without what is needed, and for events that the
    catalogue does not let be recorded: then nothing is written.
    """
    reader = _OutcomeReader(store, catalogue, file, max_listed)
    with store.transaction():
        for chunk in reader.source.chunks(reader.wanted, _CHUNK_ROWS, progress):
            reader.record(chunk)
    return reader.report()


class _OutcomeReader:
    """Reads the rows of one file and appends them as events."""

    def __init__(self, store: Store, catalogue: Catalogue, file: OutcomeFile, max_listed: int) -> None:
        unknown = [name for name in file.columns if name not in OUTCOME_COLUMNS]
        if unknown:
            raise InputError(f'there is no column "{unknown[0]}" to name; there are {", ".join(OUTCOME_COLUMNS)}')
        if not file.path.is_file():
            raise LogFileError(f"{file.path}: there is no such file; give the file of the outcomes")
        self.source = open_source(file.path, escaped_formulas=True)
        present = set(self.source.columns)
        self._names = {name: file.columns.get(name, name) for name in OUTCOME_COLUMNS}
        absent = [name for name in file.columns.values() if name not in present]
        self._has = {name for name, column in self._names.items() if column in present}
        shown = ", ".join(f'"{name}"' for name in list(self.source.columns)[:40])
        if absent:
            raise LogFileError(f'{file.path}: has no column "{absent[0]}"; the columns are {shown}')
        if "event" not in self._has:
            raise LogFileError(f"{file.path}: has no column of the events' names; the columns are {shown}: name it")
        if "decision_id" not in self._has and (file.campaign is None or "customer" not in self._has):
            raise LogFileError(
                f"{file.path}: does not say of which decisions its outcomes are; give a column decision_id, or the "
                f"campaign and a column customer; the columns are {shown}"
            )
        self.wanted = [self._names[name] for name in OUTCOME_COLUMNS if name in self._has]
        self._store, self._file = store, file
        self._parts = catalogue.events
        self._written: list[tuple[Sequence[str], FloatArray, FloatArray, IntArray]] = []
        self._rejections = Rejections(max_listed)
        self._left_out: Counter[str] = Counter()
        self._n_rows = self._n_new = self._n_repeated = self._n_unknown = 0

    def record(self, chunk: SourceChunk) -> None:
        """Append the rows of a chunk that can be used."""
        rejections = self._rejections.chunk(chunk.lines)
        for line, n_fields in chunk.misfits:
            rejections.add(line, "wrong number of fields", f"it has {n_fields} fields, and the header {chunk.n_fields}")
        self._n_rows += len(chunk) + len(chunk.misfits)
        events = self._events(chunk, rejections)
        when = self._times(chunk, rejections)
        revenue, reward = self._amounts(chunk, "revenue", rejections), self._amounts(chunk, "reward", rejections)
        ids = self._decision_ids(chunk, rejections)
        ok = rejections.close() & np.array([event is not None for event in events], dtype=np.bool_)
        known = self._known([ids[row] for row in np.flatnonzero(ok).tolist()])
        ours = np.array([each in known for each in ids], dtype=np.bool_)
        self._n_unknown += int((ok & ~ours).sum())
        rows = np.flatnonzero(ok & ours)
        if len(rows):
            delays: list[IntArray] = []
            named = [str(events[row]) for row in rows.tolist()]
            amounts = revenue[rows], reward[rows]
            self._parts.check(named, *amounts)
            receipt = self._store.events.append(
                EventRows(
                    event=named,
                    time=when[rows],
                    revenue=amounts[0],
                    reward=amounts[1],
                    decision_ids=[ids[row] for row in rows.tolist()],
                    event_ids=self._event_ids(chunk, rows, named, when, revenue, reward),
                    time_given="time" in self._has,
                    on_delays=delays.append,
                )
            )
            self._n_new += receipt.n_new
            self._n_repeated += receipt.n_repeated
            self._written.append((named, *amounts, delays[0]))

    def report(self) -> OutcomeReport:
        """Return what became of all rows."""
        return OutcomeReport(
            self._n_rows,
            self._n_new,
            self._n_repeated,
            self._n_unknown,
            self._rejections.n,
            tuple(self._rejections.listed),
            dict(self._left_out.most_common()),
            self._notes(),
        )

    def _notes(self) -> tuple[EventNote, ...]:
        """Return which of all events of the file do not count, and why."""
        if not self._written:
            return ()
        names, *columns = zip(*self._written, strict=True)
        revenue, reward, delays = (np.concatenate(column) for column in columns)
        return self._parts.notes([name for part in names for name in part], revenue, reward, delays)

    def _texts(self, chunk: SourceChunk, name: str) -> Sequence[str] | None:
        return chunk.columns[self._names[name]] if name in self._has else None

    def _events(self, chunk: SourceChunk, rejections: ChunkRejections) -> list[str | None]:
        """Return the events' names here, None for those that are left out."""
        texts = [text.strip() for text in chunk.columns[self._names["event"]]]
        rejections.reject(
            np.array([is_blank(text) for text in texts], dtype=np.bool_),
            "event is blank",
            lambda _: "the event is blank",
        )
        if not self._file.events:
            return list(texts)
        self._left_out.update(text for text in texts if text not in self._file.events and not is_blank(text))
        return [self._file.events.get(text) for text in texts]

    def _times(self, chunk: SourceChunk, rejections: ChunkRejections) -> IntArray:
        texts = self._texts(chunk, "time")
        if texts is None:
            return np.full(len(chunk), now(), dtype=np.int64)
        read = times(texts, "iso", "s", 0)
        rejections.reject(
            (read == INVALID_TIME) | implausible(read),
            "time cannot be read",
            lambda row: f'the time "{texts[row]}" is not an ISO 8601 time; write it as 2026-01-31T18:00:00+01:00',
        )
        return read

    def _amounts(self, chunk: SourceChunk, name: str, rejections: ChunkRejections) -> FloatArray:
        texts = self._texts(chunk, name)
        if texts is None:
            return np.full(len(chunk), np.nan)
        read = NumberStyle().numbers(texts)
        rejections.reject(
            read == INVALID, f"{name} is no number", lambda row: f'the {name} "{texts[row]}" is not a finite number'
        )
        return np.asarray(np.where(read == INVALID, np.nan, read))

    def _decision_ids(self, chunk: SourceChunk, rejections: ChunkRejections) -> list[str]:
        texts, customers = self._texts(chunk, "decision_id"), self._texts(chunk, "customer")
        ids = [text.strip() for text in texts] if texts is not None else [""] * len(chunk)
        if self._file.campaign is not None and customers is not None:
            made = campaign_decision_ids(self._store, self._file.campaign, [text.strip() for text in customers])
            named = [not is_blank(text) for text in customers]
            ids = [own or (other if known else "") for own, other, known in zip(ids, made, named, strict=True)]
        rejections.reject(
            np.array([not each for each in ids], dtype=np.bool_), "no decision", lambda _: "it names no decision"
        )
        return ids

    def _known(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that decisions, and repeats of decisions that are held, have here."""
        return set(self._store.decisions.seqs_of(ids)) | set(self._store.repeats.originals(ids))

    def _event_ids(
        self,
        chunk: SourceChunk,
        rows: IntArray,
        events: Sequence[str],
        when: IntArray,
        revenue: FloatArray,
        reward: FloatArray,
    ) -> list[str]:
        """Return the ids of events: the file's, or a digest of what the row says."""
        texts = self._texts(chunk, "event_id")
        timed = when[rows].tolist() if "time" in self._has else [0] * len(rows)
        said = zip(events, timed, revenue[rows].tolist(), reward[rows].tolist(), strict=True)
        made = [f"{row[0]}-{blake2b(repr(row).encode(), digest_size=_ID_BYTES).hexdigest()}" for row in said]
        if texts is None:
            return made
        return [texts[row].strip() or other for row, other in zip(rows.tolist(), made, strict=True)]

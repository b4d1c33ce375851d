"""dsjson, the log format of Vowpal Wabbit's contextual bandits, as a source of columns.

A column is named by where its value lies in the JSON of a line: `EventId` or another property of the event;
`c.namespace.feature`, a feature that all actions share; `action.namespace.feature`, a feature of the chosen action
(without a feature, the namespace's only one, as where a feature's name is its value); `offer_bandit.column`, what our
own export adds for the way back. `json_paths` says how a path goes through lists. Two columns are computed: `reward`,
minus `_label_cost`, and `weight`, 1 / (1 - `pdrop`): how many events a line stands for where the logger dropped some.

Lines that say of themselves that they are no decisions to judge are left out and counted: marked `_skipLearn`, never
activated, of several slots, without a label. Outcome lines (`EventId` with `RewardValue` or `v`) are joined to their
event where its own line has no reward but 0; a file is gone through once for them before it is read.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec
import numpy as np

from bandit.domain import Progress
from bandit.errors import LogFileError
from bandit.logfiles.sources.binary_file import check_inflation, file_faults, opened
from bandit.logfiles.sources.dsjson_event import LABELS, NO_EVENT, DsjsonEvent, text_getter
from bandit.logfiles.sources.dsjson_outcomes import HAS_A_REWARD, OF_NO_LABEL, DsjsonOutcomes, OutcomeJoin
from bandit.logfiles.sources.json_paths import NotListedText, UnusableValueError
from bandit.logfiles.sources.source import SourceChunk
from bandit.printable import counted

MAX_EVENT = 64 << 20
"""Most bytes of a line: an event with a million short actions has room."""

CHUNK_BYTES = 64 << 20
"""Bytes of a file after which a chunk ends, however few its lines."""

SAMPLED_EVENTS = 200
"""Events whose paths are the columns of a file: enough to name what a mapping misspells."""

_LOOKED_AT = 20
"""Lines that are looked at to tell dsjson from other JSON."""

_BOM = b"\xef\xbb\xbf"
_NUL = b"\\u0000"


def is_dsjson(path: Path) -> bool:
    """Return whether one of the first lines of a file, plain or gzipped, is an event or an outcome of dsjson."""
    if not begins_with_object(path):
        return False
    try:
        with opened(path) as (_, content):
            n_bytes = 0
            for line in islice(iter(lambda: content.readline(MAX_EVENT), b""), _LOOKED_AT):
                with suppress(msgspec.DecodeError, UnicodeError, RecursionError, UnusableValueError):
                    if _is_of_dsjson(DsjsonEvent(line.removeprefix(_BOM))):
                        return True
                n_bytes += len(line)
                if n_bytes >= MAX_EVENT:
                    break
    except (OSError, EOFError, zlib.error):  # the source that reads the file reports it
        pass
    return False


def begins_with_object(path: Path) -> bool:
    """Return whether a file, plain or gzipped, begins with a JSON object."""
    try:
        with opened(path) as (_, content):
            return content.read(256).removeprefix(_BOM).lstrip().startswith(b"{")
    except (OSError, EOFError, zlib.error):  # the source that reads the file reports it
        return False


def _is_of_dsjson(event: DsjsonEvent) -> bool:
    """Return whether a JSON object has the properties of an event with actions or a label, or of an outcome."""
    properties = event.properties
    with_actions = bool(event.shared.keys() & {"_multi", "_slots"}) or {"c", "a", "p"} <= properties.keys()
    labelled = any(name.startswith("_label") for name in properties)
    return with_actions or labelled or bool(event.own) or ("EventId" in properties and "RewardValue" in properties)


class DsjsonSource:
    """One dsjson file, plain or gzipped, read line by line."""

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        """Find the file; LogFileError where it cannot be read. `progress` is called while outcomes are looked for."""
        self.path = path
        self._progress = progress
        with file_faults(path):
            self.size = path.stat().st_size

    @property
    def digest(self) -> str:
        """A digest of the content: 16 hex digits."""
        return self._outcomes.digest

    @cached_property
    def columns(self) -> Sequence[str]:
        """The paths that the first events have; those of our own export alone where a line has them."""
        names: dict[str, None] = {}
        with file_faults(self.path), opened(self.path) as (_, content):
            for line in range(1, SAMPLED_EVENTS + 1):
                text = self._line(content, line)
                if not text:
                    break
                if text.strip():
                    with self._faults_of(line):
                        names.update(dict.fromkeys(DsjsonEvent(text.removeprefix(_BOM)).paths()))
        return list(names)

    @property
    def has_weights(self) -> bool:
        """Whether the format says how many decisions each line stands for: by `pdrop`, in the column `weight`."""
        return True

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[SourceChunk]:
        """Yield the events in order, at most `size` lines at a time; LogFileError names a line that is no JSON object.

        A value that an event does not have is a blank.
        """
        reader = _ChunkReader(columns, OutcomeJoin(self._outcomes))
        line = n_bytes = 0
        with file_faults(self.path), opened(self.path) as (raw, content):
            lines = self._next_lines(content, 0, size)
            while lines:
                n_bytes += sum(map(len, lines))
                check_inflation(self.path, n_bytes, raw.tell())
                for text in lines:
                    line += 1
                    if text.strip():
                        self._read(text.removeprefix(_BOM) if line == 1 else text, line, reader)
                lines = self._next_lines(content, line, size)
                yield reader.chunk(is_last=not lines)
                if progress:
                    progress(self.size + raw.tell(), 2 * self.size)

    @cached_property
    def _outcomes(self) -> DsjsonOutcomes:
        """The outcome lines and the digest, found in one pass over the file."""
        found = DsjsonOutcomes()
        line = n_bytes = checked = 0
        with file_faults(self.path), opened(self.path) as (raw, content):
            while text := self._line(content, line + 1):
                line += 1
                n_bytes += len(text)
                with self._faults_of(line):
                    found.add(text)
                if n_bytes - checked > 1 << 20:
                    checked = n_bytes
                    check_inflation(self.path, n_bytes, raw.tell())
                    if self._progress:
                        self._progress(raw.tell(), 2 * self.size)
            check_inflation(self.path, n_bytes, raw.tell())
        return found

    def _line(self, content: IO[bytes], line: int) -> bytes:
        text = content.readline(MAX_EVENT + 1)
        if len(text) > MAX_EVENT:
            raise LogFileError(f"{self.path}: line {line} has more than {MAX_EVENT:,} bytes; each line is one event")
        return text

    def _next_lines(self, content: IO[bytes], line: int, size: int) -> list[bytes]:
        """Return the next lines: at most `size`, and none more once they have `CHUNK_BYTES`."""
        lines: list[bytes] = []
        n_bytes = 0
        while len(lines) < size and n_bytes < CHUNK_BYTES and (text := self._line(content, line + len(lines) + 1)):
            lines.append(text)
            n_bytes += len(text)
        return lines

    @contextmanager
    def _faults_of(self, line: int) -> Iterator[None]:
        """Turn the errors of decoding a line into LogFileError."""
        try:
            yield
        except UnusableValueError as fault:
            raise LogFileError(f"{self.path}: line {line} {fault}") from fault
        except (msgspec.DecodeError, UnicodeError, RecursionError) as fault:
            raise LogFileError(
                f"{self.path}: line {line} is not an event in JSON ({fault}); each line must be one whole JSON object"
            ) from fault

    def _read(self, text: bytes, line: int, reader: _ChunkReader) -> None:
        with self._faults_of(line):
            reader.add(DsjsonEvent(text), line)
        if _NUL in text and reader.ends_with_nul():
            raise LogFileError(f"{self.path}: line {line} has a NUL in a text; write plain text")


class _ChunkReader:
    """Gathers events into chunks; those that are no decisions are counted."""

    def __init__(self, columns: Sequence[str], outcomes: OutcomeJoin) -> None:
        self._columns, self._getters, self._join = columns, [text_getter(name) for name in columns], outcomes
        self._labelled = not LABELS.isdisjoint(columns)
        self._lines: list[int] = []
        self._rows: list[list[str | None]] = []
        self._left_out: Counter[str] = Counter()
        self._premultiplied = 0

    def add(self, event: DsjsonEvent, line: int) -> None:
        """Take in the next line; UnusableValueError and msgspec's errors where it cannot be read."""
        if not event.is_event:
            if not event.is_outcome:
                self._left_out[NO_EVENT] += 1
            return
        event_id = event.event_id if self._join.is_needed else ""
        # In a file with labels an event without one is left out with its outcome: to keep only those that have an
        # outcome would choose events by what came of them.
        if self._join.is_needed and (self._join.silence is not None or event.has_label):
            event.outcome = self._join.reward_of(event_id)
            if event.outcome is None and not event.has_label:
                event.outcome = self._join.silence
        fault = event.fault(labelled=self._labelled, activated=self._join.is_activated(event_id))
        if fault is not None:
            self._left_out[fault] += 1
            self._join.note(event_id, OF_NO_LABEL)
            return
        if event.outcome is not None:
            self._join.note(event_id, HAS_A_REWARD if event.has_own_reward else "")
        self._lines.append(line)
        self._rows.append([get(event) for get in self._getters])
        if "pdrop" in event.properties:
            self._premultiplied += event.premultiplied is not None

    def ends_with_nul(self) -> bool:
        """Return whether the row added last has a text with a NUL."""
        return bool(self._rows) and any(text is not None and "\0" in text for text in self._rows[-1])

    def chunk(self, *, is_last: bool) -> SourceChunk:
        """Return the rows since the last chunk; the last one counts the outcome lines that joined no event, too."""
        columns: list[tuple[str | None, ...]] = [*zip(*self._rows, strict=True)] or [() for _ in self._columns]
        absent = {
            name
            for name, texts in zip(self._columns, columns, strict=True)
            if all(text is None or isinstance(text, NotListedText) for text in texts)
        }
        plain = [["" if text is None else text for text in texts] for texts in columns]
        notes: tuple[str, ...] = ()
        if is_last:
            self._left_out.update(self._join.left_out())
            notes = tuple(self._notes())
        done = SourceChunk(
            np.array(self._lines, dtype=np.int64),
            dict(zip(self._columns, plain, strict=True)),
            (),
            len(self._columns),
            left_out=dict(self._left_out),
            absent=frozenset(absent),
            notes=notes,
        )
        self._lines, self._rows, self._left_out = [], [], Counter()
        return done

    def _notes(self) -> Iterator[str]:
        yield from self._join.joined()
        if self._premultiplied:
            lines = counted(self._premultiplied, "line", ("has", "have"))
            yield f"{lines} a _label_probability that is p times 1 - pdrop; p is read, since weights have the rest"

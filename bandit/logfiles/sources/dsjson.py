"""dsjson, the log format of Vowpal Wabbit's contextual bandits, as a source of columns.

A column is named by where its value lies in the JSON of a line: `EventId` or another property of the event;
`reward`, which is minus its `_label_cost`; `c.namespace.feature`, a feature that all actions share;
`action.namespace.feature`, a feature of the chosen action (without a feature, the namespace's only one, as where a
feature's name is its value); `offer_bandit.column`, what our own export adds for the way back.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, cast

import msgspec
import numpy as np

from bandit.domain import Progress
from bandit.errors import LogFileError
from bandit.logfiles.sources.binary_file import check_inflation, file_faults, opened
from bandit.logfiles.sources.source import SourceChunk

MAX_EVENT = 64 << 20
"""Most bytes of a line: an event with a million short actions has room."""

CHUNK_BYTES = 64 << 20
"""Bytes of a file after which a chunk ends, however few its lines."""

EXPORT_PROPERTY = "offer_bandit"
"""The property of an event in which our export keeps the columns of the log."""

REWARD = "reward"
ACTION, SHARED = "action", "c"

_Object = dict[str, msgspec.Raw]
_OBJECT = msgspec.json.Decoder(_Object)
_ACTIONS = msgspec.json.Decoder(list[msgspec.Raw])
_NONE: Mapping[str, msgspec.Raw] = {}
_BOM = b"\xef\xbb\xbf"


def is_dsjson(path: Path) -> bool:
    """Return whether a file, plain or gzipped, begins with a JSON object."""
    try:
        with opened(path) as (_, content):
            return content.read(256).removeprefix(_BOM).lstrip().startswith(b"{")
    except (OSError, EOFError, zlib.error):  # the source that reads the file reports it
        return False


class DsjsonSource:
    """One dsjson file, plain or gzipped, read line by line."""

    def __init__(self, path: Path) -> None:
        """Find the file; LogFileError where it cannot be read."""
        self.path = path
        with file_faults(path):
            self.size = path.stat().st_size

    @cached_property
    def digest(self) -> str:
        """A digest of the content: 16 hex digits."""
        digest = hashlib.blake2b(digest_size=8)
        with file_faults(self.path), opened(self.path) as (raw, content):
            n_bytes = 0
            while block := content.read(1 << 20):
                digest.update(block)
                n_bytes += len(block)
                check_inflation(self.path, n_bytes, raw.tell())
        return digest.hexdigest()

    @cached_property
    def columns(self) -> Sequence[str]:
        """The columns of our own export in the first event, none in other files: theirs are named by their path."""
        with file_faults(self.path), opened(self.path) as (_, content):
            first = self._line(content, 1)
        with self._faults_of(1):
            return [f"{EXPORT_PROPERTY}.{name}" for name in _Event(first.removeprefix(_BOM)).own]

    @property
    def has_weights(self) -> bool:
        """Whether the format says how many decisions each line stands for: it does not."""
        return False

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[SourceChunk]:
        """Yield the events in order, at most `size` at a time; LogFileError names a line that is not an event.

        A value that an event does not have is a blank.
        """
        getters = [_getter(column) for column in columns]
        line = n_bytes = 0
        with file_faults(self.path), opened(self.path) as (raw, content):
            while lines := self._next_lines(content, line, size):
                n_bytes += sum(map(len, lines))
                check_inflation(self.path, n_bytes, raw.tell())
                numbers: list[int] = []
                values: list[list[str]] = []
                for text in lines:
                    line += 1
                    if text.strip():
                        numbers.append(line)
                        values.append(self._read(text.removeprefix(_BOM) if line == 1 else text, line, getters))
                texts = [list(column) for column in zip(*values, strict=True)] or [[] for _ in columns]
                yield SourceChunk(
                    np.array(numbers, dtype=np.int64), dict(zip(columns, texts, strict=True)), (), len(columns)
                )
                if progress:
                    progress(raw.tell(), self.size)

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
        except _UnusableError as fault:
            raise LogFileError(f"{self.path}: line {line} {fault}") from fault
        except (msgspec.DecodeError, UnicodeError, RecursionError) as fault:
            raise LogFileError(
                f"{self.path}: line {line} is not an event in JSON ({fault}); each line must be one whole JSON object"
            ) from fault

    def _read(self, text: bytes, line: int, getters: Sequence[Callable[[_Event], str]]) -> list[str]:
        with self._faults_of(line):
            event = _Event(text)
            values = [get(event) for get in getters]
        if "\0" in "".join(values):
            raise LogFileError(f"{self.path}: line {line} has a NUL in a text; write plain text")
        return values


class _UnusableError(Exception):
    """A line that cannot be used; the message continues "line 7"."""


class _Event:
    """One line; only the properties that are asked for are decoded."""

    def __init__(self, text: bytes) -> None:
        self.own: Mapping[str, msgspec.Raw] = _NONE
        self.properties = _OBJECT.decode(text)
        self.shared = _OBJECT.decode(self.properties[SHARED]) if SHARED in self.properties else _NONE
        if "_slots" in self.shared or "_outcomes" in self.properties:
            raise _UnusableError(
                "is an event of slates or of a conditional contextual bandit; only those with one choice among "
                "actions can be imported"
            )
        if EXPORT_PROPERTY in self.properties:
            self.own = _OBJECT.decode(self.properties[EXPORT_PROPERTY])

    def action(self) -> Mapping[str, msgspec.Raw]:
        """Return the namespaces of the chosen action, none where the event has no label."""
        chosen = self._chosen()
        if chosen is None or "_multi" not in self.shared:
            return _NONE
        actions = _ACTIONS.decode(self.shared["_multi"])
        if not 0 <= chosen < len(actions):
            raise _UnusableError(f"has the label of action {chosen + 1} of {len(actions)}; correct the line")
        return _OBJECT.decode(actions[chosen])

    def _chosen(self) -> int | None:
        by_index = self._whole("_labelIndex")
        by_number = self._whole("_label_Action")
        if by_index is not None and by_number is not None and by_index != by_number - 1:
            raise _UnusableError(
                f"has _labelIndex {by_index}, which counts from 0, and _label_Action {by_number}, which counts from 1; "
                "they must name one action"
            )
        return by_number - 1 if by_index is None and by_number is not None else by_index

    def _whole(self, name: str) -> int | None:
        raw = self.properties.get(name)
        return None if raw is None else msgspec.json.decode(raw, type=int | None)


def _getter(column: str) -> Callable[[_Event], str]:
    """Return the function that finds a column's text in an event."""
    head, _, rest = column.partition(".")
    if column == REWARD:
        return _reward
    if head == EXPORT_PROPERTY and rest:
        return lambda event: _scalar(event.own.get(rest), column)
    if head == SHARED and rest:
        return lambda event: _feature(event.shared, rest, column)
    if head == ACTION and rest:
        return lambda event: _feature(event.action(), rest, column)
    return lambda event: _scalar(event.properties.get(column), column)


def _reward(event: _Event) -> str:
    cost = _scalar(event.properties.get("_label_cost"), "_label_cost")
    try:
        return repr(0.0 - float(cost)) if cost else ""
    except ValueError:
        return cost


def _feature(namespaces: Mapping[str, msgspec.Raw], path: str, column: str) -> str:
    """Return the value at `feature` or `namespace.feature`; at a namespace alone, the name of its only feature."""
    if path in namespaces:
        raw = namespaces[path]
        if bytes(raw)[:1] != b"{":
            return _scalar(raw, column)
        names = [name for name, value in _OBJECT.decode(raw).items() if bytes(value) not in {b"0", b"false", b"null"}]
        if len(names) > 1:
            raise _UnusableError(
                f'has {len(names)} features in "{column}"; name the one to read, as "{column}.{names[0]}"'
            )
        return names[0] if names else ""
    namespace, _, feature = path.partition(".")
    raw = namespaces.get(namespace, msgspec.Raw(b"null"))
    if not feature or bytes(raw)[:1] != b"{":
        return ""
    return _scalar(_OBJECT.decode(raw).get(feature), column)


def _scalar(raw: msgspec.Raw | None, column: str) -> str:
    """Return a value as text: a number as it is written, a blank for null."""
    text = b"null" if raw is None else bytes(raw)
    if text == b"null":
        return ""
    if text[:1] == b'"':
        return cast("str", msgspec.json.decode(text))
    if text[:1] in {b"{", b"["}:
        raise _UnusableError(f'has a list or an object in "{column}"; name one value in it')
    return text.decode()

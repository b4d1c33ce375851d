"""JSON of any shape as a source of columns: an object a line, a list of objects, or pages that have such a list.

A column is named by where its value lies, as `context.traits.plan` or `products.0.sku`; see `json_paths`. In pages of
the JSON:API form, `included.metric.name` is the attribute `name` of what an object's relationship `metric` names among
the page's `included`.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec
import numpy as np

from bandit.domain import Progress
from bandit.errors import LogFileError
from bandit.logfiles.sources.binary_file import check_inflation, file_faults, opened
from bandit.logfiles.sources.json_paths import (
    JsonObject,
    NotListedText,
    UnusableValueError,
    is_list,
    is_object,
    json_list,
    json_object,
    leaf_paths,
    scalar_text,
    value_at,
)
from bandit.logfiles.sources.source import SourceChunk

MAX_OBJECT = 64 << 20
"""Most bytes of a line with one object or one page."""

MAX_DOCUMENT = 512 << 20
"""Most bytes of a file that is one list or one page over several lines: it is held in memory."""

PAGES = ("events", "data", "batch", "results", "records")
"""Properties in which exports write the list of a page's objects."""

INCLUDED = "included"
"""The property of a page that has what its objects' relationships name, and the column by which it is read."""

SAMPLED_OBJECTS = 1_000
"""First objects of a file whose paths are named as its columns."""

_CHUNK_BYTES = 64 << 20
_BLOCK = 1 << 20
_BOM = b"\xef\xbb\xbf"
_OPEN_LIST, _OPEN_OBJECT = b"[", b"{"
_FIRST_BYTES = 256
_PACKED = b'"{'


def is_json(path: Path) -> bool:
    """Return whether a file, plain or gzipped, begins with a JSON object or a list of JSON objects."""
    try:
        with opened(path) as (_, content):
            first = content.read(_FIRST_BYTES).removeprefix(_BOM).lstrip()
    except (OSError, EOFError, zlib.error):  # the source that reads the file reports it
        return False
    return first[:1] == _OPEN_OBJECT or (
        first[:1] == _OPEN_LIST and first[1:].lstrip()[:1] in {_OPEN_OBJECT, b"]", b""}
    )


class JsonLinesSource:
    """One file of JSON, plain or gzipped; its rows are objects, their numbers the lines, or the places in the list."""

    def __init__(self, path: Path) -> None:
        """Find the file; LogFileError where it cannot be read."""
        self.path = path
        with file_faults(path):
            self.size = path.stat().st_size

    @property
    def has_weights(self) -> bool:
        """Whether the format says how many decisions each row stands for: it does not."""
        return False

    @cached_property
    def digest(self) -> str:
        """A digest of the content: 16 hex digits."""
        digest = hashlib.blake2b(digest_size=8)
        with file_faults(self.path), opened(self.path) as (raw, content):
            n_bytes = 0
            while block := content.read(_BLOCK):
                digest.update(block)
                n_bytes += len(block)
                check_inflation(self.path, n_bytes, raw.tell())
        return digest.hexdigest()

    @cached_property
    def columns(self) -> Sequence[str]:
        """The paths that the first objects have."""
        with file_faults(self.path), opened(self.path) as (raw, content):
            names: dict[str, None] = {}
            for number, node in islice(self._objects(raw, content), SAMPLED_OBJECTS):
                with self._faults_of(number):
                    names.update(dict.fromkeys(leaf_paths(_unpacked(node))))
        return list(names)

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[SourceChunk]:
        """Yield the objects in order, at most `size` at a time; LogFileError names a line that is no JSON object.

        A value that an object does not have is a blank.
        """
        with file_faults(self.path), opened(self.path) as (raw, content):
            objects = self._objects(raw, content)
            while rows := list(self._rows(islice(objects, size), columns)):
                yield _chunk(rows, columns)
                if progress:
                    progress(min(raw.tell(), self.size), self.size)

    def _rows(
        self, objects: Iterator[tuple[int, JsonObject]], columns: Sequence[str]
    ) -> Iterator[tuple[int, list[str | None]]]:
        """Yield number and texts of objects, None where an object does not have a column; no more than a chunk has."""
        n_characters = 0
        for number, node in objects:
            with self._faults_of(number):
                node = _unpacked(node)  # noqa: PLW2901 - the same object
                texts = [_text_at(node, column) for column in columns]
            if any(text is not None and "\0" in text for text in texts):
                raise LogFileError(f"{self.path}: line {number} has a NUL in a text; write plain text")
            yield number, texts
            n_characters += sum(len(text) for text in texts if text is not None)
            if n_characters > _CHUNK_BYTES:
                return

    def _objects(self, raw: IO[bytes], content: IO[bytes]) -> Iterator[tuple[int, JsonObject]]:
        """Yield the objects of a file that was just opened, each with its line, or its number in a list."""
        first = content.readline(MAX_OBJECT + 1).removeprefix(_BOM)
        while first and not first.strip():
            first = content.readline(MAX_OBJECT + 1)
        if not first:
            return
        if first.lstrip()[:1] == _OPEN_LIST or not _is_whole(first):
            yield from self._document(first, content)
            return
        line, n_bytes, text, number = 0, 0, first, 0
        while text:
            line += 1
            n_bytes += len(text)
            if len(text) > MAX_OBJECT:
                raise LogFileError(
                    f"{self.path}: line {line} has more than {MAX_OBJECT:,} bytes; write an object a line"
                )
            check_inflation(self.path, n_bytes, raw.tell())
            if text.strip():
                with self._faults_of(line):
                    page = list(_of_page(json_object(text)))
                for node in page:
                    number += 1
                    yield (line if len(page) == 1 else number), node
            text = content.readline(MAX_OBJECT + 1)

    def _document(self, first: bytes, content: IO[bytes]) -> Iterator[tuple[int, JsonObject]]:
        """Yield the objects of a list, or of a page, that goes over several lines."""
        text = first + content.read(MAX_DOCUMENT + 1 - len(first))
        if len(text) > MAX_DOCUMENT:
            raise LogFileError(
                f"{self.path}: is one list of more than {MAX_DOCUMENT:,} bytes; write an object a line, which is read "
                "in little memory"
            )
        with self._faults_of(1):
            is_page = text.lstrip()[:1] == _OPEN_OBJECT
            nodes = _of_page(json_object(text)) if is_page else map(json_object, json_list(msgspec.Raw(text)))
            yield from enumerate(nodes, start=1)

    @contextmanager
    def _faults_of(self, line: int) -> Iterator[None]:
        """Turn the errors of decoding an object into LogFileError."""
        try:
            yield
        except UnusableValueError as fault:
            raise LogFileError(f"{self.path}: line {line} {fault}") from fault
        except (msgspec.DecodeError, UnicodeError, RecursionError) as fault:
            raise LogFileError(
                f"{self.path}: line {line} is no object in JSON ({fault}); write one JSON object a line, or one list"
            ) from fault


def _is_whole(text: bytes) -> bool:
    """Return whether a line is a whole JSON object, and not the beginning of one over several lines."""
    if text.strip() == _OPEN_OBJECT:
        return False
    try:
        json_object(text)
    except msgspec.ValidationError:
        return True
    except (msgspec.DecodeError, UnicodeError, RecursionError) as fault:
        return "truncated" not in str(fault)
    return True


def _of_page(node: dict[str, msgspec.Raw]) -> Iterator[JsonObject]:
    """Yield the objects of a page; an object that is no page itself."""
    key = next((name for name in PAGES if name in node and is_list(node[name])), None)
    elements = [] if key is None else json_list(node[key])
    if key is None or "event" in node or not all(map(is_object, elements)):
        yield node
        return
    included = _included(node)
    for element in map(json_object, elements):
        if included and "relationships" in element:
            element[INCLUDED] = _related(json_object(element["relationships"]), included)
        yield element


def _included(node: Mapping[str, msgspec.Raw]) -> dict[tuple[str, str], msgspec.Raw]:
    """Return the attributes of what a page includes, by type and id."""
    found = {}
    for raw in json_list(node[INCLUDED]) if INCLUDED in node and is_list(node[INCLUDED]) else []:
        each = json_object(raw)
        if "attributes" in each:
            found[scalar_text(each.get("type"), "type"), scalar_text(each.get("id"), "id")] = each["attributes"]
    return found


def _related(relationships: JsonObject, included: Mapping[tuple[str, str], msgspec.Raw]) -> msgspec.Raw:
    """Return, by the name of the relationship, the attributes of what it names."""
    found = {}
    for name in relationships:
        key = tuple(scalar_text(value_at(relationships, f"{name}.data.{part}", name), name) for part in ("type", "id"))
        if key in included:
            found[name] = included[key[0], key[1]]
    return msgspec.Raw(msgspec.json.encode(found))


def _unpacked(node: JsonObject) -> JsonObject:
    """Return an object with its properties that are JSON objects written as texts, as some exports write them."""
    packed = {name: raw for name, raw in node.items() if bytes(memoryview(raw)[:2]) == _PACKED}
    if not packed:
        return node
    unpacked = dict(node)
    for name, raw in packed.items():
        text = scalar_text(raw, name).encode()
        try:
            json_object(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue
        unpacked[name] = msgspec.Raw(text)
    return unpacked


def _text_at(node: JsonObject, column: str) -> str | None:
    """Return the text at a path, None where the object does not have it."""
    value = value_at(node, column, column)
    return None if value is None else scalar_text(value, column)


def _chunk(rows: Sequence[tuple[int, list[str | None]]], columns: Sequence[str]) -> SourceChunk:
    by_column: list[Sequence[str | None]] = [*zip(*(texts for _, texts in rows), strict=True)] or [() for _ in columns]
    pairs = list(zip(columns, by_column, strict=True))
    absent = {name for name, texts in pairs if all(text is None or isinstance(text, NotListedText) for text in texts)}
    return SourceChunk(
        np.array([number for number, _ in rows], dtype=np.int64),
        {name: ["" if text is None else text for text in texts] for name, texts in pairs},
        (),
        len(columns),
        absent=frozenset(absent),
    )

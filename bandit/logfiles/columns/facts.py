"""The facts of each row: from columns of text to a checked batch of contexts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.catalogue.fact_values import CodedColumn
from bandit.catalogue.facts import MAX_TEXT
from bandit.catalogue.text_form import normal_text
from bandit.catalogue.undeclared import UndeclaredCounts
from bandit.catalogue.unstored import only_facts
from bandit.errors import CatalogueError, LogFileError
from bandit.logfiles.columns.coded_text import NumberTexts, TimeTexts, coded
from bandit.logfiles.columns.number_style import NumberStyle, number_cure
from bandit.logfiles.columns.values import INVALID, INVALID_TIME, floats, is_blank, truth
from bandit.logfiles.mapping.schema import FactSource, Scalar
from bandit.store.records import object_array

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.catalogue.facts import Fact
    from bandit.catalogue.undeclared import UndeclaredValues
    from bandit.domain import Contexts, FloatArray
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk


@dataclass(frozen=True, slots=True)
class FactColumn:
    """One fact of the catalogue and the column it comes from; `blank` is None where a blank is missing."""

    fact: Fact
    column: str
    map: dict[str, str]
    blank: str | None
    style: NumberStyle

    @property
    def wrong_type(self) -> str:
        """The reason under which rows with a value of the wrong type are counted."""
        return f'fact "{self.fact.name}" has a value of the wrong type'

    def text(self, raw: str) -> str:
        """Return the value that a text of the column stands for, empty where the fact is missing."""
        text = self.map.get(raw)
        if text is None:
            text = self.map.get(normal_text(raw), raw) if self.map else raw
        return (self.blank or "") if is_blank(text) else text

    def message(self, texts: Sequence[str]) -> Callable[[int], str]:
        """Return the function that says why the value of a row is not one of the fact."""
        wanted = {"numeric": "a finite number", "boolean": "true or false"}.get(
            self.fact.kind, f"a text of at most {MAX_TEXT:,} characters"
        )
        return lambda row: (
            f'"{texts[row]}" in "{self.column}" is not {wanted}, which the fact "{self.fact.name}" needs'
            f"{self._cure(texts[row])}"
        )

    def _cure(self, text: str) -> str:
        """Return what to put into the mapping so that a text can be read, as the end of a sentence."""
        if self.fact.kind == "numeric":
            return number_cure(text, self.style)
        if self.fact.kind == "boolean":
            words = f'{{ column = "{self.column}", map = {{ "..." = true, "..." = false }} }}'
            return f"; to read other words put {self.fact.name} = {words} under [context] in the mapping"
        return ""


class FactReader:
    """Reads the declared facts of each row; facts that are not mapped are missing."""

    def __init__(self, catalogue: Catalogue, mapping: LogMapping) -> None:
        """Check [context] against the catalogue; CatalogueError for a fact that is not declared."""
        self._catalogue = catalogue
        self._facts: list[FactColumn] = []
        sources = mapping.file.context
        declared_facts = catalogue.declared_facts
        unknown = [name for name in sources if name not in declared_facts]
        if unknown:
            declared = ", ".join(declared_facts) or "no facts"
            raise CatalogueError(
                f'{mapping.where}: [context] maps "{unknown[0]}", which the catalogue does not declare; '
                f"declared are {declared}"
            )
        for name, fact in declared_facts.items():
            if name not in sources:
                continue
            source = sources[name]
            full = source if isinstance(source, FactSource) else FactSource(source)
            texts = {raw: _text(value) for raw, value in full.map.items()}
            blank = None if full.blank is None else _text(full.blank)
            self._facts.append(FactColumn(fact, full.column, texts, blank, mapping.numbers))
        self.columns = [fact.column for fact in self._facts]
        self._counts = {
            each.fact.name: UndeclaredCounts(each.fact, each.column)
            for each in self._facts
            if each.fact.kind == "categorical" and each.fact.stored != "no"
        }
        self._read = [name for name in declared_facts if name in sources or name in catalogue.facts]

    @property
    def private_columns(self) -> frozenset[str]:
        """The columns of facts whose values are not stored as they are, unless another fact is stored from it."""
        stored = {each.column for each in self._facts if each.fact.stored == "yes"}
        return frozenset(each.column for each in self._facts) - stored

    @property
    def undeclared(self) -> tuple[UndeclaredValues, ...]:
        """The undeclared values of the rows read so far, fact by fact."""
        return tuple(found for each in self._counts.values() if (found := each.result()) is not None)

    def refuse_undeclared(self, name: str) -> None:
        """Raise LogFileError where a column is mostly of values that are not declared; `name` is the file's."""
        for found in self.undeclared:
            if found.mostly:
                raise LogFileError(
                    f'{name}: the column "{found.column}" has values of the fact "{found.fact}" that the catalogue '
                    f"does not declare in {found.n:,} of {found.n_known:,} rows: {found.seen}; declared are "
                    f"{', '.join(found.declared)}; {found.cure}"
                )

    def read(self, chunk: SourceChunk, rejections: ChunkRejections) -> Contexts:
        """Return n contexts; rows with a fact of the wrong type are rejected, and the fact is missing there."""
        columns: dict[str, Any] = {}
        for fact in self._facts:
            texts = chunk.columns[fact.column]
            name = fact.fact.name
            if fact.fact.kind == "categorical":
                columns[name] = _categorical(fact, texts, rejections)
                if name in self._counts:
                    self._count_missing(name, columns[name])
                continue
            values = _numbers(fact, texts)
            if (invalid := values == INVALID).any():
                rejections.reject(invalid, fact.wrong_type, fact.message(texts))
                values = np.where(invalid, np.nan, values)
            if fact.fact.outside == "refuse":
                values = _within_bounds(fact, values, rejections)
            columns[name] = values
        # A rule on a fact that is not stored cannot be applied to a log without it.
        contexts = only_facts(self._catalogue.contexts(columns or [{}] * len(chunk)), self._read)
        for counts in self._counts.values():
            counts.add(contexts)
        return contexts

    def _count_missing(self, name: str, column: CodedColumn) -> None:
        """Count the words for a missing value among the texts of a column."""
        texts = [text if isinstance(text, str) else "" for text in column.distinct]
        times = np.bincount(column.codes, minlength=len(texts)).tolist()
        self._counts[name].add_missing(texts, times)


def _categorical(fact: FactColumn, texts: Sequence[str], rejections: ChunkRejections) -> CodedColumn:
    """Return the texts, None where missing; rows with one that is too long are rejected, and it is missing there."""
    if isinstance(texts, TimeTexts):
        rejections.reject(texts.microseconds != INVALID_TIME, fact.wrong_type, fact.message(texts))
        texts = [""] * len(texts)
    rows = coded(texts)
    values = object_array(list(map(fact.text, rows.distinct)))
    too_long = np.fromiter(map(len, values), dtype=np.int64, count=len(values)) > MAX_TEXT
    if (invalid := too_long[rows.codes]).any():
        rejections.reject(invalid, fact.wrong_type, fact.message(texts))
    values[too_long] = None
    return CodedColumn(values.tolist(), rows.codes)


def _numbers(fact: FactColumn, texts: Sequence[str]) -> FloatArray:
    """Return the numbers, NaN where missing and INVALID for other texts; each distinct text is converted once."""
    convert = fact.style.number if fact.fact.kind == "numeric" else truth
    if not fact.map and fact.blank is None and isinstance(texts, NumberTexts):
        return floats(texts, convert)

    def value(raw: str) -> float:
        text = fact.text(raw)
        converted = convert(text)
        return INVALID if text and np.isnan(converted) and text.strip() not in fact.style.missing else converted

    rows = coded(texts)
    return np.array(list(map(value, rows.distinct)), dtype=np.float64)[rows.codes]


def _within_bounds(fact: FactColumn, values: FloatArray, rejections: ChunkRejections) -> FloatArray:
    """Return the numbers, missing where they are beyond the fact's declared bounds; those rows are rejected."""
    low, high = fact.fact.min, fact.fact.max
    beyond = (values < low) | (values > high)
    rejections.reject(
        beyond,
        f'fact "{fact.fact.name}" is beyond its bounds',
        lambda row: (
            f'{values[row]:g} in "{fact.column}" is beyond the bounds that the catalogue declares for the fact '
            f'"{fact.fact.name}" ({low:g} to {high:g})'
        ),
    )
    return np.where(beyond, np.nan, values)


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)

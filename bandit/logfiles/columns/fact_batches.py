"""The facts of a chunk of rows as a checked batch, column by column, without the JSON that a database keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.catalogue.fact_values import CodedColumn
from bandit.catalogue.facts import MAX_TEXT
from bandit.domain import Contexts, FloatArray, ObjectArray
from bandit.logfiles.columns.coded_text import NumberTexts, coded
from bandit.logfiles.columns.contexts import ContextReader, FactColumn, wrong_type
from bandit.logfiles.columns.values import BAD, floats, number, truth
from bandit.store.records import object_array

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import RowRejections
    from bandit.logfiles.sources.source import Chunk


class FactBatches:
    """Reads the declared facts of each chunk, with the checks and words of the import."""

    def __init__(self, catalogue: Catalogue, mapping: LogMapping) -> None:
        """Check [context] against the catalogue; CatalogueError for a fact that is not declared."""
        self._catalogue = catalogue
        self._reader = ContextReader(catalogue, mapping)
        self.columns = self._reader.columns
        self._last: tuple[Chunk, Contexts] | None = None

    def read(self, chunk: Chunk, customers: ObjectArray | None, refused: RowRejections) -> Contexts:
        """Return n contexts; rows with a fact of the wrong type are refused, and the fact is missing there."""
        columns: dict[str, Any] = {}
        for fact in self._reader.facts:
            texts = chunk.columns[fact.column]
            name = fact.fact.name
            if fact.fact.kind == "categorical":
                columns[name] = _texts(fact, texts, refused)
                continue
            values = _numbers(fact, texts)
            if (bad := values == BAD).any():
                refused.refuse(bad, fact.wrong, wrong_type(fact, texts))
                values = np.where(bad, np.nan, values)
            columns[name] = values
        if columns or customers is not None:
            contexts = self._catalogue.contexts(columns, customers)
        else:
            contexts = self._catalogue.contexts([{}] * len(chunk))
        self._last = chunk, contexts
        return contexts

    def contexts(self, chunk: Chunk, rows: Sequence[int]) -> Contexts:
        """Return some rows of the chunk read last, as the catalogue's rules look at them."""
        if self._last is None or self._last[0] is not chunk:
            raise ValueError("the facts of a chunk are read before its eligible offers")
        return self._last[1].take(np.array(rows, dtype=np.int64))


def _texts(fact: FactColumn, texts: Sequence[str], refused: RowRejections) -> CodedColumn:
    """Return the texts, None where missing; rows with one that is too long are refused, and it is missing there."""
    rows = coded(texts)
    values = object_array(list(map(fact.text, rows.distinct)))
    long = np.fromiter(map(len, values), dtype=np.int64, count=len(values)) > MAX_TEXT
    if (bad := long[rows.codes]).any():
        refused.refuse(bad, fact.wrong, wrong_type(fact, texts))
    values[long] = None
    return CodedColumn(values.tolist(), rows.codes)


def _numbers(fact: FactColumn, texts: Sequence[str]) -> FloatArray:
    """Return the numbers, NaN where missing, BAD where they are none; each distinct text is converted once."""
    convert = number if fact.fact.kind == "numeric" else truth
    if not fact.map and fact.blank is None and isinstance(texts, NumberTexts):
        return floats(texts, convert)

    def plain(text: str) -> float:
        meant = fact.text(text)
        value = convert(meant)
        return BAD if meant and np.isnan(value) else value

    rows = coded(texts)
    return np.array(list(map(plain, rows.distinct)), dtype=np.float64)[rows.codes]

"""From columns to contexts: the JSON text that the log keeps, and the batch that the rules look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import is_, methodcaller
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.catalogue.fact_values import CodedColumn, FactValues
from bandit.catalogue.facts import MAX_TEXT
from bandit.errors import CatalogueError
from bandit.logfiles.columns.coded_text import coded
from bandit.logfiles.columns.values import BAD, by_value, is_blank, number, truth
from bandit.logfiles.mapping.schema import FactSource, Scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    from bandit.catalogue import Catalogue
    from bandit.catalogue.facts import Fact
    from bandit.domain import Contexts
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import RowRejections
    from bandit.logfiles.sources.source import Chunk

_NOTHING: dict[str | None, str] = {None: ""}


@dataclass(frozen=True, slots=True)
class FactColumn:
    """One fact of the catalogue and the column it comes from; `blank` is None where a blank is missing."""

    fact: Fact
    column: str
    map: dict[str, str]
    blank: str | None

    @property
    def wrong(self) -> str:
        """The kind of fault that a value of the wrong type is."""
        return f'fact "{self.fact.name}" has a value of the wrong type'

    def text(self, raw: str) -> str:
        """Return the value a raw text stands for, empty where the fact is missing."""
        text = self.map.get(raw, raw)
        return (self.blank or "") if is_blank(text) else text

    def fragment(self, raw: str) -> str | None:
        """Return the fact as a piece of JSON with a comma after it, empty where missing, None where it cannot be."""
        text = self.text(raw)
        if not text:
            return ""
        if len(text) > MAX_TEXT:
            return None
        name = _json(self.fact.name)
        if self.fact.kind == "categorical":
            return f"{name}:{_json(text)},"
        value = number(text) if self.fact.kind == "numeric" else truth(text)
        if value == BAD or math.isnan(value):
            return None
        if self.fact.kind == "boolean":
            return f"{name}:{'true' if value else 'false'},"
        return f"{name}:{_json(value)},"

    def value(self, raw: str) -> str | float | bool | None:
        """Return the fact itself, None where it is missing; the text must be one that `fragment` takes."""
        text = self.text(raw)
        if not text or self.fact.kind == "categorical":
            return text or None
        return number(text) if self.fact.kind == "numeric" else truth(text) == 1.0


class ContextReader:
    """Reads the declared facts of each row; facts that are not mapped are missing."""

    def __init__(self, catalogue: Catalogue, mapping: LogMapping) -> None:
        """Check [context] against the catalogue; CatalogueError for a fact that is not declared."""
        self.catalogue = catalogue
        self.facts: list[FactColumn] = []
        sources = mapping.file.context
        unknown = [name for name in sources if name not in catalogue.facts]
        if unknown:
            declared = ", ".join(catalogue.facts) or "no facts"
            raise CatalogueError(
                f'{mapping.where}: [context] maps "{unknown[0]}", which the catalogue does not declare; '
                f"declared are {declared}"
            )
        for name, fact in catalogue.facts.items():  # in the order in which the engine writes them
            if name not in sources:
                continue
            source = sources[name]
            full = source if isinstance(source, FactSource) else FactSource(source)
            texts = {raw: _text(value) for raw, value in full.map.items()}
            blank = None if full.blank is None else _text(full.blank)
            self.facts.append(FactColumn(fact, full.column, texts, blank))
        self.columns = [fact.column for fact in self.facts]

    def read(self, chunk: Chunk, refused: RowRejections) -> list[str]:
        """Return the facts of each row as a JSON object; rows with a fact of the wrong type are refused."""
        if not self.facts:
            return ["{}"] * len(chunk)
        pieces: list[Sequence[str | None]] = []
        for fact in self.facts:
            texts = chunk.columns[fact.column]
            fragments = by_value(texts, fact.fragment)
            if None in fragments:
                bad = np.fromiter(map(is_, fragments, repeat(None)), dtype=np.bool_, count=len(fragments))
                refused.refuse(bad, fact.wrong, wrong_type(fact, texts))
                fragments = list(map(_NOTHING.get, fragments, fragments))
            pieces.append(fragments)
        joined = map("".join, zip(*pieces, strict=True))
        return list(map("{%s}".__mod__, map(methodcaller("rstrip", ","), joined)))

    def contexts(self, chunk: Chunk, rows: Sequence[int]) -> Contexts:
        """Return some rows as the batch that the catalogue's rules look at; the rows must not be refused."""
        columns: dict[str, FactValues] = {}
        for fact in self.facts:
            texts = coded(chunk.columns[fact.column], rows)
            columns[fact.fact.name] = CodedColumn(list(map(fact.value, texts.distinct)), texts.codes)
        if not columns:
            return self.catalogue.contexts([{}] * len(rows))
        return self.catalogue.contexts(columns)


def wrong_type(fact: FactColumn, texts: Sequence[str]) -> Callable[[int], str]:
    """Return what says, for a row, why its value is not one of the fact."""
    wanted = {"numeric": "a finite number", "boolean": "true or false"}.get(
        fact.fact.kind, f"a text of at most {MAX_TEXT:,} characters"
    )
    return lambda row: f'"{texts[row]}" in "{fact.column}" is not {wanted}, which the fact "{fact.fact.name}" needs'


def _json(value: str | float) -> str:
    return msgspec.json.encode(value).decode()


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)

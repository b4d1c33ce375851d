"""Serialisation of contexts: one JSON object for each row, as the log stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec
import numpy as np

from bandit.catalogue.facts import Fact
from bandit.domain import Contexts
from bandit.errors import ContextError

_ENCODER = msgspec.json.Encoder(enc_hook=str)  # texts may be subclasses of str, such as numpy.str_


def contexts_json(facts: Mapping[str, Fact], contexts: Contexts) -> list[str]:
    """Return n JSON objects with the facts that are known; `Catalogue.contexts` reads them back unchanged."""
    row = _row_type(tuple(facts))
    try:
        if contexts.n == 1:
            return [_ENCODER.encode(row(*_values_of_one(facts, contexts))).decode()]
        columns = [_values(fact, contexts) for fact in facts.values()]
        rows = list(map(row, *columns)) if columns else [row()] * contexts.n
        return _ENCODER.encode_lines(rows).decode().split("\n")[:-1]  # JSON contains no line ends
    except UnicodeEncodeError as fault:
        raise ContextError(
            f"the text {fault.object!r} of a fact is not valid Unicode; send whole characters"
        ) from fault


@cache
def _row_type(names: tuple[str, ...]) -> type[msgspec.Struct]:
    """Return a record type of these facts whose JSON omits None."""
    fields = [(f"fact_{place}", object, None) for place in range(len(names))]
    rename = {f"fact_{place}": name for place, name in enumerate(names)}
    return msgspec.defstruct("Row", fields, rename=rename, omit_defaults=True, gc=False)


def _values_of_one(facts: Mapping[str, Fact], contexts: Contexts) -> list[object]:
    """Return the facts of a batch of one, None where missing."""
    columns, text = contexts.columns, contexts.text
    values: list[object] = []
    for name, fact in facts.items():
        if fact.kind == "categorical":
            values.append(text[name].item())
            continue
        value = columns[name].item()
        if value != value:  # noqa: PLR0124 - NaN
            values.append(None)
        else:
            values.append(bool(value) if fact.kind == "boolean" else value)
    return values


def _values(fact: Fact, contexts: Contexts) -> Sequence[object]:
    """Return the n values of a fact, None where missing."""
    if fact.kind == "categorical":
        return contexts.text[fact.name].tolist()  # type: ignore[no-any-return]
    column = contexts.columns[fact.name]
    values = (column == 1.0 if fact.kind == "boolean" else column).astype(object)
    values[np.isnan(column)] = None
    return values.tolist()  # type: ignore[no-any-return]

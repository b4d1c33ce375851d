"""A checked batch of contexts as JSON texts, one a row: what the log keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from bandit.domain import Contexts, FloatArray
from bandit.errors import ContextError
from bandit.facts import Fact

FEW = 32
"""Up to so many rows are encoded one by one: looking for equal values first would take longer."""


def contexts_json(facts: Mapping[str, Fact], contexts: Contexts) -> list[str]:
    """Return n JSON objects of the facts that are known; `Catalogue.contexts` reads them back as they were."""
    if not facts:
        return ["{}"] * contexts.n
    fragments = [_fragments(fact, contexts) for fact in facts.values()]
    return ["{" + ",".join(filter(None, row)) + "}" for row in zip(*fragments, strict=True)]


def _fragments(fact: Fact, contexts: Contexts) -> Iterable[str]:
    """Return `"name":value` for each row, and nothing where the fact is missing: one encoding a distinct value."""
    prefix = _encode(fact.name) + ":"
    if fact.kind == "categorical":
        texts = contexts.text[fact.name].tolist()
        known = {text: "" if text is None else prefix + _encode(str(text)) for text in set(texts)}
        return map(known.__getitem__, texts)
    cast = bool if fact.kind == "boolean" else float
    values: FloatArray = np.asarray(contexts.columns[fact.name], dtype=np.float64)
    places = None
    if contexts.n > FEW:
        values, places = np.unique(values, return_inverse=True)
    parts = [prefix + _encode(cast(value)) if value == value else "" for value in values.tolist()]  # noqa: PLR0124 - NaN
    return parts if places is None else map(parts.__getitem__, places.tolist())


def _encode(value: str | float) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError as fault:
        raise ContextError(f"the text {value!r} of a fact is not valid Unicode; send whole characters") from fault

"""What each column of an encoder stands for, by the names of the catalogue: equal keys mean equal columns.

The names of columns are texts for people; two different columns may have one text where a name contains "=". Keys are
tuples, and can be translated from one catalogue version to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from bandit.catalogue import Catalogue
from bandit.catalogue.aliases import NameMap
from bandit.encoding.encoder import Encoder
from bandit.encoding.offer_columns import ordered_attributes

Key: TypeAlias = tuple[str, ...]

BASE: Key = ("base",)
INTERCEPT: Key = ("intercept",)


def option_keys(catalogue: Catalogue) -> tuple[Key, ...]:
    """Return the keys of the base and the K option columns: ("option", dimension, option) or ("attribute", ...)."""
    options = [
        ("option", dimension.name, option.name) for dimension in catalogue.dimensions for option in dimension.options
    ]
    attributes = [
        ("attribute", dimension.name, key)
        for dimension in catalogue.dimensions
        for key in ordered_attributes(dimension)
    ]
    return (BASE, *options, *attributes)


def owner_keys(catalogue: Catalogue) -> tuple[Key, ...]:
    """Return the keys of the owners of option columns, the base's first: a dimension, or an attribute of one."""
    dimensions = [("dimension", dimension.name) for dimension in catalogue.dimensions]
    return (BASE, *dimensions, *(key for key in option_keys(catalogue) if key[0] == "attribute"))


def context_keys(encoder: Encoder) -> tuple[Key, ...]:
    """Return the keys of the d context columns, in their order."""
    keys = [INTERCEPT]
    for name, fact in encoder.catalogue.facts.items():
        if fact.kind == "categorical":
            keys += [("value", name, value) for value in fact.values] + [("other", name)]
        else:
            keys.append(("number", name))
        keys.append(("missing", name))
    for name, effects in encoder.binned_effects.items():
        keys += [("binned", name, str(number)) for number in range(effects.n_columns)]
    return tuple(keys)


def largest_attributes(catalogue: Catalogue) -> Mapping[Key, float]:
    """Return the largest absolute value of each attribute column, by which the column is divided."""
    return {
        ("attribute", dimension.name, key): float(max(map(abs, values.tolist())))
        for dimension in catalogue.dimensions
        for key, values in ordered_attributes(dimension).items()
    }


def translated(key: Key, names: NameMap) -> Key | None:
    """Return the key of the same column in a later catalogue, None where its names are gone."""
    kind, *rest = key
    present: str | None
    if kind in {"option", "attribute", "dimension"}:
        dimension = names.dimension(rest[0])
        if dimension is None:
            return None
        if kind == "dimension":
            return (kind, dimension)
        present = names.option(*rest) if kind == "option" else rest[1]
        return None if present is None else (kind, dimension, present)
    if kind in {"value", "other", "number", "missing", "binned"}:
        fact = names.fact(rest[0])
        if fact is None:
            return None
        if kind == "value":
            present = names.value(rest[0], rest[1])
            return None if present is None else (kind, fact, present)
        return (kind, fact, *rest[1:])
    return key

"""Parsing of contexts: a caller's columns or rows become one checked batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

import numpy as np

from bandit.catalogue.fact_values import FactValues, columns_given, columns_of, is_frame, row_of
from bandit.catalogue.facts import MISSING, Fact
from bandit.catalogue.plain_values import shown
from bandit.domain import Contexts, FloatArray, IntArray, ObjectArray
from bandit.errors import ContextError

Given = TypeVar("Given")


def parse_contexts(
    facts: Mapping[str, Fact],
    undeclared: Literal["refuse", "drop"],
    given: Mapping[str, FactValues] | Sequence[Mapping[str, object]],
    customers: Sequence[str] | ObjectArray | None,
    *,
    exact: bool = False,
    stored: bool = False,
) -> Contexts:
    """Return a checked batch from columns, or from one mapping for each row; a fact that is left out is missing.

    `undeclared` says whether a fact that the catalogue does not declare is refused or dropped; `exact` is that of
    `Fact.parse`, and with `stored` that of hashed facts, whose values are hashes then. ContextError for what is no
    batch, values that do not fit their fact, columns of different lengths, and undeclared facts where they are refused.
    An earlier name of a fact (`aliases`) counts as its name.
    """
    alone = given[0] if type(given) is list and len(given) == 1 else None
    if type(alone) is dict and not (exact or stored) and alone.keys() <= facts.keys():
        return _parse_one(facts, alone, customers)  # the path of one decision
    present = {alias: name for name, fact in facts.items() for alias in fact.aliases}
    if isinstance(given, Mapping) or is_frame(given):
        columns = by_present_names(columns_given(given), present)
        sizes = {len(column) for column in columns.values()}
        if len(sizes) > 1:
            raise ContextError(f"the columns of a batch must be of one length; seen {sorted(sizes)}")
        n = sizes.pop() if sizes else len(customers) if customers is not None else 1
        names: set[str] = set(columns)
    else:
        rows = _rows(given)
        if present:
            rows = [by_present_names(row, present) for row in rows]
        n = len(rows)
        names = set().union(*rows) if n else set()
        columns = columns_of(rows, [name for name in facts if name in names])
    unknown = names - facts.keys()
    if unknown and undeclared == "refuse":
        raise ContextError(
            f"the context has {_quoted(unknown)}, which the catalogue does not declare; "
            f"declared are {_quoted(facts) if facts else 'no facts'}; "
            'leave it out, declare it under [context], or set undeclared = "drop" there'
        )
    keys = _keys(n, customers)
    numbers: dict[str, IntArray | FloatArray] = {}
    text: dict[str, ObjectArray] = {}
    for name, fact in facts.items():
        as_it_is = exact or (stored and fact.hashed)
        column, texts = fact.parse(columns[name], exact=as_it_is) if name in columns else fact.missing(n)
        numbers[name] = column
        if texts is not None:
            text[name] = texts
    return Contexts(n, numbers, text, keys)


def by_present_names(given: Mapping[str, Given], present: Mapping[str, str]) -> dict[str, Given]:
    """Return a mapping by fact in which the present name stands in place of each earlier one."""
    return {present.get(name, name): value for name, value in given.items() if present.get(name) not in given}


def _rows(given: object) -> Sequence[Mapping[str, object]]:
    """Return the contexts of a batch given one by one; ContextError for what is no batch or no context."""
    if isinstance(given, (str, bytes)) or not (hasattr(given, "__len__") and hasattr(given, "__iter__")):
        raise ContextError(
            "a batch of contexts is a list of mappings, or a mapping of facts to columns, such as "
            f'{{"age": [41, 32]}}; seen {shown(given)}'
        )
    rows = list(given)
    if set(map(type, rows)) <= {dict}:
        return rows
    return [row_of(row, place if len(rows) > 1 else None) for place, row in enumerate(rows)]


def _parse_one(
    facts: Mapping[str, Fact], given: Mapping[str, object], customers: Sequence[str] | ObjectArray | None
) -> Contexts:
    """Do what `parse_contexts` does for a single context with declared facts only: the path of one decision."""
    codes: list[int] = []
    texts: list[str | None] = []
    values: list[float] = []
    for name, fact in facts.items():
        value, kind = given.get(name), fact.kind
        if kind == "numeric" and type(value) is float and math.isfinite(value) and fact.outside != "refuse":
            values.append(fact.bucket(value) if fact.edges else value)
        elif kind != "categorical":
            values.append(fact.number(value))
        else:
            code, text = fact.code(value)
            codes.append(code)
            texts.append(text)
    return _contexts_of_one(facts, codes, texts, values, _keys(1, customers))


def parse_stored_one(facts: Mapping[str, Fact], given: Sequence[object], customers: ObjectArray) -> Contexts | None:
    """Do what `parse_contexts` does, `exact`, for the values of one stored context, one a fact and None where missing.

    None where a value is not as the log writes it, which `parse_contexts` knows what to do with.
    """
    codes: list[int] = []
    texts: list[str | None] = []
    values: list[float] = []
    for value, fact in zip(given, facts.values(), strict=True):
        kind = type(value)
        if fact.kind == "categorical":
            code = fact.stored_code(value) if value is None or isinstance(value, str) else None
            if code is None:
                return None
            codes.append(code)
            texts.append(None if code == MISSING else value)  # type: ignore[arg-type]  # it is a text
        elif value is None:
            values.append(math.nan)
        elif kind is float and fact.kind == "numeric" and math.isfinite(value):  # type: ignore[arg-type]
            values.append(fact.bucket(value) if fact.edges else value)  # type: ignore[arg-type]  # it is a float
        elif kind is bool and fact.kind == "boolean":
            values.append(float(value))  # type: ignore[arg-type]  # it is a bool
        else:
            return None
    return _contexts_of_one(facts, codes, texts, values, _keys(1, customers))


def _contexts_of_one(
    facts: Mapping[str, Fact],
    codes: Sequence[int],
    texts: Sequence[str | None],
    values: Sequence[float],
    customers: ObjectArray,
) -> Contexts:
    """Return a batch of one: all categorical columns are views of one array, as are all other columns."""
    columns: dict[str, IntArray | FloatArray] = {}
    text_of: dict[str, ObjectArray] = {}
    if not codes:
        columns.update(zip(facts, np.array(values)[:, None], strict=True))
        return Contexts(1, columns, text_of, customers)
    code_columns, value_columns = iter(np.array(codes, dtype=np.int64)[:, None]), iter(np.array(values)[:, None])
    text_columns = iter(np.array(texts, dtype=object)[:, None])
    for name, fact in facts.items():
        if fact.kind == "categorical":
            columns[name], text_of[name] = next(code_columns), next(text_columns)
        else:
            columns[name] = next(value_columns)
    return Contexts(1, columns, text_of, customers)


def _keys(n: int, customers: Sequence[str] | ObjectArray | None) -> ObjectArray:
    if customers is None:
        return np.empty(0, dtype=object)
    if len(customers) != n:
        raise ContextError(f"there are {len(customers)} customers for {n} contexts; send one a context")
    keys = np.empty(n, dtype=object)
    if n == 1:
        keys[0] = customers.item(0) if isinstance(customers, np.ndarray) else customers[0]
        return keys
    keys[:] = customers.tolist() if isinstance(customers, np.ndarray) else list(customers)
    return keys


def _quoted(names: Mapping[str, object] | set[str]) -> str:
    return ", ".join(f'"{name}"' for name in sorted(map(str, names)))

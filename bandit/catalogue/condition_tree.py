"""The tree of a condition: its kinds of nodes, and what a constant part works out to.

Constants keep their kind: `1 == true` is false, and `"1" < 2` is refused. Only `in` compares across kinds, as Python
does: `1 in [true]` is true.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


class NotAllowedError(Exception):
    """What is wrong with a condition, in words."""


Value: TypeAlias = "Decimal | str | bool | tuple[Value, ...] | None"


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that depends on no fact; a tuple is a list of such values."""

    value: Value


@dataclass(frozen=True, slots=True)
class Name:
    """A fact by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A list `[a, b]` with at least one part that depends on a fact."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """`not` or `-` before a part."""

    sign: str
    right: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """Two parts joined by `and or == != < <= > >= in + - *`."""

    sign: str
    left: Node
    right: Node


Node: TypeAlias = Constant | Name | Listing | Unary | Binary


def describe(node: Node) -> str:
    """Return what a part is, for a message."""
    match node:
        case Name(name=name):
            return f'"{name}"'
        case Constant(value=None):
            return "null"
        case Constant(value=bool() as value):
            return str(value).lower()
        case Constant(value=Decimal()):
            return "a number"
        case Constant(value=str()):
            return "a text"
        case Unary(sign=sign) | Binary(sign=sign):
            return f'a part with "{sign}"'
    return "a list"


def names_in(node: Node) -> frozenset[str]:
    """Return the facts that a condition reads."""
    match node:
        case Name(name=name):
            return frozenset({name})
        case Unary(right=right):
            return names_in(right)
        case Binary(left=left, right=right):
            return names_in(left) | names_in(right)
        case Listing(items=items):
            return frozenset[str]().union(*map(names_in, items))
    return frozenset()


def listing(items: list[Node]) -> Node:
    """Return a list of parts, as one constant where all of them are."""
    values = tuple(item.value for item in items if isinstance(item, Constant))
    return Constant(values) if len(values) == len(items) else Listing(tuple(items))


def unary(sign: str, right: Node) -> Node:
    """Return a part with `not` or `-` before it, worked out where it is constant."""
    if not isinstance(right, Constant):
        return Unary(sign, right)
    if sign == "not":
        return Constant(not right.value)
    if not isinstance(right.value, Decimal):
        raise NotAllowedError(f"{describe(right)} is not a number, the type that is needed there")
    return Constant(-right.value)


def binary(sign: str, left: Node, right: Node) -> Node:
    """Return the two parts joined, worked out where both are constant."""
    if not (isinstance(left, Constant) and isinstance(right, Constant)):
        return Binary(sign, left, right)
    one, other = left.value, right.value
    match sign:
        case "and":
            return Constant(bool(one and other))
        case "or":
            return Constant(bool(one or other))
        case "==" | "!=":
            return Constant((type(one) is type(other) and one == other) == (sign == "=="))
        case "in" if isinstance(other, tuple):
            return Constant(one in other)
        case "in" if isinstance(one, str) and isinstance(other, str):
            return Constant(one in other)
        case "+" if isinstance(one, str) and isinstance(other, str):
            return Constant(one + other)
        case "+" | "-" | "*" if isinstance(one, Decimal) and isinstance(other, Decimal):
            return Constant(ARITHMETIC[sign](one, other))
        case "<" | "<=" | ">" | ">=" if one is None and other is None:
            return Constant(sign in {"<=", ">="})
        case "<" | "<=" | ">" | ">=" if type(one) is type(other) and not isinstance(one, tuple):
            return Constant(bool(ORDER[sign](one, other)))
    raise NotAllowedError(f'"{sign}" does not join {describe(left)} and {describe(right)}')

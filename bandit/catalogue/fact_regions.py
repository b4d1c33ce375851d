"""Regions of contexts: which values of each fact a customer may have, and whether a condition may hold in one.

A region is a box: a range of numbers or a set of values for each fact, each fact on its own. Whether a condition can
hold for somebody in a box is worked out from its syntax tree with intervals (Moore 1966, "Interval analysis"), part by
part: the answer "it may" can be wrong, as where one fact stands in two parts that contradict each other, and the
answer "it cannot" is always right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import numpy as np

from bandit.catalogue.condition_syntax import read_condition
from bandit.catalogue.condition_tree import ARITHMETIC, ORDER, Binary, Constant, Listing, Name, Node, Unary
from bandit.catalogue.facts import MISSING, Fact
from bandit.domain import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class FactRange:
    """The values of one fact in a region.

    Of a numeric fact the numbers from `low` up to, and without, `high`; of another fact its `codes`: 0 and 1 of a
    boolean, the places of the declared values of a categorical one, and their number for an undeclared value.
    `missing` says whether the fact may be missing.
    """

    low: float = -math.inf
    high: float = math.inf
    codes: frozenset[int] | None = None
    missing: bool = True

    @staticmethod
    def whole(fact: Fact) -> FactRange:
        """Return all values that a fact can have."""
        if fact.kind == "numeric":
            return FactRange()
        return FactRange(codes=frozenset(range(2 if fact.kind == "boolean" else len(fact.values) + 1)))

    def contains(self, column: IntArray | FloatArray) -> BoolArray:
        """Return which of a context column's values are in it, (n,)."""
        if column.dtype.kind == "f":
            absent = np.isnan(column)
            if self.codes is None:
                known = (column >= self.low) & (column < self.high)
            else:
                known = np.isin(column, list(self.codes))
        else:
            absent = column == MISSING
            known = np.isin(column, list(self.codes or ()))
        return np.asarray(np.where(absent, self.missing, known))

    @property
    def is_empty(self) -> bool:
        """Whether no value is in it, apart from a missing one."""
        return not self.codes if self.codes is not None else not self.low < self.high


Region: TypeAlias = Mapping[str, FactRange]
"""The range of each declared fact."""


@dataclass(frozen=True, slots=True)
class _Interval:
    """The numbers that a part can be: from `low` to `high`, which is not reached where `is_open`; `nan` if missing."""

    low: float
    high: float
    is_open: bool = False
    nan: bool = False


@dataclass(frozen=True, slots=True)
class Possible:
    """What a condition can come out as in a region: `true`, `false` or both."""

    true: bool
    false: bool

    @property
    def negated(self) -> Possible:
        """What its negation can come out as."""
        return Possible(self.false, self.true)


class RegionCondition:
    """A condition's syntax tree, to be asked whether it can hold in a region."""

    def __init__(self, text: str, facts: Mapping[str, Fact]) -> None:
        """Read a condition that was compiled before with the same facts."""
        self._facts = facts
        self._tree = read_condition(text)
        self.names = frozenset(node.name for node in _nodes(self._tree) if isinstance(node, Name))

    def possible(self, region: Region) -> Possible:
        """Return whether it can hold for somebody in a region, and whether it can fail to."""
        return self._truth(self._tree, region)

    def numbers(self, name: str) -> list[float]:
        """Return the numbers that the condition compares one fact with."""
        found = []
        for node in _nodes(self._tree):
            if isinstance(node, Binary) and (node.sign in ORDER or node.sign in {"==", "!="}):
                for one, other in ((node.left, node.right), (node.right, node.left)):
                    if one == Name(name) and isinstance(other, Constant) and isinstance(other.value, Decimal):
                        found.append(float(other.value))
        return found

    def _truth(self, node: Node, region: Region) -> Possible:
        match node:
            case Constant(value=value):
                return Possible(bool(value), not value)
            case Name(name=name):
                codes = region[name].codes or frozenset()
                return Possible(1 in codes, 0 in codes or region[name].missing)
            case Unary(sign="not"):
                return self._truth(node.right, region).negated
            case Binary(sign="and"):
                left, right = self._truth(node.left, region), self._truth(node.right, region)
                return Possible(left.true and right.true, left.false or right.false)
            case Binary(sign="or"):
                left, right = self._truth(node.left, region), self._truth(node.right, region)
                return Possible(left.true or right.true, left.false and right.false)
            case Binary(sign="=="):
                return self._equal(node.left, node.right, region)
            case Binary(sign="!="):
                return self._equal(node.left, node.right, region).negated
            case Binary(sign="in"):
                return self._member(node, region)
            case Binary(sign=sign) if sign in ORDER:
                return _ordered(sign, self._interval(node.left, region), self._interval(node.right, region))
        return Possible(true=True, false=True)

    def _member(self, node: Binary, region: Region) -> Possible:
        match node.right:
            case Listing(items=items):
                values: tuple[Node, ...] = items
            case Constant(value=tuple() as constants):
                values = tuple(map(Constant, constants))
            case _:
                return Possible(true=True, false=True)
        each = [self._equal(node.left, value, region) for value in values]
        fact = self._facts[node.left.name] if isinstance(node.left, Name) else None
        if fact is not None and fact.kind == "categorical":  # exact: the values that are left besides those listed
            named = [value.value for value in values if isinstance(value, Constant)]
            listed = {fact.declared_code(value) for value in named if isinstance(value, str)}
            there = region[fact.name]
            absent = there.missing and None not in named
            return Possible(any(one.true for one in each), bool((there.codes or frozenset()) - listed) or absent)
        return Possible(any(one.true for one in each), all(one.false for one in each))

    def _equal(self, left: Node, right: Node, region: Region) -> Possible:
        if isinstance(left, Constant):
            left, right = right, left
        if isinstance(left, Name):
            there, fact = region[left.name], self._facts[left.name]
            if isinstance(right, Constant) and right.value is None:
                return Possible(there.missing, not there.is_empty)
            if fact.kind != "numeric":
                codes = there.codes or frozenset()
                code = _code(fact, right)
                return Possible(code in codes, there.missing or bool(codes - {code}))
        one, other = self._interval(left, region), self._interval(right, region)
        meet = max(one.low, other.low) <= min(one.high, other.high)
        same = one.low == one.high == other.low == other.high
        return Possible(meet, not same or one.nan or other.nan)

    def _interval(self, node: Node, region: Region) -> _Interval:
        match node:
            case Constant(value=Decimal() as exact):
                return _Interval(float(exact), float(exact))
            case Name(name=name):
                there = region[name]
                if there.is_empty:
                    return _Interval(math.inf, -math.inf, nan=there.missing)
                return _Interval(float(there.low), float(there.high), is_open=True, nan=there.missing)
            case Unary(sign="-"):
                inner = self._interval(node.right, region)
                return _Interval(-inner.high, -inner.low, nan=inner.nan)
            case Binary(sign=sign) if sign in ARITHMETIC:
                return _joined(sign, self._interval(node.left, region), self._interval(node.right, region))
        return _Interval(-math.inf, math.inf, nan=True)


def _code(fact: Fact, node: Node) -> int | None:
    """Return the code of the value that a fact is compared with."""
    if isinstance(node, Constant) and isinstance(node.value, bool):
        return int(node.value)
    return fact.declared_code(node.value) if isinstance(node, Constant) and isinstance(node.value, str) else None


def _ordered(sign: str, left: _Interval, right: _Interval) -> Possible:
    """Return what a comparison of two parts can come out as; with a missing part it is false."""
    if sign in {">", ">="}:
        return _ordered("<" if sign == ">" else "<=", right, left)
    absent = left.nan or right.nan
    if left.low > left.high or right.low > right.high:
        return Possible(true=False, false=absent)
    strict = sign == "<"
    least_below = left.low < right.high or (left.low == right.high and not strict and not right.is_open)
    most_above = left.high > right.low or (left.high == right.low and strict and not left.is_open)
    return Possible(least_below, most_above or absent)


def _joined(sign: str, left: _Interval, right: _Interval) -> _Interval:
    """Return the numbers that a sum, a difference or a product can be."""
    nan = left.nan or right.nan
    if left.low > left.high or right.low > right.high:
        return _Interval(math.inf, -math.inf, nan=nan)
    if sign == "+":
        low, high = left.low + right.low, left.high + right.high
    elif sign == "-":
        low, high = left.low - right.high, left.high - right.low
    else:
        ends = [one * other for one in (left.low, left.high) for other in (right.low, right.high)]
        if any(map(math.isnan, ends)):
            return _Interval(-math.inf, math.inf, nan=nan)
        low, high = min(ends), max(ends)
    if math.isnan(low) or math.isnan(high):
        return _Interval(-math.inf, math.inf, nan=nan)
    return _Interval(low, high, nan=nan)


def _nodes(node: Node) -> Iterator[Node]:
    """Yield a tree's nodes."""
    yield node
    match node:
        case Listing(items=items):
            for item in items:
                yield from _nodes(item)
        case Unary(right=right):
            yield from _nodes(right)
        case Binary(left=left, right=right):
            yield from _nodes(left)
            yield from _nodes(right)

"""Conditions over the declared context, compiled from their syntax tree to operations on whole columns.

What they have: facts, numbers, texts, true, false, null, `and or not`, `== != < <= > >=`, `in [...]`, `not in [...]`
and `+ - *`; `condition_syntax` reads them, `condition_tree` has the nodes.
A fact that is missing is equal to null and to nothing else, and every `<` or `>` with it is false.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import numpy as np

from bandit.catalogue.condition_syntax import MAX_DEPTH, read_condition
from bandit.catalogue.condition_tree import (
    ARITHMETIC,
    ORDER,
    Binary,
    Constant,
    Listing,
    Name,
    Node,
    NotAllowedError,
    Unary,
    describe,
    names_in,
)
from bandit.catalogue.facts import MISSING, Fact
from bandit.catalogue.text_form import nearest
from bandit.domain import BoolArray, Contexts, FloatArray
from bandit.errors import CatalogueError

Mask: TypeAlias = Callable[[Contexts], BoolArray]
Numbers: TypeAlias = Callable[[Contexts], FloatArray]

MAX_SHOWN = 200
"""Most characters of a condition that a message shows."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition: its text and the mask it gives for a batch of contexts.

    `unstored` are the facts it reads of which the log keeps nothing. For contexts from the log, which lack them, it
    holds where their column `inferred` says so, and for nobody without that (`bandit.catalogue.unstored`).
    """

    text: str
    mask: Mask
    unstored: frozenset[str] = frozenset()
    inferred: str = ""

    def __call__(self, contexts: Contexts) -> BoolArray:
        """Return the (n,) mask of the contexts that meet the condition."""
        if self.unstored and not self.unstored <= contexts.columns.keys():
            column = contexts.columns.get(self.inferred)
            return np.zeros(contexts.n, dtype=np.bool_) if column is None else np.asarray(column == 1.0)
        return self.mask(contexts)


def compile_condition(text: str, facts: Mapping[str, Fact], where: str, *, rule_number: int | None = None) -> Condition:
    """Return the condition checked against the declared facts; CatalogueError names `where` it stands.

    Facts of which nothing is stored can be read by the rules of the catalogue alone, with their `rule_number`.
    """
    try:
        tree = read_condition(text)
        mask = _Compiler(facts, of_rule=rule_number is not None).mask(tree)
        unstored = frozenset(name for name in names_in(tree) if facts[name].stored == "no")
        return Condition(text, mask, unstored, f"rule {rule_number}")
    except NotAllowedError as fault:
        raise CatalogueError(f"{where}: the condition {text[:MAX_SHOWN]!r} cannot be used: {fault}") from fault
    except RecursionError as fault:
        raise CatalogueError(f"{where}: the condition {text[:MAX_SHOWN]!r} is nested too deep; flatten it") from fault


class _Compiler:
    """Turns nodes into functions of a batch; one method a kind of node."""

    def __init__(self, facts: Mapping[str, Fact], *, of_rule: bool) -> None:
        self.facts = facts
        self._of_rule = of_rule
        self._depth = 0

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NotAllowedError(f"it has more than {MAX_DEPTH} parts within one another; list values with in [...]")
        yield
        self._depth -= 1

    def mask(self, node: Node) -> Mask:
        with self._deeper():
            return self._mask(node)

    def numbers(self, node: Node) -> Numbers:
        with self._deeper():
            return self._numbers(node)

    def _mask(self, node: Node) -> Mask:
        match node:
            case Constant(value=bool() as value):
                return _constant(value)
            case Name(name=name) if self._fact(node).kind == "boolean":
                return lambda contexts: contexts.columns[name] == 1.0
            case Unary(sign="not"):
                inner = self.mask(node.right)
                return lambda contexts: ~inner(contexts)
            case Binary(sign="and"):
                left, right = self.mask(node.left), self.mask(node.right)
                return lambda contexts: left(contexts) & right(contexts)
            case Binary(sign="or"):
                left, right = self.mask(node.left), self.mask(node.right)
                return lambda contexts: left(contexts) | right(contexts)
            case Binary(sign="in"):
                return self._contains(node)
            case Binary(sign="==" | "!="):
                return self._equality(node)
            case Binary(sign=sign) if sign in ORDER:
                return self._order(node)
        raise NotAllowedError(f"{describe(node)} is not true or false")

    def _numbers(self, node: Node) -> Numbers:
        match node:
            case Constant(value=Decimal() as exact):
                value = float(exact)
                if not math.isfinite(value):
                    raise NotAllowedError("it has a number that is not finite; leave that part out")
                return lambda contexts: np.full(contexts.n, value)
            case Name(name=name) if self._fact(node).kind == "numeric":
                if self._fact(node).edges:
                    raise NotAllowedError(_only_edges(self._fact(node)))
                return lambda contexts: np.asarray(contexts.columns[name], dtype=np.float64)
            case Unary(sign="-"):
                inner = self.numbers(node.right)
                return lambda contexts: -inner(contexts)
            case Binary(sign=sign) if sign in ARITHMETIC:
                act = ARITHMETIC[sign]
                left, right = self.numbers(node.left), self.numbers(node.right)
                return lambda contexts: act(left(contexts), right(contexts))
        raise NotAllowedError(f"{describe(node)} is not a number, the type that is needed there")

    def _order(self, node: Binary) -> Mask:
        act = ORDER[node.sign]
        left = self._ordered(node.left, node.right, node.sign in {">=", "<"})
        right = self._ordered(node.right, node.left, node.sign in {"<=", ">"})
        return lambda contexts: act(left(contexts), right(contexts))

    def _ordered(self, node: Node, other: Node, splits: bool) -> Numbers:
        """Return one side of a comparison; a fact that is stored by bucket is compared where two buckets meet.

        `splits` says whether the comparison puts an edge to the bucket above it, as buckets do.
        """
        if not isinstance(node, Name) or not self._fact(node).edges:
            return self.numbers(node)
        fact, name = self._fact(node), node.name
        value = other.value if isinstance(other, Constant) else None
        if not (splits and isinstance(value, Decimal) and float(value) in fact.edges[1:]):
            raise NotAllowedError(_only_edges(fact))
        return lambda contexts: np.asarray(contexts.columns[name], dtype=np.float64)

    def _equality(self, node: Binary) -> Mask:
        left, right = node.left, node.right
        if isinstance(left, Constant):
            left, right = right, left
        equal = self._equals(left, right)
        if node.sign == "==":
            return equal
        return lambda contexts: ~equal(contexts)

    def _contains(self, node: Binary) -> Mask:
        match node.right:
            case Listing(items=items):
                values: tuple[Node, ...] = items
            case Constant(value=tuple() as constants):
                values = tuple(map(Constant, constants))
            case _:
                raise NotAllowedError("`in` needs a list of values on its right, as in [1, 2]")
        if not values:
            self._fact(node.left) if isinstance(node.left, Name) else self.numbers(node.left)
            return _constant(value=False)
        members = [self._equals(node.left, value) for value in values]
        return lambda contexts: np.logical_or.reduce([member(contexts) for member in members])

    def _equals(self, left: Node, right: Node) -> Mask:
        if isinstance(right, Constant) and right.value is None:
            return self._missing(left)
        if isinstance(left, Name):
            fact = self._fact(left)
            if fact.kind == "categorical":
                return _equals_text(fact, right)
            if fact.kind == "boolean":
                if not (isinstance(right, Constant) and isinstance(right.value, bool)):
                    raise NotAllowedError(f'"{fact.name}" is boolean; compare it with true, false or null')
                name, value = fact.name, float(right.value)
                return lambda contexts: contexts.columns[name] == value
        one, other = self.numbers(left), self.numbers(right)
        return lambda contexts: one(contexts) == other(contexts)

    def _missing(self, node: Node) -> Mask:
        if not isinstance(node, Name):
            raise NotAllowedError("only a fact can be compared with null")
        fact = self._fact(node)
        name = fact.name
        if fact.kind == "categorical":
            return lambda contexts: contexts.columns[name] == MISSING
        return lambda contexts: np.isnan(contexts.columns[name])

    def _fact(self, node: Name) -> Fact:
        fact = self.facts.get(node.name)
        if fact is None:
            declared = ", ".join(sorted(self.facts)) or "nothing"
            raise NotAllowedError(f'"{node.name}" is not a declared fact; declared are {declared}')
        if fact.stored == "no" and not self._of_rule:
            raise NotAllowedError(
                f'nothing of "{node.name}" is stored, so only the [[rules]] of the catalogue can read it'
            )
        return fact


def _equals_text(fact: Fact, right: Node) -> Mask:
    if not (isinstance(right, Constant) and isinstance(right.value, str)):
        raise NotAllowedError(f'"{fact.name}" is categorical; compare it with one of its values or null')
    name, code = fact.name, fact.declared_code(right.value)
    if code is None and fact.hashed:
        why = "give the customer key" if fact.hash is None else "compare it with one of those of the catalogue's file"
        raise NotAllowedError(
            f'"{right.value}" is not a declared value of "{fact.name}", which is stored hashed; {why}'
        )
    if code is None:
        near = nearest(right.value, fact.values)
        meant = "" if near is None else f'; did you mean "{near}"?'
        raise NotAllowedError(
            f'"{right.value}" is not a declared value of "{fact.name}"; declared are {", ".join(fact.values)}{meant}'
        )
    return lambda contexts: contexts.columns[name] == code


def _only_edges(fact: Fact) -> str:
    """Return what is wrong with a condition that asks for more of a fact than is stored."""
    edges = ", ".join(f"{edge:g}" for edge in fact.edges[1:])
    return f'"{fact.name}" is stored by bucket: it is compared by >= or < with an edge after the first ({edges}) only'


def _constant(value: bool) -> Mask:
    return lambda contexts: np.full(contexts.n, value)

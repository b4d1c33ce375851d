"""Conditions over the declared context, compiled from rule-engine's syntax tree to operations on whole columns.

The language is that of the rule-engine library (its parser and its type check); what is allowed of it here: facts,
numbers, texts, true, false, null, `and or not`, `== != < <= > >=`, `in [...]`, `not in [...]` and `+ - *`.
A fact that is missing is equal to null and to nothing else, and every `<` or `>` with it is false.

A text is first looked through word by word, and one that has anything else is refused before the library sees it: as
it parses, the library works out what is constant, and a power, a shift or a regular expression may take it for ever.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import rule_engine
from rule_engine import ast

from bandit.catalogue.facts import MISSING, Fact
from bandit.domain import BoolArray, Contexts, FloatArray
from bandit.errors import CatalogueError

Mask: TypeAlias = Callable[[Contexts], BoolArray]
Numbers: TypeAlias = Callable[[Contexts], FloatArray]

MAX_LENGTH = 2_000
"""Longest condition in characters; a longer one is refused before it is parsed."""

MAX_SHOWN = 200
"""Most characters of a condition that a message shows."""

MAX_DEPTH = 200
"""Most parts of a condition within one another; each is a call when it is asked, and Python allows some 1,000."""

_WORDS = re.compile(
    r"""
    \s+
    | (?P<text> "(?:[^"\\] | \\.)*" | '(?:[^'\\] | \\.)*')
    | (?P<number> [0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)? | \.[0-9]+(?:[eE][+-]?[0-9]+)?)
    | (?P<name> [^\W\d]\w*)
    | (?P<regex> [=!]~{1,2})
    | (?P<sign> [=!<>]= | [<>](?![<>]) | \*(?!\*) | [-+()\[\],])
    """,
    re.VERBOSE | re.DOTALL,
)
_NOT_READ = {"for", "if", "while"}

_TYPES = {
    "categorical": rule_engine.DataType.STRING,
    "numeric": rule_engine.DataType.FLOAT,
    "boolean": rule_engine.DataType.BOOLEAN,
}
_ORDER: dict[str, Callable[[FloatArray, FloatArray], BoolArray]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_FLIP = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_ARITHMETIC: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition: its text and the mask it gives for a batch of contexts."""

    text: str
    mask: Mask

    def __call__(self, contexts: Contexts) -> BoolArray:
        """Return the (n,) mask of the contexts that meet the condition."""
        return self.mask(contexts)


def compile_condition(text: str, facts: Mapping[str, Fact], where: str) -> Condition:
    """Return the condition checked against the declared facts; CatalogueError names `where` it stands."""
    try:
        _look_through(text)
        return Condition(text, _Compiler(facts).mask(_parse(text, facts)))
    except _NotAllowedError as fault:
        raise CatalogueError(f"{where}: the condition {text[:MAX_SHOWN]!r} cannot be used: {fault}") from fault
    except RecursionError as fault:
        raise CatalogueError(f"{where}: the condition {text[:MAX_SHOWN]!r} is nested too deep; flatten it") from fault


class _NotAllowedError(Exception):
    """What is wrong with a condition, in words."""


def _look_through(text: str) -> None:
    """Refuse a text that is too long or has a word that is not of the language."""
    if len(text) > MAX_LENGTH:
        raise _NotAllowedError(f"it has {len(text)} characters; at most {MAX_LENGTH} are read")
    place = 0
    while place < len(text):
        found = _WORDS.match(text, place)
        if found is None:
            raise _NotAllowedError(f"it is not well formed at {text[place : place + 20]!r}, or has more than is read")
        if found["regex"]:
            raise _NotAllowedError("regular expressions (=~) are not read; list the values with in [...]")
        if found["name"] in _NOT_READ:
            raise _NotAllowedError(f'"{found["name"]}" is not read; write one comparison after the other')
        place = found.end()


def _parse(text: str, facts: Mapping[str, Fact]) -> Any:  # noqa: ANN401 - the library's nodes share no public base
    resolver = rule_engine.type_resolver_from_dict({name: _TYPES[fact.kind] for name, fact in facts.items()})
    try:
        return rule_engine.Rule(text, context=rule_engine.Context(type_resolver=resolver)).statement.expression
    except rule_engine.SymbolResolutionError as fault:
        declared = ", ".join(sorted(facts)) or "nothing"
        raise _NotAllowedError(f'"{fault.symbol_name}" is not a declared fact; declared are {declared}') from fault
    except rule_engine.EngineError as fault:
        raise _NotAllowedError(fault.message or "it is not well formed") from fault
    except RecursionError as fault:
        raise _NotAllowedError("it is nested too deep") from fault
    except Exception as fault:  # a parser fed with a stranger's text may fail in any way; none may reach the caller
        raise _NotAllowedError(f"it is not well formed ({fault})") from fault


class _Compiler:
    """Turns nodes into functions of a batch; one method a kind of node."""

    def __init__(self, facts: Mapping[str, Fact]) -> None:
        self.facts = facts
        self._depth = 0

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _NotAllowedError(f"it has more than {MAX_DEPTH} parts within one another; list values with in [...]")
        yield
        self._depth -= 1

    def mask(self, node: Any) -> Mask:  # noqa: ANN401
        with self._deeper():
            return self._mask(node)

    def numbers(self, node: Any) -> Numbers:  # noqa: ANN401
        with self._deeper():
            return self._numbers(node)

    def _mask(self, node: Any) -> Mask:  # noqa: ANN401
        match node:
            case ast.BooleanExpression():
                return _constant(bool(node.value))
            case ast.SymbolExpression() if self._fact(node).kind == "boolean":
                name = node.name
                return lambda contexts: contexts.columns[name] == 1.0
            case ast.UnaryExpression(type="not"):
                inner = self.mask(node.right)
                return lambda contexts: ~inner(contexts)
            case ast.LogicExpression():
                left, right = self.mask(node.left), self.mask(node.right)
                if node.type == "and":
                    return lambda contexts: left(contexts) & right(contexts)
                return lambda contexts: left(contexts) | right(contexts)
            case ast.ContainsExpression():
                return self._contains(node)
            case ast.ArithmeticComparisonExpression():
                return self._order(node)
            case ast.ComparisonExpression():
                return self._equality(node)
        raise _NotAllowedError(f"{_words(node)} is not true or false")

    def _numbers(self, node: Any) -> Numbers:  # noqa: ANN401
        match node:
            case ast.FloatExpression():
                value = float(node.value)
                if not math.isfinite(value):
                    raise _NotAllowedError("it has a number that is not finite; leave that part out")
                return lambda contexts: np.full(contexts.n, value)
            case ast.SymbolExpression() if self._fact(node).kind == "numeric":
                name = node.name
                return lambda contexts: np.asarray(contexts.columns[name], dtype=np.float64)
            case ast.UnaryExpression(type="uminus"):
                inner = self.numbers(node.right)
                return lambda contexts: -inner(contexts)
            case ast.AddExpression() | ast.SubtractExpression() | ast.ArithmeticExpression() if (
                node.type in _ARITHMETIC
            ):
                act = _ARITHMETIC[node.type]
                left, right = self.numbers(node.left), self.numbers(node.right)
                return lambda contexts: act(left(contexts), right(contexts))
        raise _NotAllowedError(f"{_words(node)} is not a number")

    def _order(self, node: Any) -> Mask:  # noqa: ANN401
        act, left, right = _ORDER[node.type], self.numbers(node.left), self.numbers(node.right)
        return lambda contexts: act(left(contexts), right(contexts))

    def _equality(self, node: Any) -> Mask:  # noqa: ANN401
        left, right = node.left, node.right
        if isinstance(left, ast.LiteralExpressionBase):
            left, right = right, left
        equal = self._equals(left, right)
        if node.type == "eq":
            return equal
        return lambda contexts: ~equal(contexts)

    def _contains(self, node: Any) -> Mask:  # noqa: ANN401
        if not isinstance(node.container, ast.ArrayExpression):
            raise _NotAllowedError("`in` needs a list of values on its right, as in [1, 2]")
        members = [self._equals(node.member, value) for value in node.container.value]
        if not members:
            return _constant(value=False)
        return lambda contexts: np.logical_or.reduce([member(contexts) for member in members])

    def _equals(self, left: Any, right: Any) -> Mask:  # noqa: ANN401
        if isinstance(right, ast.NullExpression):
            return self._missing(left)
        if isinstance(left, ast.SymbolExpression):
            fact = self._fact(left)
            if fact.kind == "categorical":
                return _equals_text(fact, right)
            if fact.kind == "boolean":
                if not isinstance(right, ast.BooleanExpression):
                    raise _NotAllowedError(f'"{fact.name}" is boolean; compare it with true, false or null')
                name, value = fact.name, float(right.value)
                return lambda contexts: contexts.columns[name] == value
        one, other = self.numbers(left), self.numbers(right)
        return lambda contexts: one(contexts) == other(contexts)

    def _missing(self, node: Any) -> Mask:  # noqa: ANN401
        if not isinstance(node, ast.SymbolExpression):
            raise _NotAllowedError("only a fact can be compared with null")
        fact = self._fact(node)
        name = fact.name
        if fact.kind == "categorical":
            return lambda contexts: contexts.columns[name] == MISSING
        return lambda contexts: np.isnan(contexts.columns[name])

    def _fact(self, node: Any) -> Fact:  # noqa: ANN401
        fact = self.facts.get(node.name)
        if fact is None:
            raise _NotAllowedError(f'"{node.name}" is not a declared fact')
        return fact


def _equals_text(fact: Fact, right: Any) -> Mask:  # noqa: ANN401
    if not isinstance(right, ast.StringExpression):
        raise _NotAllowedError(f'"{fact.name}" is categorical; compare it with one of its values or null')
    if right.value not in fact.values:
        raise _NotAllowedError(
            f'"{right.value}" is not a declared value of "{fact.name}"; declared are {", ".join(fact.values)}'
        )
    name, code = fact.name, fact.values.index(right.value)
    return lambda contexts: contexts.columns[name] == code


def _constant(value: bool) -> Mask:
    return lambda contexts: np.full(contexts.n, value)


def _words(node: object) -> str:
    if isinstance(node, ast.SymbolExpression):
        return f'"{node.name}"'
    return f"a part of kind {type(node).__name__.removesuffix('Expression')}"

"""The syntax of conditions: reads a text into a small tree, with Python's own parser and a whitelist of its nodes.

The text is cut into words first, and a text with any other word is refused. Python's parser then sees brackets,
operators and one placeholder `_0`, `_1`, ... for each fact and value, so that none of Python's own rules for names,
numbers and texts apply: a fact may be called `class` or `None`, and no literal is ever evaluated by Python.

The language differs from Python's expressions in this:

- `true`, `false`, `null`, `inf` and `nan` are words of the language, and Python's `True`, `False` and `None` are names.
- `== !=` bind less tightly than `< <= > >= in`, and neither may follow its own kind: `a < b == c` is `(a < b) == c`,
  and `a < b < c` is refused. `not in` takes all that stands to its left up to `and`, `or` or `not`.
- `not` may stand right of a comparison: `a == not b == c` is `a == (not (b == c))`.
- What is constant is worked out as it is read, numbers as decimals of 28 digits: `0.1 + 0.2 == 0.3` is true.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from decimal import Context, Decimal, localcontext
from functools import reduce

from bandit.catalogue.condition_tree import ORDER, Constant, Name, Node, NotAllowedError, binary, listing, unary

MAX_LENGTH = 2_000
"""Longest condition in characters; a longer one is refused before it is parsed."""

MAX_DEPTH = 200
"""Most brackets, and most parts, of a condition within one another; Python allows some 1,000 calls."""

_TOKEN = re.compile(
    r"""
    [ \t\n]+
    | (?P<text> [rs]? (?: "(?:[^"\\\n] | \\.)*" | '(?:[^'\\\n] | \\.)*' ))
    | (?P<number>
        0(?: b[01]+ | o[0-7]+ | x[0-9a-fA-F]+ )
        | (?: [0-9]+(?:\.[0-9]*)? | \.[0-9]+ )(?: [eE][+-]?[0-9]+ )?
      )
    | (?P<prefix> [bdt](?=["']))
    | (?P<name> [a-zA-Z_][a-zA-Z0-9_]*)
    | (?P<regex> [=!]~{1,2})
    | (?P<sign> [=!<>]= | [<>](?![<>]) | \*(?!\*) | [-+()\[\],])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"""\\ (?: [\\'"abfnrtv] | [0-7]{1,3} | x[0-9a-fA-F]{2} | u[0-9a-fA-F]{4} | U[0-9a-fA-F]{8} | N\{[^{}]+\}
    | (?P<broken> [xuUN]) | (?P<unknown> .) )""",
    re.VERBOSE | re.DOTALL,
)
_NOT_READ = {"for", "if", "while", "elif", "else"}
_WORDS = {"and", "or", "not", "in"}
_CONSTANTS: dict[str, Decimal | bool | None] = {
    "true": True,
    "false": False,
    "null": None,
    "inf": Decimal("inf"),
    "nan": Decimal("nan"),
}

_SIGNS: dict[type[ast.AST], str] = {
    ast.And: "and",
    ast.Or: "or",
    ast.Not: "not",
    ast.USub: "-",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_EQUALITY = {"==", "!="}
_COMPARED = _EQUALITY | ORDER.keys()
_ENDS = {"and", "or", ")", "]", ","}

_DECIMALS = Context(prec=28)


def read_condition(text: str) -> Node:
    """Return the tree of a condition; NotAllowedError says why it cannot be read."""
    if len(text) > MAX_LENGTH:
        raise NotAllowedError(f"it has {len(text)} characters; at most {MAX_LENGTH} are read")
    operands: list[Constant | Name] = []
    try:
        with localcontext(_DECIMALS):
            words = _with_brackets(_translated(_tokens(text), operands))
            return _read(ast.parse(" ".join(words), mode="eval").body, operands)
    except SyntaxError as fault:
        raise NotAllowedError("it is not well formed; look for a missing value, operator or bracket") from fault
    except ArithmeticError as fault:
        raise NotAllowedError("it works out to a number that is too large or not a number") from fault
    except (RecursionError, MemoryError) as fault:
        raise NotAllowedError("it is nested too deep; flatten it") from fault


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield kind and word of each token of the text; NotAllowedError where it has a word that is not read."""
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise NotAllowedError(f"it is not well formed at {text[place : place + 20]!r}, or has more than is read")
        if found["regex"]:
            raise NotAllowedError("regular expressions (=~) are not read; list the values with in [...]")
        if found["prefix"]:
            raise NotAllowedError(
                f"dates, durations and bytes ({found[0]}'...') are not read; write a number or a text"
            )
        if found["name"] in _NOT_READ:
            raise NotAllowedError(f'"{found["name"]}" is not read; write one comparison after the other')
        if found.lastgroup is not None:
            yield found.lastgroup, found[0]
        place = found.end()


def _translated(tokens: Iterable[tuple[str, str]], operands: list[Constant | Name]) -> Iterator[str]:
    """Yield words of Python, with a placeholder for each fact and value, which is appended to `operands`."""
    for kind, word in tokens:
        if kind == "sign" or word in _WORDS:
            yield word
            continue
        if kind == "text":
            operands.append(Constant(_unescaped(word)))
        elif kind == "number":
            operands.append(Constant(_number(word)))
        else:
            operands.append(Constant(_CONSTANTS[word]) if word in _CONSTANTS else Name(word))
        yield f"_{len(operands) - 1}"


def _unescaped(literal: str) -> str:
    """Return the text of a literal; `r'...'` keeps its backslashes, as does an escape that does not exist."""
    inner = literal[1:-1] if literal[0] in "\"'" else literal[2:-1]
    return inner if literal[0] == "r" else _ESCAPE.sub(_escaped, inner)


def _escaped(found: re.Match[str]) -> str:
    if found["unknown"]:
        return found[0]
    if found[0][1] in "01234567":
        return chr(int(found[0][1:], 8))
    try:
        if found["broken"]:
            raise NotAllowedError(f"{found[0]!r} is not followed by the code of a character; write two backslashes")
        return found[0].encode("ascii").decode("unicode_escape")
    except UnicodeError as fault:
        raise NotAllowedError(f"{found[0]!r} is not a character; write two backslashes") from fault


def _number(word: str) -> Decimal:
    if word[:2] in {"0b", "0o", "0x"}:
        return Decimal(int(word, 0))
    if re.match("0[0-9]", word):
        raise NotAllowedError(f'the number "{word[:20]}" begins with 0; leave the leading zeros out')
    try:
        return Decimal(word)
    except ArithmeticError as fault:
        raise NotAllowedError(f'the number "{word[:20]}" is too large or too small') from fault


def _with_brackets(words: Iterable[str]) -> list[str]:
    """Put `not ...` right of a comparison into brackets, as Python wants it; refuse brackets nested too deep."""
    out: list[str] = []
    owed = [0]  # closing brackets to add at the end of each open bracket's content
    for word in words:
        if word in _ENDS:
            out += ")" * owed[-1]
            owed[-1] = 0
        elif word == "not" and out and out[-1] in _COMPARED:
            out.append("(")
            owed[-1] += 1
        out.append(word)
        if word in {"(", "["}:
            owed.append(0)
        elif word in {")", "]"} and len(owed) > 1:
            owed.pop()
        if len(owed) - 1 > MAX_DEPTH:
            raise NotAllowedError("it is nested too deep; flatten it")
    return [*out, *")" * owed[-1]]


def _read(node: ast.expr, operands: list[Constant | Name]) -> Node:
    match node:
        case ast.Name(id=name):
            return operands[int(name[1:])]
        case ast.List():
            return listing([_read(item, operands) for item in node.elts])
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            return unary(_SIGNS[type(node.op)], _read(node.operand, operands))
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult()):
            return binary(_SIGNS[type(node.op)], _read(node.left, operands), _read(node.right, operands))
        case ast.BoolOp():
            sign = _SIGNS[type(node.op)]
            return reduce(
                lambda left, right: binary(sign, left, right), [_read(each, operands) for each in node.values]
            )
        case ast.Compare():
            parts = [_read(each, operands) for each in (node.left, *node.comparators)]
            return _compared(parts, [_SIGNS[type(each)] for each in node.ops])
        case ast.Call() | ast.Subscript():
            raise NotAllowedError("calls and single items (x[0]) are not read; name a fact or a value")
        case ast.Tuple():
            raise NotAllowedError("a list needs its brackets, as in [1, 2]")
    raise NotAllowedError("it is not well formed; look for a missing value, operator or bracket")


def _compared(parts: list[Node], signs: list[str]) -> Node:
    """Join what Python takes for one chain of comparisons, each by how tightly it binds."""
    held, waiting = [parts[0]], list[str]()

    def join() -> None:
        right, left, sign = held.pop(), held.pop(), waiting.pop()
        held.append(unary("not", binary("in", left, right)) if sign == "not in" else binary(sign, left, right))

    for sign, part in zip(signs, parts[1:], strict=True):
        equality = sign in _EQUALITY
        while waiting and (sign == "not in" or (equality and waiting[-1] not in _EQUALITY)):
            join()
        if waiting and equality == (waiting[-1] in _EQUALITY):
            raise NotAllowedError("one comparison after the other is not read; join them with and")
        waiting.append(sign)
        held.append(part)
    while waiting:
        join()
    return held[0]

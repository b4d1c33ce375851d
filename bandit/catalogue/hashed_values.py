"""A catalogue file whose facts are stored hashed: hashes in place of their values, in the conditions as well."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

import msgspec

from bandit.catalogue.condition_syntax import read_condition
from bandit.catalogue.condition_tree import Binary, Constant, Listing, Name, Node, Unary, names_in
from bandit.catalogue.fact_hash import FactHash
from bandit.catalogue.file_tables import CatalogueFile, FactFile
from bandit.catalogue.group_schema import SegmentRulesFile

Rules = TypeVar("Rules", bound=SegmentRulesFile)


def hashed_file(file: CatalogueFile, of: FactHash) -> CatalogueFile:
    """Return a validated file with the hashes of the values of hashed facts, in the order of their first hashes.

    Under the first key alone the order would be that of the file, and name every value.
    """
    hashed = unhashed_facts(file)
    if not hashed:
        return file
    context = {name: _hashed_fact(fact, of) if name in hashed else fact for name, fact in file.context.items()}
    return with_conditions(
        msgspec.structs.replace(file, context=context), lambda text: hashed_condition(text, hashed, of.of)
    )


def unhashed_facts(file: CatalogueFile) -> frozenset[str]:
    """Return the facts that are to be stored hashed and whose values are in the clear in the file."""
    return frozenset(
        name for name, fact in file.context.items() if fact.stored == "hashed" and fact.hashed_with is None
    )


def hashed_again(file: CatalogueFile, again: Callable[[str], str], check: str) -> CatalogueFile:
    """Return a file with other forms of its hashed values, in the same order; `again` returns each value's.

    `check` is that of the keys that the new forms are under.
    """
    hashed = frozenset(name for name, fact in file.context.items() if fact.hashed_with is not None)
    context = {
        name: msgspec.structs.replace(
            fact,
            values=list(map(again, fact.values)),
            value_aliases={again(value): list(map(again, each)) for value, each in fact.value_aliases.items()},
            hashed_with=check,
        )
        if name in hashed
        else fact
        for name, fact in file.context.items()
    }
    return with_conditions(
        msgspec.structs.replace(file, context=context), lambda text: hashed_condition(text, hashed, again)
    )


def with_conditions(file: CatalogueFile, new: Callable[[str], str]) -> CatalogueFile:
    """Return a file with `new` applied to each condition on facts."""
    rules = [rule if rule.when is None else msgspec.structs.replace(rule, when=new(rule.when)) for rule in file.rules]
    groups, rollout = file.groups, file.rollout
    if groups is not None and groups.rules is not None:
        groups = msgspec.structs.replace(groups, rules=segments_with(groups.rules, new))
    if rollout is not None and rollout.rules is not None:
        rollout = msgspec.structs.replace(rollout, rules=segments_with(rollout.rules, new))
    return msgspec.structs.replace(file, rules=rules, groups=groups, rollout=rollout)


def segments_with(rules: Rules, new: Callable[[str], str]) -> Rules:
    """Return segment rules with `new` applied to each condition."""
    segments = [msgspec.structs.replace(each, when=new(each.when)) for each in rules.segments]
    return msgspec.structs.replace(rules, segments=segments)


def hashed_condition(text: str, hashed: Collection[str], of: Callable[[str], str]) -> str:
    """Return a condition with `of` applied to the values that it compares hashed facts with.

    A condition that reads none of them stays as it is written.

    >>> hashed_condition("tier in ['a', 'b'] and age < 30", {"tier"}, lambda value: value * 2)
    '((tier in ["aa", "bb"]) and (age < 30))'
    >>> hashed_condition("age<30", {"tier"}, lambda value: value * 2)
    'age<30'
    """
    tree = read_condition(text)
    return _text(_with_hashes(tree, hashed, of)) if names_in(tree) & set(hashed) else text


def _hashed_fact(fact: FactFile, of: FactHash) -> FactFile:
    first = of.first(1)
    values = sorted(fact.values, key=first.of)
    return msgspec.structs.replace(
        fact,
        values=list(map(of.of, values)),
        value_aliases={
            of.of(value): list(map(of.of, sorted(fact.value_aliases[value], key=first.of)))
            for value in values
            if value in fact.value_aliases
        },
        hashed_with=of.check,
    )


def _with_hashes(node: Node, hashed: Collection[str], of: Callable[[str], str]) -> Node:
    match node:
        case Binary(sign="==" | "!=" | "in", left=Name(name=name), right=right) if name in hashed:
            return replace(node, right=_hashed_constant(right, of))
        case Binary(sign="==" | "!=", left=Constant() as left, right=Name(name=name)) if name in hashed:
            return replace(node, left=_hashed_constant(left, of))
        case Binary(left=left, right=right):
            return replace(node, left=_with_hashes(left, hashed, of), right=_with_hashes(right, hashed, of))
        case Unary(right=right):
            return replace(node, right=_with_hashes(right, hashed, of))
    return node


def _hashed_constant(node: Node, of: Callable[[str], str]) -> Node:
    match node:
        case Constant(value=str() as value):
            return Constant(of(value))
        case Constant(value=tuple() as values):
            return Constant(tuple(of(value) if isinstance(value, str) else value for value in values))
        case Listing(items=items):
            return Listing(tuple(_hashed_constant(item, of) for item in items))
    return node


def _text(node: Node) -> str:
    """Return a tree as a text that `read_condition` reads as the same tree."""
    match node:
        case Name(name=name):
            return name
        case Constant(value=value):
            return _value_text(value)
        case Listing(items=items):
            return f"[{', '.join(map(_text, items))}]"
        case Unary(sign=sign, right=right):
            return f"({sign} {_text(right)})"
        case Binary(sign=sign, left=left, right=right):
            return f"({_text(left)} {sign} {_text(right)})"


def _value_text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value_text, value))}]"
    if isinstance(value, Decimal):
        return f"({value})" if value < 0 else str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

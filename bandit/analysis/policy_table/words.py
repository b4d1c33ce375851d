"""Segments in the words of the table: the checks of a region, and the sentence that people read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bandit.catalogue.fact_regions import FactRange
from bandit.policies.table_file import FactCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.catalogue.fact_regions import Region
    from bandit.catalogue.facts import Fact

EVERYBODY = "everybody"
"""The words of a segment without checks."""

EVERYBODY_ELSE = "everybody else"
"""The words of the row of customers whom no segment has."""


def region_checks(catalogue: Catalogue, region: Region) -> list[FactCheck]:
    """Return one check for each fact of which a region does not have all values, in the catalogue's order."""
    return [
        _check(fact, region[name]) for name, fact in catalogue.facts.items() if region[name] != FactRange.whole(fact)
    ]


def check_words(checks: Sequence[FactCheck]) -> str:
    """Return the checks as people read them, such as "gender f and recency < 2.1"."""
    return " and ".join(map(_words, checks)) or EVERYBODY


def _check(fact: Fact, there: FactRange) -> FactCheck:
    if fact.kind == "numeric":
        if there.is_empty:
            return FactCheck(fact.name, values=[], missing=there.missing)
        low = None if there.low == -math.inf else there.low
        high = None if there.high == math.inf else there.high
        return FactCheck(fact.name, low, high, missing=there.missing)
    codes = there.codes or frozenset()
    if fact.kind == "boolean":
        values: list[str | bool] | None = [bool(code) for code in sorted(codes)]
        return FactCheck(fact.name, values=None if len(codes) == 2 else values, missing=there.missing)
    declared = [code for code in sorted(codes) if code < len(fact.values)]
    names: list[str | bool] = [fact.values[code] for code in declared]
    every = len(declared) == len(fact.values)
    return FactCheck(fact.name, values=None if every else names, missing=there.missing, other=len(fact.values) in codes)


def _words(check: FactCheck) -> str:
    fact = check.fact
    also = [word for word, said in (("missing", check.missing), ("of another value", check.other)) if said]
    if check.values == []:
        return f"{fact} {' or '.join(also) or 'never'}"
    if check.values is not None and any(isinstance(value, bool) for value in check.values):
        known = fact if check.values == [True] else f"not {fact}"
    elif check.values is not None:
        known = f"{fact} {' or '.join(map(str, check.values))}"
    elif check.at_least is not None and check.below is not None:
        known = f"{check.at_least:g} <= {fact} < {check.below:g}"
    elif check.at_least is not None:
        known = f"{fact} >= {check.at_least:g}"
    elif check.below is not None:
        known = f"{fact} < {check.below:g}"
    else:
        known = f"{fact} known"
    return f"({' or '.join([known, *also])})" if also else known

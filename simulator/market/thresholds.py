"""Threshold rules drawn at random, such as "age < 30 and region north and not loyal: channel sms +0.8".

Each is a feature of a customer, 1 where all its conditions hold and 0 elsewhere, with an effect on some offers. A
condition on a missing fact does not hold.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.special import ndtri

from bandit.domain import BoolArray, FloatArray, IntArray
from simulator.market.demographics import Boolean, Categorical, FactSpec, Numeric

ColumnsByFact: TypeAlias = Mapping[str, IntArray | FloatArray]
"""Canonical columns of facts by name."""

CUT_QUANTILES = (0.15, 0.85)
"""Numeric facts are cut between these quantiles."""

ALL_BUT_ONE = 0.3
"""Share of the checks of a fact with three values or more that hold for all of them but one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The number of threshold rules and their distribution.

    `depths` are the shares of rules with one check, two, three and so on, each of another fact, chosen in proportion
    to the facts' `taste`. A rule adds a normal of deviation `effect` (logits) to an option, or to the whole response to
    discounts; `paired` is the share that acts only where two options of different dimensions come together.
    `basket` is the deviation of what it adds to the log of the basket there.
    """

    count: int = 0
    depths: tuple[float, ...] = (0.25, 0.45, 0.30)
    effect: float = 0.0
    paired: float = 0.0
    basket: float = 0.0


@dataclass(frozen=True, slots=True)
class FactCondition(ABC):
    """A condition on one fact."""

    fact: str

    @abstractmethod
    def holds(self, column: IntArray | FloatArray) -> BoolArray:
        """Return the (n,) mask where it holds in a canonical column; False where the fact is missing."""


@dataclass(frozen=True, slots=True)
class Within(FactCondition):
    """A numeric fact lies in [low, high), one end of which is infinite."""

    low: float
    high: float

    def holds(self, column: IntArray | FloatArray) -> BoolArray:
        """Return the (n,) mask where the number lies within."""
        return np.asarray((column >= self.low) & (column < self.high))

    def __str__(self) -> str:
        return f"{self.fact} < {self.high:g}" if np.isinf(self.low) else f"{self.fact} >= {self.low:g}"


@dataclass(frozen=True, slots=True)
class Among(FactCondition):
    """A fact has one of some codes (0 and 1 for false and true); `words` is the condition as text."""

    codes: tuple[int, ...]
    words: str

    def holds(self, column: IntArray | FloatArray) -> BoolArray:
        """Return the (n,) mask where the code is one of these."""
        return np.asarray(np.isin(column, self.codes))

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class Threshold:
    """One rule: where all `checks` hold, `effect` logits and `basket` log basket are added to the columns `acts_on`.

    `acts_on` are one or two places among the market's columns: its options in order, then the response to discounts.
    """

    checks: tuple[FactCondition, ...]
    acts_on: tuple[int, ...]
    effect: float
    basket: float

    def __str__(self) -> str:
        return " and ".join(map(str, self.checks))


def draw_rules(
    like: Thresholds, facts: Sequence[FactSpec], owner: IntArray, usable: BoolArray, rng: np.random.Generator
) -> tuple[Threshold, ...]:
    """Draw the rules; `owner` is the dimension of each column (-1: discounts), `usable` the columns to act on."""
    columns = np.flatnonzero(usable)
    taste = np.array([fact.taste for fact in facts])
    depths = 1 + rng.choice(len(like.depths), size=like.count, p=np.array(like.depths))
    rules = []
    for depth in depths.tolist():
        chosen = rng.choice(len(facts), size=depth, replace=False, p=taste / taste.sum())
        checks = tuple(_check(facts[place], rng) for place in chosen.tolist())
        first = int(rng.choice(columns))
        others = columns[(owner[columns] != owner[first]) & (owner[columns] >= 0)]
        pair = rng.random() < like.paired and owner[first] >= 0 and len(others) > 0
        acts_on = (first, int(rng.choice(others))) if pair else (first,)
        effect, basket = rng.standard_normal(2) * (like.effect, like.basket)
        rules.append(Threshold(checks, acts_on, float(effect), float(basket)))
    return tuple(rules)


def indicators(rules: Sequence[Threshold], columns: ColumnsByFact) -> FloatArray:
    """Return (n, R): 1 where all conditions of a rule hold, 0 elsewhere."""
    known: dict[FactCondition, BoolArray] = {}
    hits = []
    for rule in rules:
        for check in rule.checks:
            if check not in known:
                known[check] = check.holds(columns[check.fact])
        hits.append(np.logical_and.reduce([known[check] for check in rule.checks]))
    return np.stack(hits, axis=1).astype(np.float64)


def effects(rules: Sequence[Threshold], columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (R, N) logits and log baskets that each rule adds to each offer, from the market's (N, C) columns."""
    reach = np.stack([columns[:, list(rule.acts_on)].prod(axis=1) for rule in rules])
    logits, baskets = (np.array([getattr(rule, name) for rule in rules]) for name in ("effect", "basket"))
    return logits[:, None] * reach, baskets[:, None] * reach


def _check(fact: FactSpec, rng: np.random.Generator) -> FactCondition:
    if isinstance(fact, Numeric):
        cut = float(fact.draw(ndtri(rng.uniform(*CUT_QUANTILES, size=1)))[0])
        return Within(fact.name, -np.inf, cut) if rng.random() < 0.5 else Within(fact.name, cut, np.inf)
    if isinstance(fact, Boolean):
        yes = int(rng.random() < fact.share)
        return Among(fact.name, (yes,), fact.name if yes else f"not {fact.name}")
    if not isinstance(fact, Categorical):
        raise TypeError(f"a {type(fact).__name__} cannot be checked; use Numeric, Boolean or Categorical")
    code = int(rng.integers(len(fact.values)))
    if len(fact.values) > 2 and rng.random() < ALL_BUT_ONE:
        others = tuple(one for one in range(len(fact.values)) if one != code)
        return Among(fact.name, others, f"{fact.name} in {[fact.values[one] for one in others]}".replace("'", '"'))
    return Among(fact.name, (code,), f'{fact.name} == "{fact.values[code]}"')

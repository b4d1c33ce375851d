"""Segment rules of two kinds: the best that could be written, and those that a shop plausibly runs today.

Both are mappings that `bandit.SegmentRules.from_dict` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from typing import Any, TypeAlias

import numpy as np
from scipy.special import expit

from bandit.catalogue.conditions import compile_condition
from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.errors import ContextError
from simulator.market import truth
from simulator.market.demographics import Categorical, FactSpec, Numeric
from simulator.market.population import Population, blocks
from simulator.market.spec import PracticeRule

Cuts: TypeAlias = Sequence[tuple[str, tuple[float, ...]]]
"""Facts whose combinations are the segments; a numeric one with the points at which it is cut."""

RulesMapping: TypeAlias = dict[str, Any]

RULES_EXPLORATION = 0.1
"""Share of exploration in today's rules while a log is written, so that the log supports evaluation."""

TESTED_CUSTOMERS = 2_000
"""Members of a segment on which the options are tested."""


def best_segment_rules(
    population: Population,
    customers: IntArray | None = None,
    time: IntArray | int | None = None,
    *,
    cuts: Cuts | None = None,
    exploration: float = 0.0,
) -> RulesMapping:
    """Return the best possible segment rules: for each combination of facts the offer that truly earns most there.

    `customers` and `time` are the visits they are made for (every customer once, at an average moment, by default),
    `cuts` the segments (the scenario's by default). An offer must be eligible for the whole segment.
    """
    used = population.market.scenario.segments if cuts is None else tuple(cuts)
    chosen = np.arange(population.n) if customers is None else customers
    codes, conditions = _cross(population, used, chosen)
    worth, legal = _totals(population, chosen, time, codes, len(conditions))
    worth = np.where(legal, worth, -np.inf)
    overall = np.where(legal.all(axis=0), np.where(legal, worth, 0.0).sum(axis=0), -np.inf)
    catalogue = population.market.catalogue
    best = worth.argmax(axis=1)
    return {
        "exploration": exploration,
        "segments": [
            {"name": name, "when": when, "offer": catalogue.offer(int(offer))}
            for (name, when), offer in zip(conditions, best.tolist(), strict=True)
        ],
        "otherwise": catalogue.offer(int(overall.argmax())),
    }


def todays_rules(population: Population, *, exploration: float = 0.0) -> RulesMapping:
    """Return the rules that a shop plausibly runs today: coarse segments, fixed discounts, the rest tested by response.

    The scenario fixes some options of a segment; each other dimension is set to the option that converts most in the
    segment, averaged over the other dimensions. That is decent, and gives margin away: response is not profit.
    """
    scenario, catalogue = population.market.scenario, population.market.catalogue
    contexts = population.contexts()
    free = np.ones(population.n, dtype=np.bool_)
    segments = []
    for rule in scenario.practice:
        members = compile_condition(rule.when, catalogue.facts, f"practice {rule.name}")(contexts) & free
        free &= ~members
        segments.append({"name": rule.name, "when": rule.when, "offer": _fill(population, rule, members)})
    rest = PracticeRule(name="otherwise", when="true", fixed=scenario.practice_otherwise)
    return {"exploration": exploration, "segments": segments, "otherwise": _fill(population, rest, free)}


def _cross(population: Population, cuts: Cuts, customers: IntArray) -> tuple[IntArray, list[tuple[str, str]]]:
    """Return the (n,) segment of each customer, and name and condition of each segment."""
    facts = {fact.name: fact for fact in population.market.scenario.facts}
    codes = np.zeros(len(customers), dtype=np.int64)
    parts = []
    for name, points in cuts:
        if name not in facts:
            raise ContextError(f'"{name}" is not a fact of this scenario; facts are {", ".join(facts)}')
        column = population.facts[name][customers]
        bins = _bins(facts[name], points)
        place = np.searchsorted(np.array(points), column, side="right") if points else column.astype(np.int64)
        codes = codes * len(bins) + place
        parts.append(bins)
    conditions = [
        (", ".join(name for name, _ in part), " and ".join(when for _, when in part)) for part in product(*parts)
    ]
    return codes, conditions


def _bins(fact: FactSpec, points: tuple[float, ...]) -> list[tuple[str, str]]:
    """Return name and condition of each bin of a fact, in the order of its codes."""
    if isinstance(fact, Categorical):
        return [(f"{fact.name} {value}", f'{fact.name} == "{value}"') for value in fact.values]
    if not isinstance(fact, Numeric):
        return [(f"not {fact.name}", f"not {fact.name}"), (fact.name, fact.name)]
    if not points:
        raise ContextError(f'"{fact.name}" is numeric and cannot make segments without points to cut it at')
    low, high = f"{points[0]:g}", f"{points[-1]:g}"
    between = [
        (f"{fact.name} {a:g}-{b:g}", f"{fact.name} >= {a:g} and {fact.name} < {b:g}") for a, b in pairwise(points)
    ]
    return [
        (f"{fact.name} below {low}", f"{fact.name} < {low}"),
        *between,
        (f"{fact.name} from {high}", f"{fact.name} >= {high}"),
    ]


def _totals(
    population: Population, customers: IntArray, time: IntArray | int | None, codes: IntArray, n_segments: int
) -> tuple[FloatArray, BoolArray]:
    """Return (S, N) summed expectations, and the (S, N) mask of offers eligible for all members of a segment."""
    n_offers = population.market.n_offers
    worth, refused = np.zeros((n_segments, n_offers)), np.zeros((n_segments, n_offers))
    for rows in blocks(len(customers), n_offers):
        at = time[rows] if isinstance(time, np.ndarray) and time.ndim else time
        member = (codes[rows] == np.arange(n_segments)[:, None]).astype(np.float64)
        worth += member @ population.expected_value(customers[rows], time=at)
        if population.market.catalogue.rules:
            refused += member @ ~population.eligible(population.contexts(customers[rows], at))
    return worth, np.asarray(refused == 0)


def _fill(population: Population, rule: PracticeRule, members: BoolArray) -> Mapping[str, str]:
    """Return the offer of a practice rule, with free dimensions set to the option that converts most among members."""
    market = population.market
    catalogue = market.catalogue
    customers = np.flatnonzero(members) if members.any() else np.arange(population.n)
    asked = customers[:TESTED_CUSTOMERS]
    score = truth.scores(market, population.features(asked), population.hidden[asked], np.arange(market.n_offers))
    response = expit(score).mean(axis=0)
    legal: BoolArray = np.asarray(population.eligible(population.contexts(asked)).all(axis=0))
    for place, dimension in enumerate(catalogue.dimensions):
        if dimension.name in rule.fixed:
            legal &= catalogue.options[:, place] == dimension.names.index(rule.fixed[dimension.name])
    if not legal.any():
        raise ContextError(f'the practice rule "{rule.name}" fixes options that no legal offer has together')
    for place, dimension in enumerate(catalogue.dimensions):
        if dimension.name not in rule.fixed:
            option = catalogue.options[:, place]
            present = np.unique(option[legal])
            best = max(present.tolist(), key=lambda one: float(response[legal & (option == one)].mean()))
            legal = np.asarray(legal & (option == best))
    return catalogue.offer(int(np.flatnonzero(legal)[0]))

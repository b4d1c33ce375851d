"""A market: the fixed parameters of a simulated world, drawn once from a scenario.

The score of an offer for a customer, the logit of the response, is

    offset[offer] + features . score_map[:, offer] + hidden . loading[:, offer] + season(time)

with `features` from the observed facts and `hidden` a row of unobserved independent standard normals. Threshold rules
and crossings of facts are features, too, and so are the terms of a drift: facts times the cosine and sine of an angle.
Given the facts, the scores of all offers are therefore jointly Gaussian, and so is the log of the basket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logit

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
from bandit.errors import InputError
from simulator.market.crossings import Crossing, crossing_features, draw_crossings
from simulator.market.demographics import Categorical, FactSpec
from simulator.market.season import DAY
from simulator.market.spec import SEASON_FACTS, Scenario
from simulator.market.thresholds import Threshold, draw_rules, effects, indicators


@dataclass(frozen=True, slots=True, eq=False)
class StageMap:
    """The log of the chance of passing a stage without buying: offset + slope x score + features . own_map, at most 0.

    `offset` is (N,), `own_map` (F, N).
    """

    offset: FloatArray
    slope: float
    own_map: FloatArray


@dataclass(frozen=True, eq=False)
class Market:
    """The parameters of one world: F features, N offers, H hidden normals a customer.

    `score_offset` (N,), `score_map` (F, N) and `score_loading` (H, N) make the logit of the response;
    `basket_offset` (N,), `basket_map` (F, N) and `basket_loading` (H,) make the mean of the log basket of one
    purchase, whose deviation is `scenario.basket_spread`; `returned` (N,) is the share of purchases sent back;
    `visit_map` (F,) makes the log of the rate of visits. `rules` are the threshold rules, a feature each, `crossings`
    the products of two facts, and `stages` the stages before the purchase.
    """

    scenario: Scenario
    catalogue: Catalogue
    score_offset: FloatArray
    score_map: FloatArray
    score_loading: FloatArray
    basket_offset: FloatArray
    basket_map: FloatArray
    basket_loading: FloatArray
    returned: FloatArray
    visit_map: FloatArray
    rules: tuple[Threshold, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    stages: tuple[StageMap, ...] = ()

    @staticmethod
    def draw(scenario: Scenario, rng: np.random.Generator) -> Market:
        """Draw a market; the same scenario and generator give the same market."""
        return _draw(scenario, rng)

    @property
    def n_offers(self) -> int:
        """The number of offers, N."""
        return len(self.score_offset)

    @property
    def n_hidden(self) -> int:
        """The number of hidden normals of a customer, H."""
        return len(self.score_loading)

    def features(self, columns: Mapping[str, IntArray | FloatArray], time: IntArray | int | None = None) -> FloatArray:
        """Return (n, F) features from canonical columns of the observed facts and, where the market drifts, the time.

        In order: the facts, the threshold rules, the crossings, the drift, which is at its beginning without a time.
        """
        parts = [np.concatenate([fact.features(columns[fact.name]) for fact in self.scenario.facts], axis=1)]
        if self.rules:
            parts.append(indicators(self.rules, columns))
        if self.crossings:
            parts.append(crossing_features(self.crossings, columns))
        if self.scenario.drift.moves:
            parts.append(self.scenario.drift.features(parts[0], time))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def season(self, time: IntArray | int | None) -> FloatArray | float:
        """Return what the season adds to every score at these times; 0 where no time is given."""
        return 0.0 if time is None else self.scenario.season.shift(np.asarray(time, dtype=np.int64))

    def season_facts(self, time: IntArray) -> dict[str, FloatArray]:
        """Return the columns of the season's facts, empty where the scenario does not declare them."""
        if not self.scenario.season.observed:
            return {}
        return dict(zip(SEASON_FACTS, self.scenario.season.cycles(time), strict=True))

    def sent(self, columns: dict[str, IntArray | FloatArray]) -> dict[str, ObjectArray | FloatArray | IntArray]:
        """Return canonical columns of facts as a caller of the engine would send them."""
        return {fact.name: fact.sent(columns[fact.name]) for fact in self.scenario.facts}


@dataclass(frozen=True, slots=True, eq=False)
class _Effects:
    """The C columns of effects, one for each option and a last one for the response to discounts, and their sizes.

    `design` (N, C - 1) and `columns` (N, C) are how much of each column an offer has; `tastes` (C - 1,) is 1 where
    tastes for an option differ. `mean` (C,) are the mean effects, `explained`, `crossed`, `hidden` and
    `basket_explained` (C,) the deviations.
    """

    design: FloatArray
    columns: FloatArray
    tastes: FloatArray
    mean: FloatArray
    explained: FloatArray
    crossed: FloatArray
    hidden: FloatArray
    basket_explained: FloatArray

    @staticmethod
    def of(scenario: Scenario, catalogue: Catalogue) -> _Effects:
        sensitivity = scenario.sensitivity
        options = [(dimension, option) for dimension in scenario.dimensions for option in dimension.options]
        tastes = np.array([option.tastes for _, option in options], dtype=np.float64)
        among = np.append(tastes, 1.0)
        design = _one_hot(catalogue)
        return _Effects(
            design=design,
            columns=np.concatenate([design, _depth(catalogue.money.rate, sensitivity.curve)[:, None]], axis=1),
            tastes=tastes,
            mean=np.array([*(option.effect for _, option in options), sensitivity.mean]),
            explained=among * np.array([*(each.explained for each, _ in options), sensitivity.explained]),
            crossed=among * np.array([*(each.crossed for each, _ in options), 0.0]),
            hidden=among * np.array([*(each.hidden for each, _ in options), sensitivity.hidden]),
            basket_explained=among * np.array([*(each.basket_explained for each, _ in options), 0.0]),
        )


def _draw(scenario: Scenario, rng: np.random.Generator) -> Market:
    catalogue = Catalogue.from_dict(scenario.catalogue(), where=f"scenario {scenario.name}")
    latest = (scenario.purchase_within_days + scenario.return_within_days) * DAY
    if latest > catalogue.objective.window:
        raise InputError(
            f"scenario {scenario.name}: purchases and returns take up to {latest / DAY:g} days, longer than the "
            f"objective's window of {catalogue.objective.window / DAY:g}; make the window as long"
        )
    facts = scenario.facts
    options = [option for dimension in scenario.dimensions for option in dimension.options]
    effects_of = _Effects.of(scenario, catalogue)
    design, columns = effects_of.design, effects_of.columns
    weight = _taste_weights(facts)
    taste_map = rng.standard_normal((len(weight), len(effects_of.mean))) * weight[:, None]
    basket_taste_map = rng.standard_normal((len(weight), len(effects_of.mean))) * weight[:, None]
    pairs = _pairs(design, scenario, rng)
    loading, basket_loading = _loadings(scenario, effects_of)
    market = Market(
        scenario=scenario,
        catalogue=catalogue,
        score_offset=logit(scenario.base_rate) + columns @ effects_of.mean + pairs,
        score_map=_fact_effects(facts, "base", rng)[:, None] + (taste_map * effects_of.explained) @ columns.T,
        score_loading=loading,
        basket_offset=np.log(scenario.basket_median) + design @ np.array([option.basket for option in options]),
        basket_map=_fact_effects(facts, "basket", rng)[:, None]
        + (basket_taste_map * effects_of.basket_explained) @ columns.T,
        basket_loading=basket_loading,
        returned=1.0 - np.exp(design @ np.log1p([-option.returned for option in options])),
        visit_map=_fact_effects(facts, "visits", rng),
    )
    # Features that only some scenarios have are drawn last, so that the other markets do not depend on them.
    if scenario.thresholds.count:
        owner = np.append(_owner(scenario), -1)
        market = _with_rules(market, columns, owner, np.append(effects_of.tastes > 0, columns[:, -1].any()), rng)
    if scenario.crossings.count:
        market = _with_crossings(market, columns, effects_of.crossed, rng)
    if scenario.drift.moves:
        later = rng.standard_normal(taste_map.shape) * weight[:, None]
        explained = taste_map * effects_of.explained, later * effects_of.explained
        market = _with_drift(market, columns, effects_of.tastes, explained, rng)
    return replace(market, stages=_stages(market, design, effects_of.tastes, weight, rng))


def _stages(
    market: Market, design: FloatArray, tastes: FloatArray, weight: FloatArray, rng: np.random.Generator
) -> tuple[StageMap, ...]:
    """Return the stages before the purchase: their own effects of options, and of tastes for options by facts."""
    average, found = float(market.score_offset.mean()), []
    for stage in market.scenario.stages:
        own = design @ (rng.standard_normal(len(tastes)) * tastes * stage.effect)
        if stage.bait:
            draw = np.where(tastes > 0, rng.random(len(tastes)), 1.0)
            own += design @ np.where(draw <= max(stage.bait_share, draw.min()), stage.bait, 0.0)
        taste = (
            rng.standard_normal((len(weight), len(tastes))) * weight[:, None] * tastes * stage.explained
        ) @ design.T
        own_map = np.zeros(market.score_map.shape)
        own_map[: len(taste)] = taste
        offset = np.log(stage.rate) + own - stage.slope * average
        found.append(StageMap(offset, stage.slope, own_map))
    return tuple(found)


def _loadings(scenario: Scenario, effects_of: _Effects) -> tuple[FloatArray, FloatArray]:
    """Return the (H, N) loadings of the score and the (H,) loadings of the log basket on the hidden normals.

    The hidden normals: the own base rate, the own basket, then one for each column in which customers differ.
    """
    own = np.append(effects_of.tastes > 0, True)
    loading = np.zeros((2 + int(own.sum()), len(effects_of.columns)))
    loading[0] = scenario.base_hidden
    loading[2:] = (effects_of.columns * effects_of.hidden)[:, own].T
    basket_loading = np.zeros(len(loading))
    with_base = scenario.basket_base_correlation
    basket_loading[:2] = scenario.basket_hidden * np.array([with_base, np.sqrt(1.0 - with_base**2)])
    return loading, basket_loading


def _with_rules(
    market: Market, columns: FloatArray, owner: IntArray, usable: BoolArray, rng: np.random.Generator
) -> Market:
    """Return the market with threshold rules drawn, a row of the maps each."""
    rules = draw_rules(market.scenario.thresholds, market.scenario.facts, owner, usable, rng)
    scores, baskets = effects(rules, columns)
    return replace(
        market,
        score_map=np.concatenate([market.score_map, scores]),
        basket_map=np.concatenate([market.basket_map, baskets]),
        visit_map=np.append(market.visit_map, np.zeros(len(rules))),
        rules=rules,
    )


def _with_crossings(market: Market, columns: FloatArray, crossed: FloatArray, rng: np.random.Generator) -> Market:
    """Return the market with crossings drawn, a row of the maps for each of their features.

    What all crossings explain together of the effect of a column has the deviation (C,) `crossed`.
    """
    crossings = draw_crossings(market.scenario.crossings, market.scenario.facts, rng)
    n_rows = sum(crossing.n_features for crossing in crossings)
    drawn = rng.standard_normal((n_rows, len(crossed)))
    sizes = np.sign(drawn) if market.scenario.crossings.even else drawn
    rows = (sizes * crossed / np.sqrt(len(crossings))) @ columns.T
    return replace(
        market,
        score_map=np.concatenate([market.score_map, rows]),
        basket_map=np.concatenate([market.basket_map, np.zeros_like(rows)]),
        visit_map=np.append(market.visit_map, np.zeros(n_rows)),
        crossings=crossings,
    )


def _with_drift(
    market: Market,
    columns: FloatArray,
    tastes: FloatArray,
    explained: tuple[FloatArray, FloatArray],
    rng: np.random.Generator,
) -> Market:
    """Return the market with the rows that `Drift.features` acts on, and the moving effects of options.

    `explained` are the (F, C) tastes by facts at the beginning and a quarter turn later.
    """
    moving = (rng.standard_normal((2, len(tastes))) * tastes * market.scenario.drift.effect) @ columns[:, :-1].T
    rows = np.concatenate([moving, *(part @ columns.T for part in explained)])
    nothing = np.zeros_like(rows)
    return replace(
        market,
        score_offset=market.score_offset + moving[0],
        score_map=np.concatenate([market.score_map, rows]),
        basket_map=np.concatenate([market.basket_map, nothing]),
        visit_map=np.append(market.visit_map, np.zeros(len(rows))),
    )


def _one_hot(catalogue: Catalogue) -> FloatArray:
    blocks = [
        catalogue.options[:, place, None] == np.arange(len(dimension.options))
        for place, dimension in enumerate(catalogue.dimensions)
    ]
    return np.concatenate(blocks, axis=1).astype(np.float64)


def _owner(scenario: Scenario) -> IntArray:
    """Return the position of each option's dimension, (options,)."""
    return np.repeat(np.arange(len(scenario.dimensions)), [len(one.options) for one in scenario.dimensions])


def _depth(rate: FloatArray, curve: float) -> FloatArray:
    deepest = float(rate.max())
    return (rate / deepest) ** curve if deepest > 0 else np.zeros(len(rate))


def _taste_weights(facts: Sequence[FactSpec]) -> FloatArray:
    """Return a weight a feature, such that what all facts explain together has variance about 1."""
    weight = np.concatenate([np.full(fact.n_features, fact.taste) for fact in facts])
    total = np.sqrt(sum(fact.taste**2 for fact in facts))
    return weight / total if total > 0 else weight


def _fact_effects(facts: Sequence[FactSpec], kind: str, rng: np.random.Generator) -> FloatArray:
    """Return the (F,) effects of facts on one quantity; those of categorical values are drawn."""
    parts = []
    for fact in facts:
        effect = float(getattr(fact, kind))
        drawn = rng.standard_normal(fact.n_features) if isinstance(fact, Categorical) else np.ones(1)
        parts.append(effect * drawn)
    return np.concatenate(parts)


def _pairs(design: FloatArray, scenario: Scenario, rng: np.random.Generator) -> FloatArray:
    """Return the (N,) logits that pairs of options of two dimensions add where they come together."""
    owner = _owner(scenario)
    first, second = np.triu_indices(len(owner), k=1)
    apart = owner[first] != owner[second]
    first, second = first[apart], second[apart]
    acts = rng.random(len(first)) < scenario.pair_share
    effect = np.where(acts, rng.standard_normal(len(first)), 0.0) * scenario.pair_effect
    pairs: FloatArray = (design[:, first] * design[:, second]) @ effect
    return pairs

"""A market: the fixed parameters of a world, drawn once from a scenario.

The score of an offer for a customer, the logit of the response, is

    offset[offer] + features . score_map[:, offer] + hidden . loading[:, offer] + season(time)

with `features` from the observed facts and `hidden` a row of independent standard normals that nobody observes.
Threshold rules are features, too, and so is what a drift has moved by the time: facts times the sine of an angle.
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
from simulator.market.demographics import Categorical, FactSpec
from simulator.market.season import DAY
from simulator.market.spec import SEASON_FACTS, Scenario
from simulator.market.thresholds import Threshold, draw_rules, effects, indicators


@dataclass(frozen=True, eq=False)
class Market:
    """The parameters of one world: F features, N offers, H hidden normals a customer.

    `score_offset` (N,), `score_map` (F, N) and `score_loading` (H, N) make the logit of the response;
    `basket_offset` (N,), `basket_map` (F, N) and `basket_loading` (H,) make the mean of the log basket of one
    purchase, whose deviation is `scenario.basket_spread`; `returned` (N,) is the share of purchases sent back;
    `visit_map` (F,) makes the log of the rate of visits. `rules` are the threshold rules, a feature each.
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

        Of the facts themselves, then of the threshold rules, then of the drift; without a time it is the beginning.
        """
        parts = [np.concatenate([fact.features(columns[fact.name]) for fact in self.scenario.facts], axis=1)]
        if self.rules:
            parts.append(indicators(self.rules, columns))
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

    def given(self, columns: dict[str, IntArray | FloatArray]) -> dict[str, ObjectArray | FloatArray | IntArray]:
        """Return canonical columns of the customers' facts as a caller would send them."""
        return {fact.name: fact.given(columns[fact.name]) for fact in self.scenario.facts}


def _draw(scenario: Scenario, rng: np.random.Generator) -> Market:
    catalogue = Catalogue.from_dict(scenario.catalogue(), where=f"scenario {scenario.name}")
    answered = (scenario.purchase_within_days + scenario.return_within_days) * DAY
    if answered > catalogue.objective.window:
        raise InputError(
            f"scenario {scenario.name}: purchases and returns take up to {answered / DAY:g} days, longer than the "
            f"objective's window of {catalogue.objective.window / DAY:g}; make the window as long"
        )
    facts, dimensions = scenario.facts, scenario.dimensions
    n_features = sum(fact.n_features for fact in facts)
    design = _one_hot(catalogue)
    options = [(dimension, option) for dimension in dimensions for option in dimension.options]
    tastes = np.array([option.tastes for _, option in options], dtype=np.float64)

    # One column a option and one for the response to discounts; every array below follows these columns.
    sensitivity = scenario.sensitivity
    depth = _depth(catalogue.money.rate, sensitivity.curve)
    columns = np.concatenate([design, depth[:, None]], axis=1)
    mean = np.array([*(option.effect for _, option in options), sensitivity.mean])
    explained = np.array([*(d.explained for d, _ in options), sensitivity.explained])
    explained[:-1] *= tastes
    hidden = np.array([*(d.hidden for d, _ in options), sensitivity.hidden])
    hidden[:-1] *= tastes
    basket_explained = np.array([*(d.basket_explained for d, _ in options), 0.0])
    basket_explained[:-1] *= tastes

    weight = _taste_weights(facts)
    taste_map = rng.standard_normal((n_features, len(mean))) * weight[:, None]
    basket_taste_map = rng.standard_normal((n_features, len(mean))) * weight[:, None]
    pairs = _pairs(design, scenario, rng)

    # Hidden normals: the own base rate, the own basket, then one for each column that customers differ in.
    own = np.concatenate([tastes > 0, [True]])
    n_hidden = 2 + int(own.sum())
    loading = np.zeros((n_hidden, catalogue.n_offers))
    loading[0] = scenario.base_hidden
    loading[2:] = (columns * hidden)[:, own].T
    basket_loading = np.zeros(n_hidden)
    with_base = scenario.basket_base_correlation
    basket_loading[:2] = scenario.basket_hidden * np.array([with_base, np.sqrt(1.0 - with_base**2)])

    market = Market(
        scenario=scenario,
        catalogue=catalogue,
        score_offset=logit(scenario.base_rate) + columns @ mean + pairs,
        score_map=_effects(facts, "base", rng)[:, None] + (taste_map * explained) @ columns.T,
        score_loading=loading,
        basket_offset=np.log(scenario.basket_median) + design @ np.array([option.basket for _, option in options]),
        basket_map=_effects(facts, "basket", rng)[:, None] + (basket_taste_map * basket_explained) @ columns.T,
        basket_loading=basket_loading,
        returned=1.0 - np.exp(design @ np.log1p([-option.returned for _, option in options])),
        visit_map=_effects(facts, "visits", rng),
    )
    # What not every scenario has is drawn last, so that the others stay as they are.
    if scenario.thresholds.count:
        owner = np.append(_owner(scenario), -1)
        market = _with_rules(market, columns, owner, np.append(tastes > 0, depth.any()), rng)
    if scenario.drift.moves:
        later = rng.standard_normal(taste_map.shape) * weight[:, None]
        market = _with_drift(market, columns, tastes, (taste_map * explained, later * explained), rng)
    return market


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
    """Return the dimension of each option, by its place."""
    return np.repeat(np.arange(len(scenario.dimensions)), [len(one.options) for one in scenario.dimensions])


def _depth(rate: FloatArray, curve: float) -> FloatArray:
    deepest = float(rate.max())
    return (rate / deepest) ** curve if deepest > 0 else np.zeros(len(rate))


def _taste_weights(facts: Sequence[FactSpec]) -> FloatArray:
    """Return a weight a feature, such that what all facts explain together has variance about 1."""
    weight = np.concatenate([np.full(fact.n_features, fact.taste) for fact in facts])
    total = np.sqrt(sum(fact.taste**2 for fact in facts))
    return weight / total if total > 0 else weight


def _effects(facts: Sequence[FactSpec], kind: str, rng: np.random.Generator) -> FloatArray:
    """Return the facts' effects on one quantity, by feature; those of values without order are drawn."""
    parts = []
    for fact in facts:
        effect = float(getattr(fact, kind))
        drawn = rng.standard_normal(fact.n_features) if isinstance(fact, Categorical) else np.ones(1)
        parts.append(effect * drawn)
    return np.concatenate(parts)


def _pairs(design: FloatArray, scenario: Scenario, rng: np.random.Generator) -> FloatArray:
    """Return (N,) logits: what pairs of options of two dimensions add when they come together."""
    owner = _owner(scenario)
    first, second = np.triu_indices(len(owner), k=1)
    apart = owner[first] != owner[second]
    first, second = first[apart], second[apart]
    acts = rng.random(len(first)) < scenario.pair_share
    effect = np.where(acts, rng.standard_normal(len(first)), 0.0) * scenario.pair_effect
    pairs: FloatArray = (design[:, first] * design[:, second]) @ effect
    return pairs

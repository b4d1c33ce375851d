"""Search for the best offer of each draw, dimension by dimension, for catalogues of many offers."""

from __future__ import annotations

import numpy as np

from bandit.catalogue import Catalogue, Dimension
from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.encoding.offer_columns import option_columns
from bandit.errors import PolicyError
from bandit.models.arrays import Float32Array
from bandit.models.beam_search import best_offers
from bandit.models.rule_bits import RuleBits
from bandit.models.search_bounds import DimensionScores
from bandit.models.shared_design import WeightDraws
from bandit.policies.thompson.monotone import MonotoneConstraint, monotone_constraints
from bandit.policies.thompson.reward_belief import EncodedContexts, RewardBelief


class OfferSearch:
    """Finds the best offer of each draw of a reward belief without weights of pairs of options."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Prepare the columns, costs and monotone constraints of each dimension, and the rules.

        PolicyError where the rates of several dimensions do not add up: the search scores dimensions apart.
        """
        _check_stacking(catalogue)
        self._catalogue = catalogue
        sizes = [len(dimension.options) for dimension in catalogue.dimensions]
        self._ends = np.cumsum(sizes)[:-1]
        self._exact_table = option_table(catalogue)
        self._table = self._exact_table.astype(np.float32)
        self._rules = RuleBits.of(sizes, [rule.options for rule in catalogue.rules])
        self._conditional = np.array([rule.when is not None for rule in catalogue.rules], dtype=np.bool_)
        self._constraints = [_constraints_of(catalogue, place) for place in range(len(sizes))]
        self._costs = [_costs(dimension, catalogue.objective.kind == "profit") for dimension in catalogue.dimensions]

    def winners(self, belief: RewardBelief, drawn: WeightDraws, encoded: EncodedContexts, fired: BoolArray) -> IntArray:
        """Return the best offer of each of n contexts under each draw, (n, M); -1 where the rules allow none.

        `fired` (n, R) says which of the conditional rules hold.
        """
        n, k = len(encoded.matrix), len(self._table)
        if n == 0:
            return np.empty((0, drawn.draws), dtype=np.int64)
        effects = belief.main.design.draw_effects(drawn, belief.main.columns(encoded.matrix))
        if encoded.customer_effects is not None:
            effects += encoded.customer_effects[:, None, :].astype(np.float32)
        added: Float32Array = (effects.reshape(-1, k) @ self._table).reshape(n, drawn.draws, self._table.shape[1])
        scores = np.split(added, self._ends, axis=2)
        for dimension_scores, constraints in zip(scores, self._constraints, strict=True):
            for constraint in constraints:
                constraint.apply(dimension_scores)
        base_revenue, revenue = self._log_revenue(belief, encoded.matrix)
        dimensions = [
            DimensionScores(score, amount, rate, redemption, contact)
            for score, amount, (rate, redemption, contact) in zip(
                scores, np.split(revenue, self._ends, axis=1), self._costs, strict=True
            )
        ]
        holds = np.ones((n, len(self._conditional)), dtype=np.bool_)
        holds[:, self._conditional] = fired
        objective = self._catalogue.objective
        margin = {"profit": objective.margin, "revenue": 1.0}.get(objective.kind)
        base = np.ascontiguousarray(effects[:, :, 0])
        best = best_offers(base, base_revenue, dimensions, self._rules, self._rules.in_force(holds), margin)
        return self._catalogue.grid.find(best.options)

    @property
    def constrained(self) -> bool:
        """Whether some dimension has a monotone constraint."""
        return any(self._constraints)

    def scores(self, effects: FloatArray, offers: IntArray) -> FloatArray:
        """Return the (..., m) scores of offers from (..., 1 + K) effects, with the constraints, in double precision."""
        added = np.split(effects @ self._exact_table, self._ends, axis=-1)
        scores = np.repeat(effects[..., :1], len(offers), axis=-1)
        for place, (part, constraints) in enumerate(zip(added, self._constraints, strict=True)):
            for constraint in constraints:
                constraint.apply(part)
            scores += part[..., self._catalogue.options[offers, place]]
        return scores

    def _log_revenue(self, belief: RewardBelief, matrix: FloatArray) -> tuple[Float32Array, Float32Array]:
        """Return the log of the mean revenue: the part all offers share (n,), and each option's part (n, options)."""
        amount = belief.amount
        if amount is None:
            return np.zeros(len(matrix), dtype=np.float32), np.zeros((len(matrix), self._table.shape[1]), np.float32)
        effects = amount.design.effects(amount.model.weights.mean, amount.columns(matrix)) * amount.amount_scale.scale
        base = effects[:, 0] + (amount.amount_scale.center + 0.5 * amount.noise)
        return base.astype(np.float32), effects.astype(np.float32) @ self._table


def _check_stacking(catalogue: Catalogue) -> None:
    rated = sum(any(option.rate for option in lever) for lever in catalogue.levers)
    if catalogue.file.objective.stacking == "product" and catalogue.objective.kind == "profit" and rated > 1:
        raise PolicyError(
            f"thompson sampling searches {catalogue.n_offers:,} offers dimension by dimension, which needs "
            'rates that add up; leave stacking = "product" out of [objective], or declare fewer offers'
        )


def option_table(catalogue: Catalogue) -> FloatArray:
    """Return (1 + K, options of all dimensions): the columns that each option adds to an offer that contains it.

    An offer's columns (`bandit.encoding.offer_columns`) are the sums over its options; row 0, the base, is 0.
    """
    columns = option_columns(catalogue).table
    return np.ascontiguousarray(np.vstack([np.zeros((1, len(columns))), columns.T]))


def _constraints_of(catalogue: Catalogue, place: int) -> tuple[MonotoneConstraint, ...]:
    """Return the constraints on the options of one dimension, as the offers of a catalogue of this dimension only."""
    if not catalogue.dimensions[place].monotone:
        return ()
    dimensions = catalogue.to_dict()["dimensions"]
    alone = dimensions[place : place + 1] if isinstance(dimensions, list) else []
    return monotone_constraints(Catalogue.from_dict({"dimensions": alone}))


def _costs(dimension: Dimension, count: bool) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return rate, redemption cost and contact cost of each option; 0 unless they `count`."""
    costs = np.array([[one.rate, one.redemption_cost, one.contact_cost] for one in dimension.options])
    rate, redemption, contact = (costs * count).astype(np.float32).T
    return rate, redemption, contact

"""Thompson sampling over so many offers that the best of a draw is searched for along the dimensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandit.catalogue import Catalogue, Dimension
from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.encoding.encoder import ordered_attributes
from bandit.models.beam_search import DimensionScores, best_offers
from bandit.models.rule_bits import RuleBits
from bandit.models.shared_design import Draws
from bandit.policies.thompson.monotone import MonotoneConstraint, ladders
from bandit.policies.thompson.reward_belief import EncodedContexts, RewardBelief

Floats32 = NDArray[np.float32]


class OfferSearch:
    """Finds the best offer of each draw of an outlook that gives no pair of options a weight of its own."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Take the dimensions, what their options cost, and all rules."""
        self._catalogue = catalogue
        sizes = [len(dimension.options) for dimension in catalogue.dimensions]
        self._ends = np.cumsum(sizes)[:-1]
        self._table = option_table(catalogue).astype(np.float32)
        self._stacking = RuleBits.of(sizes, [rule.options for rule in catalogue.rules])
        self._conditional = np.array([rule.when is not None for rule in catalogue.rules], dtype=np.bool_)
        self._ladders = [_ladders_of(catalogue, place) for place in range(len(sizes))]
        self._costs = [_costs(dimension, catalogue.objective.kind == "profit") for dimension in catalogue.dimensions]

    def winners(self, outlook: RewardBelief, drawn: Draws, known: EncodedContexts, fired: BoolArray) -> IntArray:
        """Return the best offer of each of n contexts under each draw, (n, M); -1 where the rules left none to find.

        `fired` (n, R) says which of the conditional rules hold.
        """
        n, k = len(known.matrix), len(self._table)
        context = known.matrix[:, outlook.main.active].astype(np.float32)
        effects: Floats32 = (context @ drawn.effects.T).reshape(n, drawn.draws, k)
        if known.own is not None:
            effects += known.own[:, None, :].astype(np.float32)
        added: Floats32 = (effects.reshape(-1, k) @ self._table).reshape(n, drawn.draws, -1)
        scores = np.split(added, self._ends, axis=2)
        for own, steps in zip(scores, self._ladders, strict=True):
            for ladder in steps:
                ladder.apply(own)
        base_revenue, revenue = self._log_revenue(outlook, known.matrix)
        levers = [
            DimensionScores(own, amount, rate, redemption, contact)
            for own, amount, (rate, redemption, contact) in zip(
                scores, np.split(revenue, self._ends, axis=1), self._costs, strict=True
            )
        ]
        holds = np.ones((n, len(self._conditional)), dtype=np.bool_)
        holds[:, self._conditional] = fired
        objective = self._catalogue.objective
        margin = {"profit": objective.margin, "revenue": 1.0}.get(objective.kind)
        base = np.ascontiguousarray(effects[:, :, 0])
        best = best_offers(base, base_revenue, levers, self._stacking, self._stacking.in_force(holds), margin)
        return self._catalogue.grid.find(best.options)

    def _log_revenue(self, outlook: RewardBelief, matrix: FloatArray) -> tuple[Floats32, Floats32]:
        """Return log of the mean revenue as what all offers share, (n,), and what each option adds, (n, options)."""
        amount = outlook.amount
        if amount is None:
            return np.zeros(len(matrix), dtype=np.float32), np.zeros((len(matrix), self._table.shape[1]), np.float32)
        effects = amount.structure.effects(amount.model.weights.mean, matrix[:, amount.active]) * amount.unit.scale
        base = effects[:, 0] + (amount.unit.center + 0.5 * amount.noise)
        return base.astype(np.float32), effects.astype(np.float32) @ self._table


def option_table(catalogue: Catalogue) -> FloatArray:
    """Return (1 + K, options of all dimensions): what each option has in the columns of an offer that contains it.

    An offer's columns, as `bandit.encoding.encoder.offer_columns` gives them, are the sums over its options; row 0, the base,
    belongs to no option.
    """
    attributes: list[FloatArray] = []
    start = 0
    n_options = sum(len(dimension.options) for dimension in catalogue.dimensions)
    for dimension in catalogue.dimensions:
        stop = start + len(dimension.options)
        for values in ordered_attributes(dimension).values():
            row = np.zeros(n_options)
            largest = np.abs(values).max()
            row[start:stop] = values / largest if largest > 0 else values
            attributes.append(row)
        start = stop
    return np.vstack([np.zeros(n_options), np.eye(n_options), *attributes])


def _ladders_of(catalogue: Catalogue, place: int) -> tuple[MonotoneConstraint, ...]:
    """Return what orders the options of one dimension: the offers of a catalogue of this dimension alone."""
    if not catalogue.dimensions[place].monotone:
        return ()
    dimensions = catalogue.to_dict()["dimensions"]
    alone = dimensions[place : place + 1] if isinstance(dimensions, list) else []
    return ladders(Catalogue.from_dict({"dimensions": alone}))


def _costs(dimension: Dimension, count: bool) -> tuple[Floats32, Floats32, Floats32]:
    """Return rate, redemption cost and contact cost of each option; nothing where they do not count."""
    costs = np.array([[one.rate, one.redemption_cost, one.contact_cost] for one in dimension.options])
    rate, redemption, contact = (costs * count).astype(np.float32).T
    return rate, redemption, contact

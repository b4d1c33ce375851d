"""The fit of amounts to a whole log at once: in one round, or in several where amounts have robust weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bandit.domain import FloatArray, IntArray
from bandit.models import BayesianLinear
from bandit.models.linear import MAX_REWEIGHTINGS, REWEIGHTED
from bandit.models.linear_sums import RobustRounds, take_linear_sums
from bandit.models.tail_weights import RememberedWeights, tail_weights

if TYPE_CHECKING:
    from bandit.policies.thompson.offer_model import OfferModel
    from bandit.policies.thompson.part_fit import PartFit
    from bandit.policies.thompson.training_rows import ModelColumns

TrainingBatch: TypeAlias = tuple[FloatArray, IntArray, FloatArray, FloatArray, FloatArray | None]
"""Context columns (n, d), offers, responses or amounts, weights, times.

Weights (n,) are those of age, and `times` (n,) how many outcomes each stands for, None where each is one.
"""

TrainingBatches: TypeAlias = Callable[[], Iterable[TrainingBatch]]
"""Yields the same batches at every call."""


def fit_amounts(
    model: BayesianLinear,
    batches: TrainingBatches,
    rows: Callable[[FloatArray, IntArray], FloatArray],
    scaled: Callable[[FloatArray], FloatArray],
    remembered: RememberedWeights | None,
) -> None:
    """Learn all amounts; with `remembered`, at the fixed point of their robust weights, which are then remembered.

    `rows` makes the design's rows from contexts and offers, `scaled` standardises amounts. The first weights are taken
    from the scale of amounts, which is robust; each round then learns all amounts from the prior, and weighs each by
    its distance from what the others predict.
    """
    start = model.snapshot()
    if remembered is None:
        _learn(model, batches, rows, scaled, None)
        return
    tails = [tail_weights(scaled(y) ** 2) for _, _, y, _, _ in batches()]
    for _ in range(MAX_REWEIGHTINGS):
        model.reset_to(start)
        _learn(model, batches, rows, scaled, tails)
        found = [
            tail_weights(model.left_out_squares(rows(contexts, offer), scaled(y), weight * before))
            for before, (contexts, offer, y, weight, _) in zip(tails, batches(), strict=True)
        ]
        changes = [np.abs(now - before).max(initial=0.0) for now, before in zip(found, tails, strict=True)]
        if max(changes, default=0.0) < REWEIGHTED:
            break
        tails = found
    for weights, (_, offer, y, _, _) in zip(tails, batches(), strict=True):
        remembered.add(offer, y, weights)


def fit_amounts_by_sums(model: OfferModel, parts: PartFit, columns: ModelColumns) -> None:
    """Do what `fit_amounts` does by sums over the parts of a log, for a covariance that is held whole."""
    amounts, remembered = model.model, model.remembered
    if not isinstance(amounts, BayesianLinear):
        return
    start = amounts.shape, amounts.rate
    sums_of = parts.linear(columns, model.prior.center, model.prior.variance)
    rounds = RobustRounds(remembered is not None)
    found = sums_of(rounds)
    belief = take_linear_sums(amounts, found, start)
    if remembered is None or not found.n:
        return
    for _ in range(MAX_REWEIGHTINGS - 1):
        following = rounds.after(belief)
        found = sums_of(following)
        if found.change < REWEIGHTED:
            break
        rounds, belief = following, take_linear_sums(amounts, found, start)
    tails = parts.tails(columns, rounds)
    remembered.add(tails.offer, tails.y, tails.weight)


def _learn(
    model: BayesianLinear,
    batches: TrainingBatches,
    rows: Callable[[FloatArray, IntArray], FloatArray],
    scaled: Callable[[FloatArray], FloatArray],
    tails: Sequence[FloatArray] | None,
) -> None:
    for number, (contexts, offer, y, weight, times) in enumerate(batches()):
        root = np.sqrt(weight)  # an outcome of weight w is one whose noise is 1 / sqrt(w) as large
        own = None if tails is None or (tails[number] == 1.0).all() else tails[number]
        model.update(root[:, None] * rows(contexts, offer), root * scaled(y), times, own)

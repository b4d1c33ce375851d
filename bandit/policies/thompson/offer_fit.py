"""Fits one offer model to a whole log at once: its weights, the prior's variances, its crosses and its customers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import FloatArray, IntArray
from bandit.encoding.encoder import BINNED_GROUP
from bandit.models import BayesianLogistic
from bandit.models.gaussian import Gaussian
from bandit.models.joint_customers import JointCustomerEffects
from bandit.models.joint_fit import fit_jointly, learn_customers
from bandit.policies.thompson.amount_fit import TrainingBatch, TrainingBatches, fit_amounts
from bandit.policies.thompson.cross_learning import CrossLearning
from bandit.policies.thompson.crosses import FIRST_ROUND
from bandit.policies.thompson.offer_scores import FIRST_ESTIMATE

if TYPE_CHECKING:
    from bandit.policies.thompson.offer_model import OfferModel
    from bandit.policies.thompson.part_fit import PartFit

FIT_ROUNDS = 6
"""Most rounds in which crosses are looked for."""


def fit_offer_model(
    model: OfferModel,
    batches: TrainingBatches,
    passes: int,
    progress: Callable[[], None] | None = None,
    own: JointCustomerEffects | None = None,
    places: IntArray | None = None,
    parts: PartFit | None = None,
) -> None:
    """Learn all batches at once from the prior, with the prior's variances; replaces what was learned before.

    With `own`, of which `places` (all outcomes,) are the customers', -1 without one, their effects are fitted too. With
    `parts`, those of a log whose rows the batches are, the Newton passes are sums over the parts.
    """
    active = np.zeros(model.encoder.n_context, dtype=np.bool_)
    n = 0
    if parts is not None:
        active, n = parts.active(len(active))
    active[0] = True
    for contexts, offer, _, _, _ in batches() if parts is None else ():
        active |= (contexts != 0).any(axis=0)
        n += len(offer)
    model.n_learned = n
    if not model.uses_binned_effects:
        active &= model.encoder.context_group != BINNED_GROUP
    model.reset(np.flatnonzero(active).astype(np.int64))
    fit = _WeightFit(model, batches, passes, progress, own, places, parts)
    _fit_weights(fit)
    if model.searched_crosses is not None:
        _fit_crosses(fit, model.searched_crosses)


@dataclass(frozen=True, slots=True, eq=False)
class _WeightFit:
    """What the weights of a model are fitted to, with the arguments of `fit_offer_model`."""

    model: OfferModel
    batches: TrainingBatches
    passes: int
    progress: Callable[[], None] | None
    own: JointCustomerEffects | None
    places: IntArray | None
    parts: PartFit | None


def _fit_crosses(fit: _WeightFit, crosses: CrossLearning) -> None:
    """Sample the log, and find crosses and fit all weights in turn until no more crosses are found."""
    model = fit.model
    for contexts, offer, y, weight, times in fit.batches():
        share = weight if times is None else weight * times
        crosses.sample.add(contexts, offer, model.scaled(y), share, np.zeros(len(offer)))
    for _ in range(FIT_ROUNDS):
        if crosses.sample.added < FIRST_ROUND or not model.find_crosses(crosses):
            return
        _fit_weights(fit)


def _fit_weights(fit: _WeightFit) -> None:
    """Learn all batches at once from the prior of the present weights."""
    model, batches, passes, progress, own, places = (
        fit.model,
        fit.batches,
        fit.passes,
        fit.progress,
        fit.own,
        fit.places,
    )
    if isinstance(model.model, BayesianLogistic) and own is not None and places is not None:
        belief = model.model.weights
        if isinstance(belief, Gaussian) and all(times is None for *_, times in batches()):
            fit_jointly(belief, lambda: _joint_rows(model, batches, progress, places), model.prior, own, passes)
        else:  # of very many weights, or decisions that stand for others': the customers by what is left
            model.model.fit(lambda: _weighted_rows(model, batches, progress), model.prior, passes)
            for (rows, y, counted, at, columns), (*_, weight, _) in zip(
                _joint_rows(model, batches, None, places), batches(), strict=True
            ):
                learn_customers(own, at, columns, rows @ belief.mean, y, np.minimum(counted, weight))
            own.estimate_from_histories()
    elif isinstance(model.model, BayesianLogistic):
        sums = None if fit.parts is None else fit.parts.newton(model, progress)
        model.model.fit(lambda: _weighted_rows(model, batches, progress), model.prior, passes, sums=sums)
    else:
        model.start_model()
        n = sum(len(offer) for _, offer, _, _, _ in batches())
        fit_amounts(model.model, lambda: _parts(model, batches), model.rows, model.scaled, model.remembered)
        if n < FIRST_ESTIMATE:
            return
        model.prior.estimate(model.model.weights, model.unit, rounds=10)
        if not isinstance(model.model.weights, Gaussian):  # blocks follow another prior each by itself
            model.start_model()
            fit_amounts(model.model, lambda: _parts(model, batches), model.rows, model.scaled, model.remembered)


def _parts(model: OfferModel, batches: TrainingBatches) -> Iterator[TrainingBatch]:
    """Yield the batches in parts, of which rows of very many weights are held at once."""
    return model.in_slices(batches())


def _weighted_rows(
    model: OfferModel, batches: TrainingBatches, progress: Callable[[], None] | None
) -> Iterable[tuple[FloatArray, FloatArray, FloatArray]]:
    if progress is not None:
        progress()
    yield from model.weighted_rows(batches())


def _joint_rows(
    model: OfferModel, batches: TrainingBatches, progress: Callable[[], None] | None, places: IntArray
) -> Iterable[tuple[FloatArray, FloatArray, FloatArray, IntArray, FloatArray]]:
    if progress is not None:
        progress()
    start = 0
    for contexts, offer, y, weight, times in batches():
        part, start = places[start : start + len(y)], start + len(y)
        counted = weight if times is None else weight * times
        yield model.rows(contexts, offer), y, counted, part, np.asarray(model.design.columns[offer])

"""Fits one offer model to a whole log at once: its weights, the prior's variances, its crosses and its customers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import FloatArray
from bandit.encoding.encoder import BINNED_GROUP
from bandit.models import BayesianLinear
from bandit.models.gaussian import Gaussian
from bandit.models.joint_customers import JointCustomerEffects
from bandit.models.joint_fit import JointPass, fit_jointly, learn_customers
from bandit.policies.thompson.amount_fit import fit_amounts, fit_amounts_by_sums
from bandit.policies.thompson.cross_learning import CrossLearning
from bandit.policies.thompson.crosses import FIRST_ROUND
from bandit.policies.thompson.drawn_sample import SampleDraw
from bandit.policies.thompson.offer_scores import FIRST_ESTIMATE
from bandit.policies.thompson.training_rows import ModelColumns

if TYPE_CHECKING:
    from bandit.policies.thompson.offer_model import OfferModel
    from bandit.policies.thompson.part_fit import PartFit, RowCounts

FIT_TOLERANCE = 1e-4
"""Move of a weight, in its deviations, below which the passes end: what rounding did to the first ones is then gone."""

FIT_ROUNDS = 6
"""Most rounds in which crosses are looked for."""


def fit_offer_model(
    model: OfferModel,
    parts: PartFit,
    passes: int,
    progress: Callable[[], None] | None = None,
    own: JointCustomerEffects | None = None,
) -> None:
    """Learn all rows of a log at once from the prior, with the prior's variances; replaces what was learned before.

    With `own` the customers' effects are fitted too. Of a covariance that is held whole, all is sums over the parts;
    one in blocks learns the log read straight through, in its order.
    """
    counts = parts.counts()
    active = counts.active.copy()
    active[0] = True
    model.n_learned = counts.n
    if not model.uses_binned_effects:
        active &= model.encoder.context_group != BINNED_GROUP
    model.reset(np.flatnonzero(active).astype(np.int64))
    fit = _WeightFit(model, parts, counts, passes, progress, own)
    _fit_weights(fit)
    if model.searched_crosses is not None:
        _fit_crosses(fit, model.searched_crosses)
    if own is not None:
        _take_customers(fit, own)


@dataclass(frozen=True, slots=True, eq=False)
class _WeightFit:
    """What the weights of a model are fitted to, with the arguments of `fit_offer_model`."""

    model: OfferModel
    parts: PartFit
    counts: RowCounts
    passes: int
    progress: Callable[[], None] | None
    own: JointCustomerEffects | None

    @property
    def apart(self) -> bool:
        """Whether outcomes count more for the population than for their customer."""
        return self.counts.weighted


def _fit_crosses(fit: _WeightFit, crosses: CrossLearning) -> None:
    """Sample the log, and find crosses and fit all weights in turn until no more crosses are found."""
    model, counts, sample = fit.model, fit.counts, crosses.sample
    share = (counts.responses + 1.0) / (counts.n + 2.0) if sample.prefers_responses else 1.0
    drawn = fit.parts.sample(ModelColumns.of(model), SampleDraw(sample.size, share))
    if drawn is not None:
        drawn.put_into(sample, counts.n, counts.responses)
    for _ in range(FIT_ROUNDS):
        if sample.added < FIRST_ROUND or not model.find_crosses(crosses):
            return
        _fit_weights(fit)


def _fit_weights(fit: _WeightFit) -> None:
    """Learn all rows at once from the prior of the present weights."""
    model, own, columns = fit.model, fit.own, ModelColumns.of(fit.model)
    if isinstance(model.model, BayesianLinear):
        _fit_amounts(fit, model.model, columns)
        return
    belief = model.model.weights
    if own is not None and isinstance(belief, Gaussian):
        sums = fit.parts.joint(columns, fit.progress)
        fit_jointly(belief, sums, model.prior, own, fit.passes, FIT_TOLERANCE, apart=fit.apart)
    elif isinstance(belief, Gaussian):
        newton = fit.parts.newton(columns, fit.progress)
        model.model.fit(lambda: (), model.prior, fit.passes, FIT_TOLERANCE, sums=newton)
    else:
        model.model.fit(lambda: _weighted_rows(fit), model.prior, fit.passes)
        if own is not None:
            _learn_customers(fit, own)


def _fit_amounts(fit: _WeightFit, amounts: BayesianLinear, columns: ModelColumns) -> None:
    """Learn all amounts, then the prior's variances."""
    model = fit.model
    model.start_model()
    if isinstance(amounts.weights, Gaussian):
        fit_amounts_by_sums(model, fit.parts, columns)
        if fit.counts.n >= FIRST_ESTIMATE:
            model.prior.estimate(model.model.weights, model.unit, rounds=10)
        return
    for turn in range(2):
        if isinstance(model.model, BayesianLinear):
            fit_amounts(
                model.model,
                lambda: model.in_slices(fit.parts.training_batches()),
                model.rows,
                model.scaled,
                model.remembered,
            )
        if turn or fit.counts.n < FIRST_ESTIMATE:
            return
        model.prior.estimate(model.model.weights, model.unit, rounds=10)
        model.start_model()  # blocks follow another prior each by itself


def _learn_customers(fit: _WeightFit, own: JointCustomerEffects) -> None:
    """Learn the customers' effects of a belief in blocks by what its weights leave, in the order of the log."""
    for rows in fit.parts.rows():
        if not len(rows.customers):
            continue
        places, columns = own.places_for(rows.customers), np.asarray(fit.model.design.columns[rows.offer])
        score = fit.model.scores(rows.contexts, rows.offer)
        learn_customers(own, places, columns, score, rows.y, np.minimum(rows.counted, rows.weight))
    own.estimate_from_histories()


def _take_customers(fit: _WeightFit, own: JointCustomerEffects) -> None:
    """Let the effects hold every customer's own history, given the population that was fitted."""
    belief = fit.model.model.weights
    if not isinstance(belief, Gaussian):
        return
    here = JointPass(belief.mean, belief.covariance, own.without_customers(), own=True, apart=fit.apart)
    found = fit.parts.customers(ModelColumns.of(fit.model), here)
    if len(found.names):
        places = own.memory.find_or_add(found.names)
        own.set_factors(places, found.natural.astype(np.float64), found.precision.astype(np.float64))


def _weighted_rows(fit: _WeightFit) -> Iterable[tuple[FloatArray, FloatArray, FloatArray]]:
    if fit.progress is not None:
        fit.progress()
    yield from fit.model.weighted_rows(fit.parts.training_batches())

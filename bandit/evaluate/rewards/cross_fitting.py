"""Cross-fitted reward models: each row is predicted by a model that has not seen the row's customer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import numpy as np

from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import fit_scales
from bandit.errors import InputError
from bandit.evaluate.policy_draws import PolicyDraws
from bandit.evaluate.rewards.reward_model import RewardModel
from bandit.evaluate.split import FOLD_SALT, folds_of
from bandit.ope.clusters import ClusterIndex
from bandit.ope.estimators.mrdr import mrdr_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator

    from bandit.domain import Contexts, FloatArray, Log, LoggedBatch
    from bandit.evaluate.candidates import CandidatePolicy
    from bandit.evaluate.propensity.logging_policy import LoggingPolicy
    from bandit.evaluate.request import EvaluationRequest


@runtime_checkable
class AdditiveReward(RewardModel, Protocol):
    """A reward model whose parts, learned on other decisions, add up to the model of all."""

    def __add__(self, other: Self) -> Self:
        """Return the model of the decisions of both, which have encoders of the same scales."""
        ...

    def solve(self) -> object:
        """Compute what predictions need, so that copies of the model need not."""
        ...


class CrossFittedReward:
    """A reward model of one copy a fold, each learned on the other folds.

    Chernozhukov et al. 2018, "Double/debiased machine learning for treatment and structural parameters". The share
    in [0, 1) of each row's customer says in which fold the row is.
    """

    def __init__(self, models: list[RewardModel]) -> None:
        self.models = models

    def learn(self, batch: LoggedBatch, shares: FloatArray, weight: FloatArray | None = None) -> None:
        """Add a batch to the models of all folds but the rows' own; `weight` (n,) besides that of the batch's rows."""
        fold = folds_of(shares, len(self.models))
        batch = replace(batch, contexts=batch.contexts.without_text())
        if batch.stands_for is not None:
            weight = batch.weights if weight is None else batch.weights * weight
        for place, model in enumerate(self.models):
            others = np.flatnonzero(fold != place)
            if weight is None:
                model.learn(batch.take(others))
            else:
                model.learn(batch.take(others), weight[others])

    @property
    def adds(self) -> bool:
        """Whether the models of parts of a log add up to the model of the log."""
        return all(isinstance(model, AdditiveReward) for model in self.models)

    def __add__(self, other: CrossFittedReward) -> CrossFittedReward:
        pairs = zip(self.models, other.models, strict=True)
        return CrossFittedReward(
            [one + two for one, two in pairs if isinstance(one, AdditiveReward) and isinstance(two, AdditiveReward)]
        )

    def predict(self, contexts: Contexts, shares: FloatArray, n_offers: int) -> FloatArray:
        """Return the expected reward of every offer, (n, N)."""
        fold = folds_of(shares, len(self.models))
        table = np.empty((contexts.n, n_offers))
        for place, model in enumerate(self.models):
            rows = np.flatnonzero(fold == place)
            if len(rows):
                table[rows] = model.predict(contexts.take(rows))
        return table


@dataclass(frozen=True, slots=True, eq=False)
class FittedRewards:
    """The reward models of an evaluation: `shared` by all policies, and `robust`, one a policy, for mrdr.

    `shared` is None and `robust` empty where no estimator needs them.
    """

    shared: CrossFittedReward | None = None
    robust: tuple[CrossFittedReward, ...] = ()

    @property
    def adds(self) -> bool:
        """Whether the models of parts of a log add up to those of the log."""
        return all(each.adds for each in (self.shared, *self.robust) if each is not None)

    def solve(self) -> None:
        """Compute what predictions need, so that copies of the models need not."""
        for each in (self.shared, *self.robust):
            for model in each.models if each is not None else ():
                if isinstance(model, AdditiveReward):
                    model.solve()

    def __add__(self, other: FittedRewards) -> FittedRewards:
        shared = self.shared if other.shared is None else other.shared
        if self.shared is not None and other.shared is not None:
            shared = self.shared + other.shared
        return FittedRewards(shared, tuple(one + two for one, two in zip(self.robust, other.robust, strict=True)))


def cross_fitted_reward(make: Callable[[Encoder], RewardModel], encoder: Encoder, folds: int) -> CrossFittedReward:
    """Return a model that has learned nothing yet, of one copy a fold; InputError with fewer than two folds."""
    if folds < 2:
        raise InputError(f"cross-fitting needs at least 2 folds, not {folds}; leave it at 2 if unsure")
    return CrossFittedReward([make(encoder) for _ in range(folds)])


@dataclass(frozen=True, slots=True, eq=False)
class RewardFit:
    """How the reward models of an evaluation are fitted: `untrained` models, and what is needed for those of mrdr.

    `draws` has one entry a candidate where mrdr is asked for.
    """

    request: EvaluationRequest
    untrained: FittedRewards
    candidates: Sequence[CandidatePolicy]
    logging: LoggingPolicy
    draws: tuple[PolicyDraws, ...]

    @staticmethod
    def start(
        log: Log,
        request: EvaluationRequest,
        candidates: Sequence[CandidatePolicy],
        logging: LoggingPolicy,
        make: Callable[[Encoder], RewardModel],
        rng: Generator,
    ) -> RewardFit | None:
        """Return the fit of the models that the estimators need, None where they need none.

        Numeric facts are scaled by the first batch of the log.
        """
        needs = request.estimators.needs
        if not needs & {"predictions", "robust"}:
            return None
        catalogue, size = request.catalogue, request.batch_size
        encoder = Encoder(catalogue, fit_scales(catalogue, next(iter(log.batches(size))).contexts))
        shared = cross_fitted_reward(make, encoder, request.folds)
        robust = tuple(cross_fitted_reward(make, encoder, request.folds) for _ in candidates if "robust" in needs)
        draws = tuple(PolicyDraws(each, request.draw_groups) for each in rng.spawn(len(robust)))
        return RewardFit(request, FittedRewards(shared, robust), candidates, logging, draws)

    def learn(self, log: Log, advance: Callable[[int], None]) -> FittedRewards:
        """Return the models after one pass over a log; `advance` is called with the number of decisions of each batch.

        The models that were not trained yet are those that learn.
        """
        keys, shared, robust = ClusterIndex(FOLD_SALT), self.untrained.shared, self.untrained.robust
        for batch in log.batches(self.request.batch_size):
            shares = keys.read_batch(batch.contexts)[1]
            if shared is not None:
                shared.learn(batch, shares)
            propensity = self.logging.probabilities(batch, shares).propensity if robust else batch.propensity
            for candidate, model, own in zip(self.candidates, robust, self.draws, strict=False):
                table = own.probabilities(candidate, batch, shares)
                target = np.minimum(table[np.arange(len(batch)), batch.offer], 1.0)
                model.learn(batch, shares, mrdr_weights(propensity, target))
            advance(len(batch))
        return self.untrained

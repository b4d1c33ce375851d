"""A Bayesian regression over a catalogue's offers: of the response, of log revenue, or of the raw reward.

The model has only the context columns that have been non-zero in the outcomes learned; the weights of the others are
at their prior, so leaving them out until they appear changes nothing but the size of the matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.encoding.encoder import BINNED_GROUP, Encoder
from bandit.models import BayesianLinear, BayesianLogistic
from bandit.models.arrays import Float32Array
from bandit.models.belief_transfer import TransferredBelief, settled
from bandit.models.logistic import LOGISTIC_BLOCK
from bandit.models.prior import Prior
from bandit.models.shared_design import SharedDesign, WeightDraws
from bandit.policies.thompson.cross_learning import CrossLearning
from bandit.policies.thompson.crosses import FIRST_ROUND, Crosses
from bandit.policies.thompson.methods import LearningMethods
from bandit.policies.thompson.offer_prior import (
    CROSS_DEVIATION,
    RESPONSE_CENTER,
    ModelKind,
    cross_groups,
    weight_groups,
)

FIRST_ESTIMATE = 100
"""Outcomes after which the prior's variances are estimated for the first time."""

ESTIMATE_EVERY = 1.25
"""... and then each time their number has grown by this factor, but not more often than every 100."""

FIRST_BLOCK = 500
"""Most outcomes that an untrained model learns at once, at their exact mode."""

BINNED_EFFECTS_FROM = 10_000
"""Outcomes from which numeric facts have nonlinear effects; before that, their uncertainty would cost exploration."""

FIT_ROUNDS = 6
"""Most rounds in which `fit` looks for crosses."""

TrainingBatches = Callable[[], Iterable[tuple[FloatArray, IntArray, FloatArray, FloatArray, FloatArray | None]]]
"""Yields the same (context columns (n, d), offers, responses or amounts, weights, times) at every call, in batches.

Weights (n,) are those of age, and `times` (n,) how many outcomes each stands for, None where each is one.
"""


@dataclass(frozen=True, slots=True)
class AmountScale:
    """How an amount (log revenue, or a raw reward) is standardised for its prior: (amount - center) / scale."""

    center: float = 0.0
    scale: float = 1.0


class OfferModel:
    """One model over the shared design: of a response (logistic), of log revenue or of a raw reward (linear)."""

    def __init__(
        self,
        kind: ModelKind,
        encoder: Encoder,
        pairs: bool,
        amount_scale: AmountScale | None = None,
        starts: FloatArray | None = None,
        methods: LearningMethods | None = None,
    ) -> None:
        """Start from the prior; `starts` (1 + K,) are prior means of option columns, where they are not 0."""
        self.kind: ModelKind = kind
        self.starts = starts
        self.methods = methods or LearningMethods()
        self.encoder = encoder
        self.amount_scale = amount_scale or AmountScale()
        offers = encoder.offers
        self._pairs = offers.pairs if pairs else np.zeros((encoder.catalogue.n_offers, 0))
        self._owner = np.concatenate([[0], offers.owner + 1]).astype(np.int64)
        self.n_learned = self.n_estimates = 0
        self.crosses: CrossLearning | None = None
        self.prior: Prior
        self._reset(np.array([0], dtype=np.int64))

    def start_over(self, active: IntArray, crosses: Crosses | None = None) -> None:
        """Forget everything, and start from the prior over these context columns, the intercept first, and crosses."""
        self._reset(active)
        if self.crosses is not None and crosses is not None:
            self.crosses.crosses = crosses
            self._lay_out_crosses()

    def _lay_out_crosses(self) -> None:
        """Give each of the present crosses its place in the design and in the prior."""
        self.design = self._design(len(self.active))
        self.prior = self.prior.grown(self._labels(self.active, self.design), self._center(self.design))

    def _reset(self, active: IntArray) -> None:
        """Start from the prior, over these context columns."""
        self.active = active
        self.crosses = None
        groups = weight_groups(self.kind, self.encoder)
        if self.methods.crosses and self.kind != "revenue":
            self.crosses = CrossLearning(self.encoder, self.kind == "response", CROSS_DEVIATION)
            groups += cross_groups()
        self.design = self._design(len(active))
        self.prior = Prior(groups, self._labels(active, self.design), self._center(self.design))
        make = BayesianLogistic if self.kind == "response" else BayesianLinear
        self.model: BayesianLogistic | BayesianLinear = make(self.prior.center, self.prior.variance)
        self._next_estimate = FIRST_ESTIMATE

    def _design(self, n_context: int) -> SharedDesign:
        targets = None if self.crosses is None else self.crosses.crosses.target
        return SharedDesign(self.encoder.offers.shared, self._pairs, n_context, targets)

    def _labels(self, active: IntArray, design: SharedDesign) -> IntArray:
        labels = design.labels(self._owner, self.encoder.context_group[active], len(self.encoder.context_groups))
        if self.crosses is None:
            return labels
        first = len(weight_groups(self.kind, self.encoder)) - 1  # cells have one check or more
        return np.concatenate([labels, first + self.crosses.crosses.cells.n_checks])

    def _center(self, design: SharedDesign) -> FloatArray:
        mean = np.zeros(design.size)
        if self.starts is not None:
            mean[: len(self.starts) * design.n_context : design.n_context] = self.starts
        mean[0] = RESPONSE_CENTER if self.kind == "response" else 0.0
        return mean

    # -- learning --------------------------------------------------------------------------------------------------

    def learn(
        self,
        contexts: FloatArray,
        offer: IntArray,
        y: FloatArray,
        weight: FloatArray | None = None,
        offset: FloatArray | None = None,
    ) -> None:
        """Learn n outcomes: all context columns (n, d), offers (n,), responses of 0 and 1 or amounts (n,).

        `weight` (n,) above 0 counts an outcome as a part of one, or as several: for amounts a whole outcome as several
        only. `offset` (n,) is a fixed part of the score, for responses only. The prior's variances are estimated after
        fixed numbers of outcomes, however these are batched.
        """
        start, n = 0, len(offer)
        while start < n:
            pause = self._next_estimate
            if self.n_learned < BINNED_EFFECTS_FROM:
                pause = min(pause, BINNED_EFFECTS_FROM)
            if self.crosses is not None:
                pause = min(pause, self.n_learned + self.crosses.pause)
            stop = min(n, start + (max(1, pause - self.n_learned) if self.n_learned else FIRST_BLOCK))
            part = slice(start, stop)
            self.activate(contexts[part])
            rows = self._rows(contexts[part], offer[part])
            if isinstance(self.model, BayesianLogistic):
                self.model.update(
                    rows,
                    y[part],
                    None if weight is None else weight[part],
                    None if offset is None else offset[part],
                    LOGISTIC_BLOCK if self.n_learned else FIRST_BLOCK,
                )
            else:
                self.model.update(rows, self._scaled(y[part]), None if weight is None else weight[part])
            if self.crosses is not None:
                shift, share = (np.zeros(n) if offset is None else offset), (np.ones(n) if weight is None else weight)
                self.crosses.sample.add(contexts[part], offer[part], self._scaled(y[part]), share[part], shift[part])
            self.n_learned += stop - start
            start = stop
            if self.n_learned >= self._next_estimate:
                self.prior.estimate(self.model.weights, self._noise)
                self.n_estimates += 1
                self._next_estimate = max(int(self.n_learned * ESTIMATE_EVERY), self.n_learned + FIRST_ESTIMATE)
            if self.crosses is not None and not self.crosses.pause:
                self._find_crosses(self.crosses)

    def _find_crosses(self, crosses: CrossLearning) -> bool:
        """Admit the crosses that the outcomes show; return whether there are any."""
        crosses.begin_round()
        whole = crosses.sample.added == self.n_learned
        found = crosses.find(self.model.weights, self.design, self.active, self._noise, self.prior, whole=whole)
        if found is None:
            return False
        crosses.crosses = crosses.crosses.joined(found.crosses)
        self._lay_out_crosses()
        # The overlap of old and new columns is of a sample: the covariance is made one that outcomes can give.
        known = np.ones(len(found.mean), dtype=np.bool_)
        belief = settled(TransferredBelief(found.mean, found.covariance, known), self.prior.variance)
        self.model.weights.assign(belief.mean, belief.covariance)
        return True

    def restate(
        self,
        contexts: FloatArray,
        offer: IntArray,
        previous_y: FloatArray,
        y: FloatArray,
        weight: FloatArray | None = None,
    ) -> None:
        """Replace the responses or amounts `previous_y` of outcomes learned before, with this `weight`, by `y`."""
        if not len(offer):
            return
        rows = self._rows(contexts, offer)
        if self.crosses is not None:
            self.crosses.sample.replace(contexts, offer, self._scaled(previous_y), self._scaled(y))
        if isinstance(self.model, BayesianLogistic):
            self.model.restate(rows, (y - previous_y) if weight is None else weight * (y - previous_y))
        else:
            self.model.retract(rows, self._scaled(previous_y), weight)
            self.model.update(rows, self._scaled(y), weight)

    def retract(
        self, contexts: FloatArray, offer: IntArray, previous_y: FloatArray, weight: FloatArray | None = None
    ) -> None:
        """Remove amounts learned before, with this `weight`."""
        if len(offer) and isinstance(self.model, BayesianLinear):
            if self.crosses is not None:
                self.crosses.sample.replace(contexts, offer, self._scaled(previous_y), None)
            self.model.retract(self._rows(contexts, offer), self._scaled(previous_y), weight)

    def decay(self, kept: float) -> None:
        """Move the belief towards the prior, keeping a share of what was learned."""
        self.prior.decay(self.model.weights, kept)
        if isinstance(self.model, BayesianLinear):
            self.model.decay(kept)
        if self.crosses is not None:
            self.crosses.sample.decay(kept)

    def fit(self, batches: TrainingBatches, passes: int, progress: Callable[[], None] | None = None) -> None:
        """Learn all batches at once from the prior, with the prior's variances; replaces what was learned before."""
        active = np.zeros(self.encoder.n_context, dtype=np.bool_)
        active[0] = True
        n = 0
        for contexts, offer, _, _, _ in batches():
            active |= (contexts != 0).any(axis=0)
            n += len(offer)
        if n < BINNED_EFFECTS_FROM:
            active &= self.encoder.context_group != BINNED_GROUP
        self._reset(np.flatnonzero(active).astype(np.int64))
        self.n_learned = n
        self._fit_weights(batches, passes, progress)
        if self.crosses is not None:
            self._fit_crosses(self.crosses, batches, passes, progress)
        after = n + FIRST_ESTIMATE if n >= FIRST_ESTIMATE else 0
        self._next_estimate = max(FIRST_ESTIMATE, int(n * ESTIMATE_EVERY), after)

    def _fit_crosses(
        self, crosses: CrossLearning, batches: TrainingBatches, passes: int, progress: Callable[[], None] | None
    ) -> None:
        """Sample the log, and find crosses and fit all weights in turn until no more crosses are found."""
        for contexts, offer, y, weight, times in batches():
            share = weight if times is None else weight * times
            crosses.sample.add(contexts, offer, self._scaled(y), share, np.zeros(len(offer)))
        for _ in range(FIT_ROUNDS):
            if crosses.sample.added < FIRST_ROUND or not self._find_crosses(crosses):
                return
            self._fit_weights(batches, passes, progress)

    def _fit_weights(self, batches: TrainingBatches, passes: int, progress: Callable[[], None] | None) -> None:
        """Learn all batches at once from the prior of the present weights."""
        if isinstance(self.model, BayesianLogistic):
            self.model.fit(lambda: self._weighted_rows(batches, progress), self.prior, passes)
        else:
            self.model = BayesianLinear(self.prior.center, self.prior.variance)
            n = 0
            for contexts, offer, y, weight, times in batches():
                n += len(offer)
                root = np.sqrt(weight)  # an outcome of weight w is one whose noise is 1 / sqrt(w) as large
                self.model.update(root[:, None] * self._rows(contexts, offer), root * self._scaled(y), times)
            if n >= FIRST_ESTIMATE:
                self.prior.estimate(self.model.weights, self._noise, rounds=10)

    def _weighted_rows(
        self, batches: TrainingBatches, progress: Callable[[], None] | None
    ) -> Iterable[tuple[FloatArray, FloatArray, FloatArray]]:
        if progress is not None:
            progress()
        for contexts, offer, y, weight, times in batches():
            yield self._rows(contexts, offer), y, weight if times is None else weight * times

    # -- prediction ------------------------------------------------------------------------------------------------

    def scores(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        """Return the (n,) scores of one offer a row at the belief's mean."""
        return np.asarray(self._rows(contexts, offer) @ self.model.weights.mean)

    def mean_scores(self, contexts: FloatArray, customer_effects: FloatArray | None = None) -> FloatArray:
        """Return the (n, N) logits of the response, or amounts, at the mean, with `customer_effects` (n, 1 + K)."""
        scores = self.design.mean_scores(self.model.weights, self.columns(contexts), customer_effects)
        return scores if self.kind == "response" else scores * self.amount_scale.scale + self.amount_scale.center

    def draw(self, draws: int, width: float, rng: Generator) -> WeightDraws:
        """Return draws of the weights, their deviation scaled by `width`."""
        return self.design.draw(self.model.weights, draws, width * float(np.sqrt(self._noise)), rng)

    def mean_as_draw(self) -> WeightDraws:
        """Return the belief's mean in the form of one draw."""
        return self.design.as_draws(self.model.weights.mean[None, :])

    def draw_scores(
        self,
        drawn: WeightDraws,
        contexts: FloatArray,
        customer_effects: Float32Array | None = None,
        sign: Literal[1, -1] = 1,
    ) -> Float32Array:
        """Return the (n, M, N) scores, as `mean_scores`, under M draws, times `sign`."""
        scores = self.design.draw_scores(drawn, self.columns(contexts), customer_effects, sign)
        if self.kind != "response":
            scores *= np.float32(self.amount_scale.scale)
            scores += np.float32(sign * self.amount_scale.center)
        return scores

    @property
    def _noise(self) -> float:
        """Variance of the noise of standardised amounts; 1 for responses, whose likelihood has none."""
        return self.model.noise if isinstance(self.model, BayesianLinear) else 1.0

    @property
    def noise(self) -> float:
        """Variance of the noise of unstandardised amounts; 0 for responses."""
        return self.model.noise * self.amount_scale.scale**2 if isinstance(self.model, BayesianLinear) else 0.0

    def _scaled(self, y: FloatArray) -> FloatArray:
        return y if self.kind == "response" else (y - self.amount_scale.center) / self.amount_scale.scale

    def columns(self, contexts: FloatArray) -> FloatArray:
        """Return the columns that the weights act on, (n, active + C), of all context columns (n, d)."""
        active = contexts[:, self.active]
        if self.crosses is None or not len(self.crosses.crosses):
            return active
        return np.concatenate([active, self.crosses.columns(contexts)], axis=1)

    def _rows(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        return self.design.rows(self.columns(contexts), offer)

    def activate(self, contexts: FloatArray) -> None:
        """Add the context columns that are not 0 here; binned effects only from BINNED_EFFECTS_FROM outcomes on."""
        nonzero = (contexts != 0).any(axis=0)
        if self.n_learned < BINNED_EFFECTS_FROM:
            nonzero &= self.encoder.context_group != BINNED_GROUP
        nonzero[self.active] = True
        if np.count_nonzero(nonzero) == len(self.active):
            return
        wanted = np.flatnonzero(nonzero).astype(np.int64)
        grown = self._design(len(wanted))
        places = self.design.places_after_growth(np.searchsorted(wanted, self.active), len(wanted))
        self.prior = self.prior.grown(self._labels(wanted, grown), self._center(grown))
        self.model.weights.grow(places, self.prior.center, self.prior.variance)
        self.active, self.design = wanted, grown

    # -- state -----------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
        """Return plain values and arrays, for `restore`."""
        meta: dict[str, object] = {
            "center": self.amount_scale.center,
            "scale": self.amount_scale.scale,
            "learned": self.n_learned,
            "due": self._next_estimate,
        }
        if isinstance(self.model, BayesianLinear):
            meta |= {"shape": self.model.shape, "rate": self.model.rate}
        weights = self.model.weights
        return meta, {
            "active": self.active,
            "mean": weights.mean,
            "covariance": weights.covariance,
            "variances": self.prior.variances,
            **({} if self.crosses is None else self.crosses.state()),
        }

    def restore(self, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Load a state; ValueError or KeyError where it does not fit these offers."""
        active = np.asarray(arrays["active"], dtype=np.int64)
        if not len(active) or active[0] != 0 or active.max() >= self.encoder.n_context or (np.diff(active) < 1).any():
            raise ValueError("it is of another context")
        mean = np.array(arrays["mean"], dtype=np.float64)
        covariance = np.array(arrays["covariance"], dtype=np.float64)
        variances = np.array(arrays["variances"], dtype=np.float64)
        self._reset(active)
        if self.crosses is not None:
            self.crosses.restore(arrays)
            self._lay_out_crosses()
        size = self.design.size
        if mean.shape != (size,) or covariance.shape != (size, size):
            raise ValueError(f"it is of a belief over {len(mean)} weights; these offers have {size}")
        if variances.shape != self.prior.variances.shape or not (variances > 0.0).all():
            raise ValueError("its prior is of other offers")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all() and np.isfinite(variances).all()):
            raise ValueError("it has numbers that are not finite")
        self.prior.variances = variances
        self.amount_scale = AmountScale(_number(meta, "center"), _number(meta, "scale"))
        self.n_learned, self._next_estimate = int(_number(meta, "learned")), int(_number(meta, "due"))
        self.model.weights.assign(mean, covariance)
        if isinstance(self.model, BayesianLinear):
            self.model.shape, self.model.rate = _number(meta, "shape"), _number(meta, "rate")


def _number(meta: Mapping[str, object], key: str) -> float:
    value = meta[key]
    if not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ValueError(f"its {key} is not a finite number")
    return float(value)


def has_revenue(revenue: FloatArray, converted: BoolArray) -> BoolArray:
    """Return which outcomes (n,) inform revenue given a response: those with revenue above 0, for its logarithm."""
    return converted & (revenue > 0.0)

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
from bandit.models.joint_customers import CustomerOutcomes, JointCustomerEffects
from bandit.models.joint_fit import fit_jointly
from bandit.models.logistic import LOGISTIC_BLOCK
from bandit.models.prior import Prior
from bandit.models.shared_design import SharedDesign, WeightDraws
from bandit.policies.thompson.methods import LearningMethods
from bandit.policies.thompson.offer_prior import RESPONSE_CENTER, ModelKind, weight_groups

FIRST_ESTIMATE = 100
"""Outcomes after which the prior's variances are estimated for the first time."""

ESTIMATE_EVERY = 1.25
"""... and then each time their number has grown by this factor, but not more often than every 100."""

FIRST_BLOCK = 500
"""Most outcomes that an untrained model learns at once, at their exact mode."""

BINNED_EFFECTS_FROM = 10_000
"""Outcomes from which numeric facts have nonlinear effects; before that, their uncertainty would cost exploration."""

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
        self._reset(np.array([0], dtype=np.int64))

    def start_over(self, active: IntArray) -> None:
        """Forget everything, and start from the prior over these context columns, the intercept first."""
        self._reset(active)

    def _reset(self, active: IntArray) -> None:
        """Start from the prior, over these context columns."""
        self.active = active
        self.design = SharedDesign(self.encoder.offers.shared, self._pairs, len(active))
        groups = weight_groups(self.kind, self.encoder)
        self.prior = Prior(groups, self._labels(active, self.design), self._center(self.design))
        make = BayesianLogistic if self.kind == "response" else BayesianLinear
        self.model: BayesianLogistic | BayesianLinear = make(self.prior.center, self.prior.variance)
        self._next_estimate = FIRST_ESTIMATE

    def _labels(self, active: IntArray, design: SharedDesign) -> IntArray:
        return design.labels(self._owner, self.encoder.context_group[active], len(self.encoder.context_groups))

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
        own: CustomerOutcomes | None = None,
    ) -> None:
        """Learn n outcomes: all context columns (n, d), offers (n,), responses of 0 and 1 or amounts (n,).

        `weight` (n,) above 0 counts an outcome as a part of one, or as several: for amounts a whole outcome as several
        only. `offset` (n,) is a fixed part of the score, for responses only; with `own` the outcomes' residuals are
        shared with the customers' own effects instead, which are learned too. The prior's variances are estimated
        after fixed numbers of outcomes, however these are batched.
        """
        start, n = 0, len(offer)
        while start < n:
            pause = self._next_estimate
            if self.n_learned < BINNED_EFFECTS_FROM:
                pause = min(pause, BINNED_EFFECTS_FROM)
            stop = min(n, start + (max(1, pause - self.n_learned) if self.n_learned else FIRST_BLOCK))
            part = slice(start, stop)
            self.activate(contexts[part])
            rows = self._rows(contexts[part], offer[part])
            if isinstance(self.model, BayesianLogistic) and own is not None:
                self._learn_jointly(self.model, rows, y[part], None if weight is None else weight[part], own, start)
            elif isinstance(self.model, BayesianLogistic):
                self.model.update(
                    rows,
                    y[part],
                    None if weight is None else weight[part],
                    None if offset is None else offset[part],
                    LOGISTIC_BLOCK if self.n_learned else FIRST_BLOCK,
                )
            else:
                self.model.update(rows, self._scaled(y[part]), None if weight is None else weight[part])
            self.n_learned += stop - start
            start = stop
            if self.n_learned >= self._next_estimate:
                self.prior.estimate(self.model.weights, self._noise)
                self.n_estimates += 1
                if own is not None:
                    own.effects.estimate()
                self._next_estimate = max(int(self.n_learned * ESTIMATE_EVERY), self.n_learned + FIRST_ESTIMATE)

    def _learn_jointly(
        self,
        model: BayesianLogistic,
        rows: FloatArray,
        y: FloatArray,
        weight: FloatArray | None,
        own: CustomerOutcomes,
        first: int,
    ) -> None:
        """Learn the responses of `rows`, which begin at `first` in `own`, in blocks, and their customers' effects."""
        share = np.ones(len(y)) if weight is None else weight
        block = LOGISTIC_BLOCK if self.n_learned else FIRST_BLOCK
        for start in range(0, len(y), block):
            part = slice(start, start + block)
            there = own.block(first + start, first + min(start + block, len(y)))
            there.learn(*model.update_shared(rows[part], y[part], share[part], there.offset, there.covariance))

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
            self.model.retract(self._rows(contexts, offer), self._scaled(previous_y), weight)

    def decay(self, kept: float) -> None:
        """Move the belief towards the prior, keeping a share of what was learned."""
        self.prior.decay(self.model.weights, kept)
        if isinstance(self.model, BayesianLinear):
            self.model.decay(kept)

    def fit(
        self,
        batches: TrainingBatches,
        passes: int,
        progress: Callable[[], None] | None = None,
        own: JointCustomerEffects | None = None,
        places: IntArray | None = None,
    ) -> None:
        """Learn all batches at once from the prior, with the prior's variances; replaces what was learned before.

        With `own`, of which `places` (all outcomes,) are the customers', -1 without one, their effects are fitted too.
        """
        active = np.zeros(self.encoder.n_context, dtype=np.bool_)
        active[0] = True
        n = 0
        for contexts, offer, _, _, _ in batches():
            active |= (contexts != 0).any(axis=0)
            n += len(offer)
        if n < BINNED_EFFECTS_FROM:
            active &= self.encoder.context_group != BINNED_GROUP
        self._reset(np.flatnonzero(active).astype(np.int64))
        if isinstance(self.model, BayesianLogistic) and own is not None and places is not None:
            fit_jointly(
                self.model.weights, lambda: self._joint_rows(batches, progress, places), self.prior, own, passes
            )
        elif isinstance(self.model, BayesianLogistic):
            self.model.fit(lambda: self._weighted_rows(batches, progress), self.prior, passes)
        else:
            for contexts, offer, y, weight, times in batches():
                root = np.sqrt(weight)  # an outcome of weight w is one whose noise is 1 / sqrt(w) as large
                self.model.update(root[:, None] * self._rows(contexts, offer), root * self._scaled(y), times)
            if n >= FIRST_ESTIMATE:
                self.prior.estimate(self.model.weights, self._noise, rounds=10)
        self.n_learned = n
        after = n + FIRST_ESTIMATE if n >= FIRST_ESTIMATE else 0
        self._next_estimate = max(FIRST_ESTIMATE, int(n * ESTIMATE_EVERY), after)

    def _weighted_rows(
        self, batches: TrainingBatches, progress: Callable[[], None] | None
    ) -> Iterable[tuple[FloatArray, FloatArray, FloatArray]]:
        if progress is not None:
            progress()
        for contexts, offer, y, weight, times in batches():
            yield self._rows(contexts, offer), y, weight if times is None else weight * times

    def _joint_rows(
        self, batches: TrainingBatches, progress: Callable[[], None] | None, places: IntArray
    ) -> Iterable[tuple[FloatArray, FloatArray, FloatArray, IntArray, FloatArray]]:
        if progress is not None:
            progress()
        start = 0
        for contexts, offer, y, weight, times in batches():
            part, start = places[start : start + len(y)], start + len(y)
            counted = weight if times is None else weight * times
            yield self._rows(contexts, offer), y, counted, part, np.asarray(self.design.columns[offer])

    # -- prediction ------------------------------------------------------------------------------------------------

    def scores(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        """Return the (n,) scores of one offer a row at the belief's mean."""
        return np.asarray(self._rows(contexts, offer) @ self.model.weights.mean)

    def score_variances(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        """Return the (n,) variances of the scores of one offer a row."""
        rows = self._rows(contexts, offer)
        return np.asarray(((rows @ self.model.weights.covariance) * rows).sum(axis=1))

    def mean_scores(self, contexts: FloatArray, customer_effects: FloatArray | None = None) -> FloatArray:
        """Return the (n, N) logits of the response, or amounts, at the mean, with `customer_effects` (n, 1 + K)."""
        scores = self.design.mean_scores(self.model.weights, contexts[:, self.active], customer_effects)
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
        scores = self.design.draw_scores(drawn, contexts[:, self.active], customer_effects, sign)
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

    def _rows(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        return self.design.rows(contexts[:, self.active], offer)

    def activate(self, contexts: FloatArray) -> None:
        """Add the context columns that are not 0 here; binned effects only from BINNED_EFFECTS_FROM outcomes on."""
        nonzero = (contexts != 0).any(axis=0)
        if self.n_learned < BINNED_EFFECTS_FROM:
            nonzero &= self.encoder.context_group != BINNED_GROUP
        nonzero[self.active] = True
        if np.count_nonzero(nonzero) == len(self.active):
            return
        wanted = np.flatnonzero(nonzero).astype(np.int64)
        grown = SharedDesign(self.encoder.offers.shared, self._pairs, len(wanted))
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

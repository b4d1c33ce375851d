"""One model's weights over a catalogue's offers: which columns are in use, their prior, and the scores they give.

The model has only the context columns that have been non-zero in the outcomes learned; the weights of the others are
at their prior, so leaving them out until they appear changes nothing but the size of the matrices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from bandit.domain import FloatArray, IntArray
from bandit.encoding.encoder import BINNED_GROUP, Encoder
from bandit.errors import PolicyError
from bandit.models import BayesianLinear, BayesianLogistic
from bandit.models.arrays import Float32Array
from bandit.models.block_gaussian import BlockGaussian
from bandit.models.gaussian import Gaussian
from bandit.models.logistic import LOGISTIC_BLOCK
from bandit.models.moving_draws import MovingDraws
from bandit.models.prior import Prior
from bandit.models.rates_of_change import RatesOfChange
from bandit.models.shared_design import SharedDesign, WeightDraws
from bandit.models.tail_weights import RememberedWeights
from bandit.policies.thompson.cross_learning import CrossLearning
from bandit.policies.thompson.crosses import Crosses
from bandit.policies.thompson.fact_blocks import FULL_WEIGHTS, context_blocks
from bandit.policies.thompson.methods import LearningMethods
from bandit.policies.thompson.offer_prior import (
    CROSS_DEVIATION,
    RESPONSE_CENTER,
    ModelKind,
    cross_groups,
    weight_groups,
)

LARGEST_SCALED = 1e30
"""Largest standardised amount that is learned: draws are in single precision, which ends at 3e38."""

FIRST_ESTIMATE = 100
"""Outcomes after which the prior's variances are estimated for the first time."""

ROWS_HELD = 4 * LOGISTIC_BLOCK
"""Most rows of very many weights that are held at once; no fewer than FIRST_BLOCK."""

BINNED_EFFECTS_FROM = 10_000
"""Outcomes from which numeric facts have nonlinear effects; before that, their uncertainty would cost exploration."""


@dataclass(frozen=True, slots=True)
class AmountScale:
    """How an amount (log revenue, or a raw reward) is standardised for its prior: (amount - center) / scale."""

    center: float = 0.0
    scale: float = 1.0

    def standardised(self, y: FloatArray) -> FloatArray:
        """Return amounts (n,) in these units, within +-LARGEST_SCALED."""
        if len(y) == 1:  # several times faster than an array of one
            return np.array([min(max((y.item() - self.center) / self.scale, -LARGEST_SCALED), LARGEST_SCALED)])
        with np.errstate(over="ignore"):  # a quotient beyond what a float holds ends at the clip
            return np.clip((y - self.center) / self.scale, -LARGEST_SCALED, LARGEST_SCALED)


class OfferScores:
    """The weights of one model over the shared design, and the scores of offers that they give."""

    def __init__(
        self,
        kind: ModelKind,
        encoder: Encoder,
        pairs: bool,
        amount_scale: AmountScale | None = None,
        starts: FloatArray | None = None,
        methods: LearningMethods | None = None,
        draws: MovingDraws | None = None,
        declared_half_life: bool = False,
    ) -> None:
        """Start from the prior; `starts` (1 + K,) are prior means of option columns, where they are not 0.

        `draws` are draws that move with the belief, where they are wanted. With a declared half-life the contrasts' own
        is not estimated.
        """
        self.kind: ModelKind = kind
        self.starts = starts
        self.methods = methods or LearningMethods()
        self.moving = draws
        self._declared_half_life = declared_half_life
        self.encoder = encoder
        self.amount_scale = amount_scale or AmountScale()
        offers = encoder.offers
        self._pairs = offers.pairs if pairs else np.zeros((encoder.catalogue.n_offers, 0))
        self._owner = np.concatenate([[0], offers.owner + 1]).astype(np.int64)
        self.n_learned = self.n_estimates = 0
        self.crosses: CrossLearning | None = None
        self.prior: Prior
        self.reset(np.array([0], dtype=np.int64))

    def start_over(self, active: IntArray, crosses: Crosses | None = None) -> None:
        """Forget everything, and start from the prior over these context columns, the intercept first, and crosses."""
        self.reset(active)
        if self.crosses is not None and crosses is not None:
            self.crosses.crosses = crosses
            self.lay_out_crosses()
            self.start_model()

    def reset(self, active: IntArray) -> None:
        """Start from the prior, over these context columns."""
        self._use_columns(active)
        self.crosses = None
        groups = weight_groups(self.kind, self.encoder)
        if self.methods.crosses and self.kind != "revenue":
            self.crosses = CrossLearning(self.encoder, self.kind == "response", CROSS_DEVIATION)
            groups += cross_groups()
        self.design = self._design(len(active))
        self.prior = Prior(groups, self._labels(active, self.design), self._center(self.design))
        self.start_model()
        self.next_estimate = FIRST_ESTIMATE

    def lay_out_crosses(self) -> None:
        """Give each of the present crosses its place in the design and in the prior."""
        self.design = self._design(len(self.active))
        self.prior = self.prior.grown(self._labels(self.active, self.design), self._center(self.design))

    def start_model(self) -> None:
        """Start from the prior over the present weights."""
        make = BayesianLogistic if self.kind == "response" else BayesianLinear
        blocks = self._blocks(self.active, self.design)
        self.model: BayesianLogistic | BayesianLinear = make(self.prior.center, self.prior.variance, blocks=blocks)
        if self.moving is not None:
            self.moving.stale = True
            self.model.weights.draws = self.moving
        if self.methods.memories:
            self.model.rates = RatesOfChange(contrasts=not self._declared_half_life)
        # Not for raw rewards: where most are 0, the few that are not are no outliers.
        self.remembered = RememberedWeights() if self.methods.robust and self.kind == "revenue" else None

    # -- columns and prior ---------------------------------------------------------------------------------------------

    def _use_columns(self, active: IntArray) -> None:
        """Set the context columns in use; the others come into use where they are not 0, binned effects later."""
        self.active = active
        unused = np.delete(np.arange(self.encoder.n_context), active)
        binned = self.encoder.context_group[unused] == BINNED_GROUP
        self._unused = (unused[~binned], unused)

    def _design(self, n_context: int) -> SharedDesign:
        targets = None if self.crosses is None else self.crosses.crosses.target
        return SharedDesign(self.encoder.offers.shared, self._pairs, n_context, targets)

    def _labels(self, active: IntArray, design: SharedDesign) -> IntArray:
        labels = design.labels(self._owner, self.encoder.context_group[active], len(self.encoder.context_groups))
        if self.crosses is None:
            return labels
        first = len(weight_groups(self.kind, self.encoder)) - 1  # cells have one check or more
        return np.concatenate([labels, first + self.crosses.crosses.cells.n_checks])

    def _blocks(self, active: IntArray, design: SharedDesign) -> IntArray | None:
        """Return the (D,) blocks in which the covariance is held, None where it is held whole."""
        if not self.methods.blocks or design.first_cross <= FULL_WEIGHTS:
            return None
        return design.blocks(context_blocks(self.encoder)[active])

    def _center(self, design: SharedDesign) -> FloatArray:
        mean = np.zeros(design.size)
        if self.starts is not None:
            mean[: len(self.starts) * design.n_context : design.n_context] = self.starts
        mean[0] = RESPONSE_CENTER if self.kind == "response" else 0.0
        return mean

    @property
    def uses_binned_effects(self) -> bool:
        """Whether enough outcomes have been learned for binned effects of numeric facts."""
        return self.n_learned >= BINNED_EFFECTS_FROM

    def activate(self, contexts: FloatArray) -> None:
        """Add the context columns that are not 0 here; binned effects only from BINNED_EFFECTS_FROM outcomes on."""
        unused = self._unused[self.uses_binned_effects]
        if not np.count_nonzero(contexts.take(unused, axis=1)):
            return
        nonzero = (contexts != 0).any(axis=0)
        if not self.uses_binned_effects:
            nonzero &= self.encoder.context_group != BINNED_GROUP
        nonzero[self.active] = True
        wanted = np.flatnonzero(nonzero).astype(np.int64)
        grown = self._design(len(wanted))
        places = self.design.places_after_growth(np.searchsorted(wanted, self.active), len(wanted))
        before = self.prior.variance
        self.prior = self.prior.grown(self._labels(wanted, grown), self._center(grown))
        weights, blocks = self.model.weights, self._blocks(wanted, grown)
        if blocks is not None and isinstance(weights, Gaussian):
            weights = self.model.weights = BlockGaussian.of(weights, before, blocks[places])
        weights.grow(places, self.prior.center, self.prior.variance, blocks)
        if self.model.rates is not None:
            self.model.rates.grow(places, self.prior.center, self.prior.variance)
        self._use_columns(wanted)
        self.design = grown

    def columns(self, contexts: FloatArray) -> FloatArray:
        """Return the columns that the weights act on, (n, active + C), of all context columns (n, d)."""
        active = contexts.take(self.active, axis=1)
        if self.crosses is None or not len(self.crosses.crosses):
            return active
        return np.concatenate([active, self.crosses.columns(contexts)], axis=1)

    def rows(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        """Return the rows (n, D) of one offer (n,) for each of n contexts (n, d)."""
        return self.design.rows(self.columns(contexts), offer)

    def row(self, contexts: FloatArray, offer: int) -> FloatArray:
        """Return the row (D,) of one offer for one context (1, d), whose columns come into use."""
        self.activate(contexts)
        return self.design.row(self.columns(contexts)[0], offer)

    def slices(self, n: int) -> Iterator[slice]:
        """Yield parts of n outcomes; those of very many weights are not held all at once."""
        at_once = max(1, n) if isinstance(self.model.weights, Gaussian) else ROWS_HELD
        for start in range(0, n, at_once):
            yield slice(start, min(n, start + at_once))

    # -- scores --------------------------------------------------------------------------------------------------------

    def scores(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        """Return the (n,) scores of one offer a row at the belief's mean."""
        mean = self.model.weights.mean
        parts = [self.rows(contexts[part], offer[part]) @ mean for part in self.slices(len(offer))]
        return np.concatenate([np.zeros(0), *parts])

    def score_one(self, row: FloatArray) -> float:
        """Return the score of one row (D,) at the belief's mean: that of `scores`."""
        return float((row[None] @ self.model.weights.mean)[0])

    def score_variances(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        """Return the (n,) variances of the scores of one offer a row."""
        weights = self.model.weights
        parts = [weights.spread(self.rows(contexts[part], offer[part])) for part in self.slices(len(offer))]
        return np.concatenate([np.zeros(0), *parts])

    def mean_scores(self, contexts: FloatArray, customer_effects: FloatArray | None = None) -> FloatArray:
        """Return the (n, N) logits of the response, or amounts, at the mean, with `customer_effects` (n, 1 + K)."""
        scores = self.design.mean_scores(self.model.weights, self.columns(contexts), customer_effects)
        return scores if self.kind == "response" else scores * self.amount_scale.scale + self.amount_scale.center

    def draw(self, draws: int, width: float, rng: Generator) -> WeightDraws:
        """Return draws of the weights, their deviation scaled by `width`."""
        return self.design.draw(self.model.weights, draws, width * float(np.sqrt(self.unit)), rng)

    def moving_draws(self, number: int, draws: int, width: float) -> WeightDraws:
        """Return set `number` of the draws that move with the belief, their deviation scaled by `width`."""
        weights = self.model.weights
        if weights.draws is None:
            raise PolicyError("this policy's draws do not move with its belief; draw them")
        values = weights.draws.values[number * draws : (number + 1) * draws]
        drawn = (width * float(np.sqrt(self.unit)) * values).astype(np.float64)
        drawn += weights.mean
        return self.design.as_draws(drawn)

    def mean_as_draw(self) -> WeightDraws:
        """Return the belief's mean in the form of one draw."""
        return self.design.as_draws(self.model.weights.mean[None, :])

    def draw_scores(
        self,
        drawn: WeightDraws,
        contexts: FloatArray,
        customer_effects: Float32Array | None = None,
        sign: Literal[1, -1] = 1,
        out: Float32Array | None = None,
    ) -> Float32Array:
        """Return the (n, M, N) scores, as `mean_scores`, under M draws, times `sign`; in `out`, where it is given."""
        scores = self.design.draw_scores(drawn, self.columns(contexts), customer_effects, sign, out)
        if self.kind != "response":
            scores *= np.float32(self.amount_scale.scale)
            scores += np.float32(sign * self.amount_scale.center)
        return scores

    @property
    def unit(self) -> float:
        """Variance of the noise of standardised amounts; 1 for responses, whose likelihood has none."""
        return self.model.noise if isinstance(self.model, BayesianLinear) else 1.0

    @property
    def noise(self) -> float:
        """Variance of the noise of unstandardised amounts; 0 for responses."""
        return self.model.noise * self.amount_scale.scale**2 if isinstance(self.model, BayesianLinear) else 0.0

    def scaled(self, y: FloatArray) -> FloatArray:
        """Return responses as they are, and amounts standardised, (n,)."""
        return y if self.kind == "response" else self.amount_scale.standardised(y)

"""A Bayesian regression over a catalogue's offers: of the response, of log revenue, or of the raw reward.

The model has only the context columns that have been non-zero in the outcomes learned; the weights of the others are
at their prior, so leaving them out until they appear changes nothing but the size of the matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.encoding.encoder import BINNED_GROUP, Encoder
from bandit.errors import PolicyError
from bandit.models import BayesianLinear, BayesianLogistic
from bandit.models.arrays import Float32Array
from bandit.models.belief_transfer import TransferredBelief, settled
from bandit.models.block_gaussian import BlockGaussian
from bandit.models.gaussian import Gaussian
from bandit.models.joint_customers import CustomerOutcomes, JointCustomerEffects
from bandit.models.joint_fit import fit_jointly, learn_customers
from bandit.models.logistic import LOGISTIC_BLOCK
from bandit.models.moving_draws import MovingDraws
from bandit.models.prior import Prior
from bandit.models.rates_of_change import RatesOfChange
from bandit.models.shared_design import SharedDesign, WeightDraws
from bandit.models.tail_weights import RememberedWeights, tail_weights
from bandit.policies.thompson.amount_fit import TrainingBatch, TrainingBatches, fit_amounts
from bandit.policies.thompson.cross_learning import CrossLearning
from bandit.policies.thompson.crosses import FIRST_ROUND, Crosses
from bandit.policies.thompson.fact_blocks import FULL_WEIGHTS, context_blocks
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

LARGEST_SCALED = 1e30
"""Largest standardised amount that is learned: draws are in single precision, which ends at 3e38."""

QUICK_WEIGHTS = 1_000
"""Most weights with which learning one outcome, which takes time by their square, takes no longer than a decision."""

FIRST_BLOCK = 500
"""Most outcomes that an untrained model learns at once, at their exact mode."""

ROWS_HELD = 4 * LOGISTIC_BLOCK
"""Most rows of very many weights that are held at once; no fewer than FIRST_BLOCK."""

BINNED_EFFECTS_FROM = 10_000
"""Outcomes from which numeric facts have nonlinear effects; before that, their uncertainty would cost exploration."""

FIT_ROUNDS = 6
"""Most rounds in which `fit` looks for crosses."""
RATES_PART = "rates/"
"""The beginning of the names of arrays of rates of change in a state."""

RATES_OF_WEIGHTS = tuple(RATES_PART + name for name in ("means", "looser", "sums", "evidence"))
"""Those of the arrays that are of these weights, in this order."""


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
        self._draws = draws
        self._declared_half_life = declared_half_life
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
            self._start_model()

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
        self._start_model()
        self._next_estimate = FIRST_ESTIMATE

    def _start_model(self) -> None:
        """Start from the prior over the present weights."""
        make = BayesianLogistic if self.kind == "response" else BayesianLinear
        blocks = self._blocks(self.active, self.design)
        self.model: BayesianLogistic | BayesianLinear = make(self.prior.center, self.prior.variance, blocks=blocks)
        if self._draws is not None:
            self._draws.stale = True
            self.model.weights.draws = self._draws
        if self.methods.memories:
            self.model.rates = RatesOfChange(contrasts=not self._declared_half_life)
        # Not for raw rewards: where most are 0, the few that are not are no outliers.
        self.remembered = RememberedWeights() if self.methods.robust and self.kind == "revenue" else None

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

    @property
    def _searched_crosses(self) -> CrossLearning | None:
        """Where more crosses are looked for: nowhere where the covariance is held in blocks."""
        return self.crosses if isinstance(self.model.weights, Gaussian) else None

    def _slices(self, n: int) -> Iterator[slice]:
        """Yield parts of n outcomes; those of very many weights are not held all at once."""
        at_once = max(1, n) if isinstance(self.model.weights, Gaussian) else ROWS_HELD
        for start in range(0, n, at_once):
            yield slice(start, min(n, start + at_once))

    def _parts(self, batches: TrainingBatches) -> Iterator[TrainingBatch]:
        """Yield the batches in such parts."""
        for contexts, offer, y, weight, times in batches():
            for part in self._slices(len(offer)):
                counted = None if times is None else times[part]
                yield contexts[part], offer[part], y[part], weight[part], counted

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
            searched = self._searched_crosses
            if searched is not None:
                pause = min(pause, self.n_learned + searched.pause)
            stop = min(n, start + (max(1, pause - self.n_learned) if self.n_learned else FIRST_BLOCK))
            self.activate(contexts[start:stop])
            stop = start + next(self._slices(stop - start)).stop
            part = slice(start, stop)
            rows = self._rows(contexts[part], offer[part])
            shift = np.zeros(stop - start) if offset is None else offset[part]
            told = np.ones(stop - start)
            if isinstance(self.model, BayesianLogistic) and own is not None:
                share = None if weight is None else weight[part]
                shift, told = self._learn_jointly(self.model, rows, y[part], share, own, start)
            elif isinstance(self.model, BayesianLogistic):
                self.model.update(
                    rows,
                    y[part],
                    None if weight is None else weight[part],
                    None if offset is None else offset[part],
                    LOGISTIC_BLOCK if self.n_learned else FIRST_BLOCK,
                )
            else:
                tails = self._tails(rows, offer[part], y[part])
                self.model.update(rows, self._scaled(y[part]), None if weight is None else weight[part], tails)
            if searched is not None:
                counted = told if weight is None else told * weight[part]
                searched.sample.add(contexts[part], offer[part], self._scaled(y[part]), counted, shift)
            self.n_learned += stop - start
            start = stop
            if self.n_learned >= self._next_estimate:
                self._estimate_prior()
                self.n_estimates += 1
                if own is not None:
                    own.effects.estimate()
                self._next_estimate = max(int(self.n_learned * ESTIMATE_EVERY), self.n_learned + FIRST_ESTIMATE)
            if searched is not None and not searched.pause:
                self._find_crosses(searched)

    def _find_crosses(self, crosses: CrossLearning) -> bool:
        """Admit the crosses that the outcomes show; return whether there are any."""
        belief = self.model.weights
        if not isinstance(belief, Gaussian):
            return False
        crosses.begin_round()
        whole = crosses.sample.added == self.n_learned
        found = crosses.find(belief, self.design, self.active, self._noise, self.prior, whole=whole)
        if found is None:
            return False
        crosses.crosses = crosses.crosses.joined(found.crosses)
        self._lay_out_crosses()
        # The overlap of old and new columns is of a sample: the covariance is made one that outcomes can give.
        known = np.ones(len(found.mean), dtype=np.bool_)
        joint = settled(TransferredBelief(found.mean, found.covariance, known), self.prior.variance)
        belief.assign(joint.mean, joint.covariance)
        if self.model.rates is not None:
            self.model.rates.restart(belief, self.prior.variance)
        return True

    def _estimate_prior(self) -> None:
        belief = self.model.weights
        before = belief.mean.copy()
        self.prior.estimate(belief, self._noise)
        if self.model.rates is not None:
            self.model.rates.replace_prior(belief.mean - before, self.prior.variance)

    def pass_time(self, days: float) -> None:
        """Move the belief by the rates of change that are known of it; without the method `memories`, nothing."""
        if self.model.rates is not None:
            kept = self.model.rates.pass_time(days, self.model.weights, self.prior, self.n_learned, self._noise)
            if kept < 1.0 and self.crosses is not None:
                self.crosses.sample.decay(kept)

    def _tails(self, rows: FloatArray, offer: IntArray, y: FloatArray) -> FloatArray | None:
        """Return the robust weights of new amounts (n,), and remember those below 1; None where all are 1."""
        if self.remembered is None or not isinstance(self.model, BayesianLinear):
            return None
        scaled = self._scaled(y)
        if self.n_learned:
            tails = tail_weights(self.model.predictive_squares(rows, scaled))
        else:
            tails = self.model.joint_tails(rows, scaled)
        self.remembered.add(offer, y, tails)
        return None if (tails == 1.0).all() else tails

    def _learn_jointly(
        self,
        model: BayesianLogistic,
        rows: FloatArray,
        y: FloatArray,
        weight: FloatArray | None,
        own: CustomerOutcomes,
        first: int,
    ) -> tuple[FloatArray, FloatArray]:
        """Learn the responses of `rows`, which begin at `first` in `own`, in blocks, and their customers' effects.

        Return what these added to each score (n,) before it was learned, and how much of what each outcome says is of
        the population (n,): where the customers' part of a score has the variance v, 1 / (1 + curvature x v).
        """
        offset, told = np.empty(len(y)), np.empty(len(y))
        share = np.ones(len(y)) if weight is None else weight
        block = LOGISTIC_BLOCK if self.n_learned else FIRST_BLOCK
        for start in range(0, len(y), block):
            part = slice(start, start + block)
            there = own.block(first + start, first + min(start + block, len(y)))
            offset[part] = there.offset
            if self.crosses is not None:
                chance = expit(rows[part] @ model.weights.mean + there.offset)
                told[part] = 1.0 / (1.0 + share[part] * chance * (1.0 - chance) * np.diagonal(there.covariance))
            there.learn(*model.update_shared(rows[part], y[part], share[part], there.offset, there.covariance))
        return offset, told

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
        if self.crosses is not None:
            self.crosses.sample.replace(contexts, offer, self._scaled(previous_y), self._scaled(y))
        for part in self._slices(len(offer)):
            rows, counted = self._rows(contexts[part], offer[part]), None if weight is None else weight[part]
            if isinstance(self.model, BayesianLogistic):
                change = y[part] - previous_y[part]
                self.model.restate(rows, change if counted is None else counted * change)
            else:
                self.model.retract(rows, self._scaled(previous_y[part]), counted)
                self.model.update(rows, self._scaled(y[part]), counted)

    def retract(
        self, contexts: FloatArray, offer: IntArray, previous_y: FloatArray, weight: FloatArray | None = None
    ) -> None:
        """Remove amounts learned before, with this `weight`."""
        if len(offer) and isinstance(self.model, BayesianLinear):
            if self._searched_crosses is not None:
                self._searched_crosses.sample.replace(contexts, offer, self._scaled(previous_y), None)
            for part in self._slices(len(offer)):
                rows, counted = self._rows(contexts[part], offer[part]), None if weight is None else weight[part]
                tails = None if self.remembered is None else self.remembered.take(offer[part], previous_y[part])
                self.model.retract(rows, self._scaled(previous_y[part]), counted, tails)

    @property
    def is_finite(self) -> bool:
        """Whether the weights' means and the noise are finite: a sum with a number that is not finite is not."""
        return math.isfinite(np.add.reduce(self.model.weights.mean)) and math.isfinite(self._noise)

    def is_quick(self, n: int) -> bool:
        """Whether learning n outcomes estimates no variances, looks for no crosses, and each costs little."""
        if n == 0:
            return True
        no_round = self.crosses is None or n < self.crosses.pause
        return no_round and self.n_learned + n < self._next_estimate and self.design.size <= QUICK_WEIGHTS

    def shared(self) -> Iterator[object]:
        """Yield the parts that no update changes."""
        yield from (self.design, self._pairs, self._owner, self.methods, self.prior.groups)

    def decay(self, kept: float) -> None:
        """Move the belief towards the prior, keeping a share of what was learned."""
        self.prior.decay(self.model.weights, kept)
        if isinstance(self.model, BayesianLinear):
            self.model.decay(kept)
        if self.crosses is not None:
            self.crosses.sample.decay(kept)

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
        self.n_learned = n
        self._fit_weights(batches, passes, progress, own, places)
        if self._searched_crosses is not None:
            self._fit_crosses(self._searched_crosses, batches, passes, progress, own, places)
        after = n + FIRST_ESTIMATE if n >= FIRST_ESTIMATE else 0
        self._next_estimate = max(FIRST_ESTIMATE, int(n * ESTIMATE_EVERY), after)

    def _fit_crosses(
        self,
        crosses: CrossLearning,
        batches: TrainingBatches,
        passes: int,
        progress: Callable[[], None] | None,
        own: JointCustomerEffects | None,
        places: IntArray | None,
    ) -> None:
        """Sample the log, and find crosses and fit all weights in turn until no more crosses are found."""
        for contexts, offer, y, weight, times in batches():
            share = weight if times is None else weight * times
            crosses.sample.add(contexts, offer, self._scaled(y), share, np.zeros(len(offer)))
        for _ in range(FIT_ROUNDS):
            if crosses.sample.added < FIRST_ROUND or not self._find_crosses(crosses):
                return
            self._fit_weights(batches, passes, progress, own, places)

    def _fit_weights(
        self,
        batches: TrainingBatches,
        passes: int,
        progress: Callable[[], None] | None,
        own: JointCustomerEffects | None,
        places: IntArray | None,
    ) -> None:
        """Learn all batches at once from the prior of the present weights."""
        if isinstance(self.model, BayesianLogistic) and own is not None and places is not None:
            belief = self.model.weights
            if isinstance(belief, Gaussian) and all(times is None for *_, times in batches()):
                fit_jointly(belief, lambda: self._joint_rows(batches, progress, places), self.prior, own, passes)
            else:  # of very many weights, or decisions that stand for others': the customers by what is left
                self.model.fit(lambda: self._weighted_rows(batches, progress), self.prior, passes)
                for (rows, y, counted, at, columns), (*_, weight, _) in zip(
                    self._joint_rows(batches, None, places), batches(), strict=True
                ):
                    learn_customers(own, at, columns, rows @ belief.mean, y, np.minimum(counted, weight))
                own.estimate()
        elif isinstance(self.model, BayesianLogistic):
            self.model.fit(lambda: self._weighted_rows(batches, progress), self.prior, passes)
        else:
            self._start_model()
            n = sum(len(offer) for _, offer, _, _, _ in batches())
            fit_amounts(self.model, lambda: self._parts(batches), self._rows, self._scaled, self.remembered)
            if n < FIRST_ESTIMATE:
                return
            self.prior.estimate(self.model.weights, self._noise, rounds=10)
            if not isinstance(self.model.weights, Gaussian):  # blocks follow another prior each by itself
                self._start_model()
                fit_amounts(self.model, lambda: self._parts(batches), self._rows, self._scaled, self.remembered)

    def _weighted_rows(
        self, batches: TrainingBatches, progress: Callable[[], None] | None
    ) -> Iterable[tuple[FloatArray, FloatArray, FloatArray]]:
        if progress is not None:
            progress()
        for contexts, offer, y, weight, times in self._parts(batches):
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
        mean = self.model.weights.mean
        parts = [self._rows(contexts[part], offer[part]) @ mean for part in self._slices(len(offer))]
        return np.concatenate([np.zeros(0), *parts])

    def score_variances(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        """Return the (n,) variances of the scores of one offer a row."""
        weights = self.model.weights
        parts = [weights.spread(self._rows(contexts[part], offer[part])) for part in self._slices(len(offer))]
        return np.concatenate([np.zeros(0), *parts])

    def mean_scores(self, contexts: FloatArray, customer_effects: FloatArray | None = None) -> FloatArray:
        """Return the (n, N) logits of the response, or amounts, at the mean, with `customer_effects` (n, 1 + K)."""
        scores = self.design.mean_scores(self.model.weights, self.columns(contexts), customer_effects)
        return scores if self.kind == "response" else scores * self.amount_scale.scale + self.amount_scale.center

    def draw(self, draws: int, width: float, rng: Generator) -> WeightDraws:
        """Return draws of the weights, their deviation scaled by `width`."""
        return self.design.draw(self.model.weights, draws, width * float(np.sqrt(self._noise)), rng)

    def moving_draws(self, number: int, draws: int, width: float) -> WeightDraws:
        """Return set `number` of the draws that move with the belief, their deviation scaled by `width`."""
        weights = self.model.weights
        if weights.draws is None:
            raise PolicyError("this policy's draws do not move with its belief; draw them")
        values = weights.draws.values[number * draws : (number + 1) * draws]
        return self.design.as_draws(weights.mean + width * float(np.sqrt(self._noise)) * values)

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
        if self.kind == "response":
            return y
        center, scale = self.amount_scale.center, self.amount_scale.scale
        if len(y) == 1:  # several times faster than an array of one
            return np.array([min(max((y.item() - center) / scale, -LARGEST_SCALED), LARGEST_SCALED)])
        with np.errstate(over="ignore"):  # a quotient beyond what a float holds ends at the clip
            return np.clip((y - center) / scale, -LARGEST_SCALED, LARGEST_SCALED)

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
        before = self.prior.variance
        self.prior = self.prior.grown(self._labels(wanted, grown), self._center(grown))
        weights, blocks = self.model.weights, self._blocks(wanted, grown)
        if blocks is not None and isinstance(weights, Gaussian):
            weights = self.model.weights = BlockGaussian.of(weights, before, blocks[places])
        weights.grow(places, self.prior.center, self.prior.variance, blocks)
        if self.model.rates is not None:
            self.model.rates.grow(places, self.prior.center, self.prior.variance)
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
        arrays: dict[str, NDArray[np.generic]] = {
            "active": self.active,
            "mean": weights.mean,
            **weights.state(),
            "variances": self.prior.variances,
            **({} if weights.draws is None else weights.draws.state()),
            **({} if self.crosses is None else self.crosses.state()),
            **({} if self.remembered is None else self.remembered.state()),
        }
        if self.model.rates is not None:
            meta["rates"], parts = self.model.rates.state()
            arrays |= {f"{RATES_PART}{name}": array for name, array in parts.items()}
        return meta, arrays

    def restore(self, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Load a state; ValueError or KeyError where it does not fit these offers."""
        active = np.asarray(arrays["active"], dtype=np.int64)
        if not len(active) or active[0] != 0 or active.max() >= self.encoder.n_context or (np.diff(active) < 1).any():
            raise ValueError("it is of another context")
        mean = np.array(arrays["mean"], dtype=np.float64)
        variances = np.array(arrays["variances"], dtype=np.float64)
        self._reset(active)
        if self.crosses is not None:
            self.crosses.restore(arrays)
            self._lay_out_crosses()
            self._start_model()
        if variances.shape != self.prior.variances.shape or not (variances > 0.0).all():
            raise ValueError("its prior is of other offers")
        if not np.isfinite(variances).all():
            raise ValueError("it has numbers that are not finite")
        self.prior.variances = variances
        self.amount_scale = AmountScale(_number(meta, "center"), _number(meta, "scale"))
        self.n_learned, self._next_estimate = int(_number(meta, "learned")), int(_number(meta, "due"))
        self.model.weights.restore(mean, arrays, self.prior.variance)
        if self._draws is not None:
            draws = MovingDraws.restored(self._draws.count, self.design.size, arrays)
            self._draws = self.model.weights.draws = draws
        if isinstance(self.model, BayesianLinear):
            self.model.shape, self.model.rate = _number(meta, "shape"), _number(meta, "rate")
        if self.model.rates is not None and "rates" in meta:  # the state carried from another policy may have none
            rates = meta["rates"]
            if not isinstance(rates, dict):
                raise TypeError("its rates of change are not a mapping")
            parts = {
                name.removeprefix(RATES_PART): array for name, array in arrays.items() if name.startswith(RATES_PART)
            }
            self.model.rates.restore(rates, parts, self.model.weights, self.prior.variance)
        if self.remembered is not None:
            self.remembered = RememberedWeights.restored(arrays)


def _number(meta: Mapping[str, object], key: str) -> float:
    value = meta[key]
    if not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ValueError(f"its {key} is not a finite number")
    return float(value)


def has_revenue(revenue: FloatArray, converted: BoolArray) -> BoolArray:
    """Return which outcomes (n,) inform revenue given a response: those with revenue above 0, for its logarithm."""
    return converted & (revenue > 0.0)

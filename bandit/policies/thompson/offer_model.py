"""A Bayesian regression over a catalogue's offers: of the response, of log revenue, or of the raw reward."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bandit.domain import FloatArray, IntArray
from bandit.models import BayesianLinear, BayesianLogistic
from bandit.models.belief_transfer import TransferredBelief, settled
from bandit.models.gaussian import Gaussian
from bandit.models.joint_customers import CustomerOutcomes, JointCustomerEffects, OneCustomerOutcome
from bandit.models.logistic import LOGISTIC_BLOCK
from bandit.models.tail_weights import tail_weights
from bandit.policies.thompson.amount_fit import TrainingBatch
from bandit.policies.thompson.cross_learning import CrossLearning
from bandit.policies.thompson.offer_fit import fit_offer_model
from bandit.policies.thompson.offer_scores import BINNED_EFFECTS_FROM, FIRST_ESTIMATE, OfferScores
from bandit.policies.thompson.offer_state import restore_offer_model, state_of_offer_model

if TYPE_CHECKING:
    from bandit.policies.thompson.part_fit import PartFit

ESTIMATE_EVERY = 1.25
"""Factor of the number of outcomes after which the prior's variances are estimated again, but not more often than every
FIRST_ESTIMATE outcomes."""

QUICK_COVARIANCES = 1_000_000
"""Most covariances of weights with which learning one outcome, which changes all of them, takes about as long as a
decision: those of 1,000 weights, or of several thousand in blocks."""

FIRST_BLOCK = 500
"""Most outcomes that an untrained model learns at once, at their exact mode."""


class OfferModel(OfferScores):
    """One model over the shared design: of a response (logistic), of log revenue or of a raw reward (linear)."""

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
            pause = self.next_estimate
            if self.n_learned < BINNED_EFFECTS_FROM:
                pause = min(pause, BINNED_EFFECTS_FROM)
            searched = self.searched_crosses
            if searched is not None:
                pause = min(pause, self.n_learned + searched.pause)
            stop = min(n, start + (max(1, pause - self.n_learned) if self.n_learned else FIRST_BLOCK))
            self.activate(contexts[start:stop])
            stop = start + next(self.slices(stop - start)).stop
            part = slice(start, stop)
            rows = self.rows(contexts[part], offer[part])
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
                self.model.update(rows, self.scaled(y[part]), None if weight is None else weight[part], tails)
            if searched is not None:
                counted = told if weight is None else told * weight[part]
                searched.sample.add(contexts[part], offer[part], self.scaled(y[part]), counted, shift)
            self.n_learned += stop - start
            start = stop
            if self.n_learned >= self.next_estimate:
                self._estimate_prior()
                self.n_estimates += 1
                if own is not None:
                    own.effects.estimate()
                self.next_estimate = max(int(self.n_learned * ESTIMATE_EVERY), self.n_learned + FIRST_ESTIMATE)
            if searched is not None and not searched.pause:
                self.find_crosses(searched)

    def learn_one(
        self,
        contexts: FloatArray,
        row: FloatArray,
        offer: int,
        y: float,
        weight: float = 1.0,
        offset: float = 0.0,
        own: OneCustomerOutcome | None = None,
    ) -> None:
        """Learn one outcome as `learn` does: the context columns (1, d) and, of them and the offer, `row` (D,).

        `weight` and `offset` are those of a response; an amount counts in full. With `own`, whose offset it then is,
        the customer's effects learn too; their variances are estimated by the caller, after `n_estimates` rose.
        """
        counted = weight
        if not isinstance(self.model, BayesianLogistic):
            y = self._learn_amount(self.model, row, offer, y)
        elif own is not None:
            offset = own.offset
            chance = float(expit(self.score_one(row) + offset))
            curvature = weight * chance * (1.0 - chance)
            counted = 1.0 / (1.0 + curvature * own.spread) * weight
            own.judge(weight * (y - chance), curvature)
            own.learn(*self.model.learn_one(row, y, weight, offset, own.spread))
        else:
            self.model.learn_one(row, y, weight, offset)
        searched = self.searched_crosses
        if searched is not None:
            searched.sample.add_one(contexts, offer, y, counted, offset)
        self.n_learned += 1
        if self.n_learned >= self.next_estimate:
            self._estimate_prior()
            self.n_estimates += 1
            self.next_estimate = max(int(self.n_learned * ESTIMATE_EVERY), self.n_learned + FIRST_ESTIMATE)
        if searched is not None and not searched.pause:
            self.find_crosses(searched)

    def _learn_amount(self, model: BayesianLinear, row: FloatArray, offer: int, y: float) -> float:
        """Learn one amount, and remember its robust weight where that is below 1; return the amount as it is scaled."""
        places, seen, remembered = np.array([offer]), np.array([y]), self.remembered
        scaled = self.scaled(seen)
        if remembered is not None and not self.n_learned:  # a weight of the first ones is found among them
            model.update(row[None], scaled, None, self._tails(row[None], places, seen))
            return float(scaled[0])
        tail = model.learn_one(row, float(scaled[0]), remembered is not None)
        if remembered is not None and tail < 1.0:
            remembered.add(places, seen, np.array([tail]))
        return float(scaled[0])

    def _tails(self, rows: FloatArray, offer: IntArray, y: FloatArray) -> FloatArray | None:
        """Return the robust weights of new amounts (n,), and remember those below 1; None where all are 1."""
        if self.remembered is None or not isinstance(self.model, BayesianLinear):
            return None
        scaled = self.scaled(y)
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
            chance = expit(rows[part] @ model.weights.mean + there.offset)
            curvature = share[part] * chance * (1.0 - chance)
            told[part] = 1.0 / (1.0 + curvature * np.diagonal(there.covariance))
            there.judge(share[part] * (y[part] - chance), curvature)
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
            self.crosses.sample.replace(contexts, offer, self.scaled(previous_y), self.scaled(y))
        for part in self.slices(len(offer)):
            rows, counted = self.rows(contexts[part], offer[part]), None if weight is None else weight[part]
            if isinstance(self.model, BayesianLogistic):
                change = y[part] - previous_y[part]
                self.model.restate(rows, change if counted is None else counted * change)
            else:
                self.model.replace(rows, self.scaled(previous_y[part]), self.scaled(y[part]), counted)

    def retract(
        self, contexts: FloatArray, offer: IntArray, previous_y: FloatArray, weight: FloatArray | None = None
    ) -> None:
        """Remove amounts learned before, with this `weight`."""
        if len(offer) and isinstance(self.model, BayesianLinear):
            for part in self.slices(len(offer)):
                rows, counted = self.rows(contexts[part], offer[part]), None if weight is None else weight[part]
                tails = None if self.remembered is None else self.remembered.take(offer[part], previous_y[part])
                self.model.retract(rows, self.scaled(previous_y[part]), counted, tails)

    # -- prior, crosses and time ---------------------------------------------------------------------------------------

    def find_crosses(self, crosses: CrossLearning) -> bool:
        """Admit the crosses that the outcomes show; return whether there are any."""
        belief = self.model.weights
        if not isinstance(belief, Gaussian):
            return False
        crosses.begin_round()
        whole = crosses.sample.added == self.n_learned
        found = crosses.find(belief, self.design, self.active, self.unit, self.prior, whole=whole)
        if found is None:
            return False
        crosses.crosses = crosses.crosses.joined(found.crosses)
        self.lay_out_crosses()
        # The overlap of old and new columns is of a sample: the covariance is made one that outcomes can give.
        known = np.ones(len(found.mean), dtype=np.bool_)
        joint = settled(TransferredBelief(found.mean, found.covariance, known), self.prior.variance)
        belief.assign(joint.mean, joint.covariance)
        if self.model.rates is not None:
            self.model.rates.restart(belief, self.prior.variance)
        return True

    @property
    def searched_crosses(self) -> CrossLearning | None:
        """Where more crosses are looked for: nowhere where the covariance is held in blocks."""
        return self.crosses if isinstance(self.model.weights, Gaussian) else None

    def _estimate_prior(self) -> None:
        belief = self.model.weights
        before = belief.mean.copy()
        self.prior.estimate(belief, self.unit)
        if self.model.rates is not None:
            self.model.rates.replace_prior(belief.mean - before, self.prior.variance)

    def pass_time(self, days: float) -> None:
        """Move the belief by the rates of change that are known of it; without the method `memories`, nothing."""
        if self.model.rates is not None:
            kept = self.model.rates.pass_time(days, self.model.weights, self.prior, self.n_learned, self.unit)
            if kept < 1.0 and self.crosses is not None:
                self.crosses.sample.decay(kept)

    def decay(self, kept: float) -> None:
        """Move the belief towards the prior, keeping a share of what was learned."""
        self.prior.decay(self.model.weights, kept)
        if isinstance(self.model, BayesianLinear):
            self.model.decay(kept)
        if self.crosses is not None:
            self.crosses.sample.decay(kept)

    @property
    def is_finite(self) -> bool:
        """Whether the weights' means and the noise are finite: a sum with a number that is not finite is not."""
        return math.isfinite(np.add.reduce(self.model.weights.mean)) and math.isfinite(self.noise)

    def is_quick(self, n: int) -> bool:
        """Whether learning n outcomes estimates no variances, looks for no crosses, and each costs little."""
        if n == 0:
            return True
        searched = self.searched_crosses
        no_round = searched is None or n < searched.pause
        return no_round and self.n_learned + n < self.next_estimate and self.model.weights.held <= QUICK_COVARIANCES

    def shared(self) -> Iterator[object]:
        """Yield the parts that no update changes."""
        yield from (self.design, self._pairs, self._owner, self.methods, self.prior.groups, self.active, self._unused)

    def in_slices(self, batches: Iterable[TrainingBatch]) -> Iterator[TrainingBatch]:
        """Yield batches in slices, of which rows of very many weights are held at once."""
        for contexts, offer, y, weight, times in batches:
            for part in self.slices(len(offer)):
                counted = None if times is None else times[part]
                yield contexts[part], offer[part], y[part], weight[part], counted

    def weighted_rows(self, batches: Iterable[TrainingBatch]) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
        """Yield the design's rows (n, D), responses (n,) and how many outcomes each counts as, (n,)."""
        for contexts, offer, y, weight, times in self.in_slices(batches):
            yield self.rows(contexts, offer), y, weight if times is None else weight * times

    def fit(
        self,
        parts: PartFit,
        passes: int,
        progress: Callable[[], None] | None = None,
        own: JointCustomerEffects | None = None,
    ) -> None:
        """Learn all rows of a log at once from the prior, with the prior's variances; replaces what was learned before.

        With `own` the customers' effects are fitted too.
        """
        fit_offer_model(self, parts, passes, progress, own)
        n = self.n_learned
        after = n + FIRST_ESTIMATE if n >= FIRST_ESTIMATE else 0
        self.next_estimate = max(FIRST_ESTIMATE, int(n * ESTIMATE_EVERY), after)

    # -- state -----------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
        """Return plain values and arrays, for `restore`."""
        return state_of_offer_model(self)

    def restore(self, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Load a state; ValueError or KeyError where it does not fit these offers."""
        restore_offer_model(self, meta, arrays)

"""What is believed of every offer for every customer, in money: response, revenue and each customer's own part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit

from bandit.catalogue import Catalogue
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Log, LoggedBatch, Outcomes
from bandit.encoding.encoder import Encoder
from bandit.models.customer_effects import CustomerEffects
from bandit.models.shared_design import Draws, Floats32
from bandit.policies.thompson.monotone import ladders
from bandit.policies.thompson.offer_model import CURVES_FROM, OfferModel, Unit, positive

FIT_ROWS = 8_192
"""Rows of a log that are learned at once by `fit`."""

FIT_PASSES = 8
"""Most passes over a log that `fit` makes for the response."""

OWN_DEVIATION = 0.25
"""Prior deviation, in logits, of a customer's own deviation on every option column."""

MAX_LOG_REVENUE = 30.0
"""Log revenue is kept below this, so that a wild guess stays a number."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedContexts:
    """What is known of n customers: all context columns (n, d), and what each adds to the effects, (n, 1 + K)."""

    matrix: FloatArray
    own: FloatArray | None

    def take(self, rows: slice) -> EncodedContexts:
        """Return some of them."""
        return EncodedContexts(self.matrix[rows], None if self.own is None else self.own[rows])


class RewardBelief:
    """The beliefs over one catalogue's offers, under scales that do not move.

    Objectives conversion, revenue and profit learn P(convert) and, where money counts, revenue given conversion; kind
    "reward" learns the reward itself.
    """

    def __init__(self, catalogue: Catalogue, encoder: Encoder, unit: Unit, *, pairs: bool, personal: bool) -> None:
        """Stand at the prior; `unit` is that of amounts: log revenue, or raw rewards."""
        self.catalogue = catalogue
        self.encoder = encoder
        self._raw = catalogue.objective.kind == "reward"
        # Of more offers the best is searched for, by dimension.
        self._ladders = ladders(catalogue) if catalogue.n_offers <= MAX_DENSE_OFFERS else ()
        self.main = OfferModel("amount" if self._raw else "response", encoder, pairs, unit if self._raw else None)
        money = catalogue.objective.kind in {"revenue", "profit"}
        self.amount = OfferModel("revenue", encoder, pairs=False, unit=unit) if money else None
        owner = np.concatenate([[0], encoder.offers.owner + 1]).astype(np.int64)
        deviation = np.full(int(owner.max()) + 1, OWN_DEVIATION)
        # A raw reward has no logit to deviate on.
        self.own = CustomerEffects(owner, deviation) if personal and not self._raw else None

    # -- what is believed ------------------------------------------------------------------------------------------

    def encode(self, contexts: Contexts) -> EncodedContexts:
        """Return what is known of these customers."""
        matrix = self._matrix(contexts)
        if self.own is None or not len(self.own) or not len(contexts.customers):
            return EncodedContexts(matrix, None)
        return EncodedContexts(matrix, self.own.means_and_variances(self.own.places(contexts.customers))[0])

    def _matrix(self, contexts: Contexts) -> FloatArray:
        return self.encoder.context_matrix(contexts, bent=self.main.learned >= CURVES_FROM)

    def draw(self, draws: int, width: float, rng: Generator) -> Draws:
        """Return draws of what is believed of everybody, their deviation scaled by `width`."""
        return self.main.draw(draws, width, rng)

    def sample_rewards(self, drawn: Draws, known: EncodedContexts, eligible: BoolArray) -> Floats32:
        """Return (n, M, N) expected rewards under the draws (or what rises with them), -inf where not eligible."""
        objective = self.catalogue.objective
        own = None if known.own is None else known.own.astype(np.float32)
        if self.amount is None:
            scores = self._climbed(drawn, known, own)
            if not eligible.all():  # the logit rises with P(convert): the same offer wins
                scores += np.where(eligible, np.float32(0.0), np.float32(-np.inf))[:, None, :]
            return scores
        # Money of an offer = worth / (1 + exp(-score)) - cost, all but the score the same for every draw; in place.
        worth, cost = objective.worth(self.catalogue.money, self._revenue(known, self.amount))
        cost = np.where(eligible, cost, np.inf).astype(np.float32)
        if self._ladders:
            scores = -self._climbed(drawn, known, own)
        else:
            scores = self.main.draw_scores(drawn, known.matrix, own, -1)
        with np.errstate(over="ignore"):  # odds of infinity to one against are a chance of 0
            np.exp(scores, out=scores)
        scores += np.float32(1.0)
        np.divide(worth.astype(np.float32)[:, None, :], scores, out=scores)
        scores -= cost[:, None, :]
        return scores

    def _climbed(self, drawn: Draws, known: EncodedContexts, own: Floats32 | None) -> Floats32:
        scores = self.main.draw_scores(drawn, known.matrix, own)
        for ladder in self._ladders:
            ladder.apply(scores)
        return scores

    def expected(self, known: EncodedContexts) -> FloatArray:
        """Return the (n, N) expected reward of each offer at the beliefs' means."""
        scores = self.main.mean_scores(known.matrix, known.own)
        for ladder in self._ladders:
            ladder.apply(scores)
        if self._raw:
            return scores
        revenue = np.zeros(scores.shape) if self.amount is None else self._revenue(known, self.amount)
        return self.catalogue.objective.expected(self.catalogue.money, expit(scores), revenue)

    @staticmethod
    def _revenue(known: EncodedContexts, amount: OfferModel) -> FloatArray:
        """Mean of a lognormal: exp(mean of the log + half its variance)."""
        exponent = amount.mean_scores(known.matrix)
        exponent += 0.5 * amount.noise
        np.minimum(exponent, MAX_LOG_REVENUE, out=exponent)
        return np.exp(exponent, out=exponent)

    # -- learning --------------------------------------------------------------------------------------------------

    def learn(self, outcomes: Outcomes) -> None:
        """Learn outcomes: what is new of each, and what was learned of it otherwise before."""
        matrix = self._matrix(outcomes.contexts)
        y = outcomes.reward if self._raw else outcomes.converted.astype(np.float64)
        was = outcomes.previous.reward if self._raw else outcomes.previous.converted.astype(np.float64)
        weight, before = outcomes.weights, outcomes.previous.weights
        more = weight > before if not self._raw else before == 0.0
        self._learn(matrix[more], outcomes.take(more), y[more], (weight - before)[more])
        # After what is new: a batch may hold a decision and, later in it, what re-states it.
        self._restate(matrix, outcomes, (before > 0.0) & (was != y), was, y, before)
        self._learn_amount(matrix, outcomes)

    def _restate(
        self,
        matrix: FloatArray,
        outcomes: Outcomes,
        rows: BoolArray,
        was: FloatArray,
        y: FloatArray,
        weight: FloatArray,
    ) -> None:
        if not rows.any():
            return
        offer = outcomes.offer[rows]
        self.main.restate(matrix[rows], offer, was[rows], y[rows], weight[rows])
        if self.own is not None and len(outcomes.contexts.customers):
            columns = self.main.structure.columns[offer]
            self.own.restate(outcomes.contexts.customers[rows], columns, (weight * (y - was))[rows])

    def _learn(self, matrix: FloatArray, outcomes: Outcomes, y: FloatArray, weight: FloatArray) -> None:
        if not len(y):
            return
        customers = outcomes.contexts.customers
        if self.own is None or not len(customers):
            self.main.learn(matrix, outcomes.offer, y, weight)
            return
        columns = self.main.structure.columns[outcomes.offer]
        self.main.activate(matrix)
        score, offset = self.main.scores(matrix, outcomes.offer), self.own.offset(customers, columns)
        self.own.learn(customers, columns, score, y, weight)
        estimates = self.main.estimates
        self.main.learn(matrix, outcomes.offer, y, weight, offset)
        if self.main.estimates > estimates:
            self.own.estimate()

    def _learn_amount(self, matrix: FloatArray, outcomes: Outcomes) -> None:
        if self.amount is None:
            return
        was = positive(outcomes.previous.revenue, outcomes.previous.converted) & outcomes.is_update
        now = positive(outcomes.revenue, outcomes.converted)
        # What did not change is neither taken back nor learned again.
        same = was & now & (outcomes.previous.revenue == outcomes.revenue)
        was, now = was & ~same, now & ~same
        for rows in (now & ~outcomes.is_update, now & outcomes.is_update):
            if rows.any():
                self.amount.learn(matrix[rows], outcomes.offer[rows], np.log(outcomes.revenue[rows]))
        if was.any():
            self.amount.retract(matrix[was], outcomes.offer[was], np.log(outcomes.previous.revenue[was]))

    def decay(self, kept: float) -> None:
        """Keep a share of what was learned; the rest goes back to the prior."""
        for belief in self.beliefs().values():
            belief.decay(kept)
        if self.own is not None:
            self.own.decay(kept)

    def fit(
        self, log: Log, weight: Callable[[LoggedBatch], FloatArray], progress: Callable[[int, int], None] | None
    ) -> None:
        """Learn a whole log at once, to convergence; `weight` says how much each of its decisions counts."""
        done = 0

        def passed() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(min(done, FIT_PASSES), FIT_PASSES)

        def responses() -> Iterator[tuple[FloatArray, IntArray, FloatArray, FloatArray]]:
            for batch in log.batches(FIT_ROWS):
                y = batch.reward if self._raw else batch.converted.astype(np.float64)
                yield self.encoder.context_matrix(batch.contexts), batch.offer, y, weight(batch)

        def amounts() -> Iterator[tuple[FloatArray, IntArray, FloatArray, FloatArray]]:
            for batch in log.batches(FIT_ROWS):
                now = positive(batch.revenue, batch.converted)
                if not now.any():
                    continue
                matrix = self.encoder.context_matrix(batch.contexts.take(now))
                yield matrix, batch.offer[now], np.log(batch.revenue[now]), weight(batch)[now]

        self.main.fit(responses, FIT_PASSES, passed)
        if self.amount is not None:
            self.amount.fit(amounts, FIT_PASSES)
        if self.own is not None:
            self._fit_own(self.own, log, weight)
        if progress is not None:
            progress(FIT_PASSES, FIT_PASSES)

    def _fit_own(self, own: CustomerEffects, log: Log, weight: Callable[[LoggedBatch], FloatArray]) -> None:
        for batch in log.batches(FIT_ROWS):
            if len(batch.contexts.customers):
                score = self.main.scores(self.encoder.context_matrix(batch.contexts), batch.offer)
                columns, y = self.main.structure.columns[batch.offer], batch.converted.astype(np.float64)
                own.learn(batch.contexts.customers, columns, score, y, weight(batch))
        own.estimate()

    # -- state -----------------------------------------------------------------------------------------------------

    def beliefs(self) -> dict[str, OfferModel]:
        """Return the beliefs by name."""
        return {"main": self.main} if self.amount is None else {"main": self.main, "amount": self.amount}

    def state(self) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
        """Return plain values and arrays, enough for `restore`."""
        meta: dict[str, object] = {}
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, belief in self.beliefs().items():
            meta[name], parts = belief.state()
            arrays |= {f"{name}/{part}": array for part, array in parts.items()}
        if self.own is not None:
            arrays |= {f"own/{part}": array for part, array in self.own.state().items()}
        return meta, arrays

    def restore(self, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over a state; ValueError, TypeError or KeyError where it does not fit."""
        for name, belief in self.beliefs().items():
            values = meta[name]
            if not isinstance(values, dict):
                raise TypeError(f"its {name} is not a mapping")
            belief.restore(values, parts_of(name, arrays))
        if self.own is not None:
            self.own.restore(parts_of("own", arrays))


def parts_of(name: str, arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays called "name/...", without that part of their names."""
    return {key.partition("/")[2]: array for key, array in arrays.items() if key.startswith(f"{name}/")}

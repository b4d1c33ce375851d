"""What Thompson sampling believes about a catalogue's offers: response and revenue, or the raw reward.

The belief sees only the context columns that have been non-zero in what it learned; the others still stand at their
prior, so leaving them out until they appear changes nothing but the size of the matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bandit.domain import BoolArray, FloatArray, IntArray, Outcomes
from bandit.features import Encoder
from bandit.models import BayesianLinear, BayesianLogistic
from bandit.models.structure import PriorScales, Structure

RESPONSE_PRIOR = PriorScales(base=2.0, base_context=0.5, option=0.5, option_context=0.5, pair=0.15)
"""On the logit scale: the base rate is nearly free, an option moves it by a factor of about e^0.5, and so do all
facts together, among which `option_context` is shared out; a pair moves it by about a seventh."""

REVENUE_PRIOR = PriorScales(base=10.0, base_context=0.5, option=0.3, option_context=0.15, pair=0.05)
"""Of log revenue, in units of its noise: incentives move whether people buy far more than for how much, and who they
are hardly changes that; `option_context` is the total over the facts."""

RESPONSE_CENTER = -2.5
"""Prior mean of the intercept: a response of 7.6 %; with deviation 2 it covers 0.2 % to 80 %."""

AMOUNT_PRIOR = PriorScales(base=10.0, base_context=0.5, option=0.3, option_context=0.15, pair=0.15)
"""Of raw rewards, in units of their noise."""

Kind = Literal["response", "revenue", "amount"]


@dataclass(frozen=True, slots=True)
class Unit:
    """How an amount (log revenue, or a raw reward) is brought to the scale of its prior."""

    center: float = 0.0
    scale: float = 1.0


class OfferBelief:
    """One model over the shared structure: of a response (logistic), of log revenue or of a raw amount (linear)."""

    def __init__(self, kind: Kind, encoder: Encoder, pairs: bool, unit: Unit | None = None) -> None:
        self.kind: Kind = kind
        self.encoder = encoder
        self.unit = unit or Unit()
        offers = encoder.offers
        self._pairs = offers.pairs if pairs else np.zeros((len(offers.main), 0))
        self.active: IntArray = np.array([0], dtype=np.int64)
        self.structure = Structure(offers.main, self._pairs, 1)
        variance = self.structure.prior_variance(self._prior)
        self.model: BayesianLogistic | BayesianLinear
        if kind == "response":
            self.model = BayesianLogistic(self._center(self.structure), variance)
        else:
            self.model = BayesianLinear(self._center(self.structure), variance)

    @property
    def _prior(self) -> PriorScales:
        if self.kind == "amount":
            return AMOUNT_PRIOR
        scales = RESPONSE_PRIOR if self.kind == "response" else REVENUE_PRIOR
        facts = max(1, len(self.encoder.catalogue.facts))
        return replace(scales, option_context=scales.option_context / sqrt(facts))

    def _center(self, structure: Structure) -> FloatArray:
        mean = np.zeros(structure.size)
        mean[0] = RESPONSE_CENTER if self.kind == "response" else 0.0
        return mean

    def learn(self, contexts: FloatArray, offer: IntArray, y: FloatArray) -> None:
        """Learn n outcomes: all context columns (n, d), offers (n,), responses of 0 and 1 or amounts (n,)."""
        if not len(offer):
            return
        self._activate(contexts)
        self.model.update(self._rows(contexts, offer), self._scaled(y))

    def relearn(self, contexts: FloatArray, offer: IntArray, was: FloatArray, y: FloatArray) -> None:
        """Re-state outcomes learned before as `was`."""
        if not len(offer):
            return
        rows = self._rows(contexts, offer)
        if isinstance(self.model, BayesianLogistic):
            self.model.restate(rows, y - was)
        else:
            self.model.retract(rows, self._scaled(was))
            self.model.update(rows, self._scaled(y))

    def forget(self, contexts: FloatArray, offer: IntArray, was: FloatArray) -> None:
        """Take back amounts learned before."""
        if len(offer) and isinstance(self.model, BayesianLinear):
            self.model.retract(self._rows(contexts, offer), self._scaled(was))

    def mean_scores(self, contexts: FloatArray) -> FloatArray:
        """Return (n, N): the logit of the response, or the amount, at the belief's mean."""
        scores = self.structure.mean_scores(self.model.weights, contexts[:, self.active])
        return scores if self.kind == "response" else scores * self.unit.scale + self.unit.center

    def draw_scores(self, contexts: FloatArray, draws: int, width: float, rng: Generator) -> NDArray[np.float32]:
        """Return (n, draws, N) of the same under draws from the belief, their deviation scaled by `width`."""
        if isinstance(self.model, BayesianLinear):
            width = width * float(np.sqrt(self.model.noise))
        scores = self.structure.draw_scores(self.model.weights, contexts[:, self.active], draws, width, rng)
        if self.kind == "response":
            return scores
        scores *= self.unit.scale
        scores += self.unit.center
        return scores

    @property
    def noise(self) -> float:
        """Variance of the amount's noise in its own unit."""
        return self.model.noise * self.unit.scale**2 if isinstance(self.model, BayesianLinear) else 0.0

    def _scaled(self, y: FloatArray) -> FloatArray:
        return y if self.kind == "response" else (y - self.unit.center) / self.unit.scale

    def _rows(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        return self.structure.rows(contexts[:, self.active], offer)

    def _activate(self, contexts: FloatArray) -> None:
        seen = np.flatnonzero((contexts != 0).any(axis=0))
        wanted = np.union1d(self.active, seen)
        if len(wanted) == len(self.active):
            return
        grown = Structure(self.encoder.offers.main, self._pairs, len(wanted))
        places = self.structure.places_after_growth(np.searchsorted(wanted, self.active), len(wanted))
        self.model.weights.grow(places, self._center(grown), grown.prior_variance(self._prior))
        self.active, self.structure = wanted.astype(np.int64), grown

    def state(self) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
        """Return plain values and arrays, enough for `restore`."""
        meta: dict[str, object] = {"center": self.unit.center, "scale": self.unit.scale}
        if isinstance(self.model, BayesianLinear):
            meta |= {"shape": self.model.shape, "rate": self.model.rate}
        weights = self.model.weights
        return meta, {"active": self.active, "mean": weights.mean, "covariance": weights.covariance}

    def restore(self, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over a state; ValueError or KeyError where it does not fit these offers."""
        active = np.asarray(arrays["active"], dtype=np.int64)
        structure = Structure(self.encoder.offers.main, self._pairs, len(active))
        mean = np.array(arrays["mean"], dtype=np.float64)
        covariance = np.array(arrays["covariance"], dtype=np.float64)
        if mean.shape != (structure.size,) or covariance.shape != (structure.size, structure.size):
            raise ValueError(f"it is of a belief over {len(mean)} weights; these offers have {structure.size}")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise ValueError("it has numbers that are not finite")
        if len(active) and not (active.min() >= 0 and active.max() < self.encoder.n_context):
            raise ValueError("it is of another context")
        self.active, self.structure = active, structure
        self.unit = Unit(_number(meta, "center"), _number(meta, "scale"))
        self.model.weights.take_over(mean, covariance)
        if isinstance(self.model, BayesianLinear):
            self.model.shape, self.model.rate = _number(meta, "shape"), _number(meta, "rate")


def _number(meta: Mapping[str, object], key: str) -> float:
    value = meta[key]
    if not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ValueError(f"its {key} is not a finite number")
    return float(value)


def positive(revenue: FloatArray, converted: BoolArray) -> BoolArray:
    """Return which outcomes say something of revenue given a response: log revenue needs it above 0."""
    return converted & (revenue > 0.0)


def learned_before(outcomes: Outcomes) -> tuple[Outcomes, Outcomes]:
    """Return the outcomes that are new and those that re-state one learned before."""
    return outcomes.take(~outcomes.restated), outcomes.take(outcomes.restated)

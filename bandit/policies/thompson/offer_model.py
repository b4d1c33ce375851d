"""What Thompson sampling believes about a catalogue's offers: response and revenue, or the raw reward.

The belief sees only the context columns that have been non-zero in what it learned; the others still stand at their
prior, so leaving them out until they appear changes nothing but the size of the matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.encoding.encoder import CURVES, Encoder
from bandit.models import BayesianLinear, BayesianLogistic
from bandit.models.logistic import BLOCK
from bandit.models.prior import Group, Prior
from bandit.models.shared_design import Draws, Floats32, SharedDesign

RESPONSE_CENTER = -2.5
"""Prior mean of the intercept: a response of 7.6 %; with deviation 2 it covers 0.2 % to 80 %."""

FIRST_ESTIMATE = 100
"""Outcomes after which the prior's variances are estimated for the first time."""

ESTIMATE_EVERY = 1.25
"""... and then each time what was learned has grown by this factor, but not more often than every 100."""

FIRST_BLOCK = 500
"""Most outcomes that a belief which knows nothing learns at once, at their exact mode."""

CURVES_FROM = 10_000
"""Outcomes from which numeric facts may do more than go straight up or down; before that, it would cost exploration."""

Kind = Literal["response", "revenue", "amount"]

Seen = Callable[[], Iterable[tuple[FloatArray, IntArray, FloatArray, FloatArray]]]
"""Gives the same (context columns (n, d), offers, responses or amounts, weights), in batches, at every call."""


@dataclass(frozen=True, slots=True)
class PriorScales:
    """Deviations that the groups of weights start from; context columns are of about unit size.

    What is said of options holds for numeric attributes of options too. `base_context` and `option_context` are
    totals, shared out among the facts.
    """

    base: float
    base_context: float
    option: float
    option_context: float
    pair: float


SCALES: Mapping[Kind, PriorScales] = {
    # On the logit scale: the base rate is nearly free; an option, and all facts together, move it by e^0.3 to e^0.5.
    "response": PriorScales(base=2.0, base_context=0.8, option=0.5, option_context=0.5, pair=0.15),
    # Of log revenue, in units of its noise: incentives move whether people buy far more than for how much.
    "revenue": PriorScales(base=10.0, base_context=0.8, option=0.2, option_context=0.25, pair=0.05),
    # Of raw rewards, in units of their noise.
    "amount": PriorScales(base=10.0, base_context=0.5, option=0.3, option_context=0.25, pair=0.15),
}


@dataclass(frozen=True, slots=True)
class Unit:
    """How an amount (log revenue, or a raw reward) is brought to the scale of its prior."""

    center: float = 0.0
    scale: float = 1.0


class OfferModel:
    """One model over the shared structure: of a response (logistic), of log revenue or of a raw amount (linear)."""

    def __init__(self, kind: Kind, encoder: Encoder, pairs: bool, unit: Unit | None = None) -> None:
        self.kind: Kind = kind
        self.encoder = encoder
        self.unit = unit or Unit()
        offers = encoder.offers
        self._pairs = offers.pairs if pairs else np.zeros((encoder.catalogue.n_offers, 0))
        self._owner = np.concatenate([[0], offers.owner + 1]).astype(np.int64)
        self.learned = self.estimates = 0
        self._reset(np.array([0], dtype=np.int64))

    def _reset(self, active: IntArray) -> None:
        """Stand at the prior, over these context columns."""
        self.active = active
        self.structure = SharedDesign(self.encoder.offers.shared, self._pairs, len(active))
        self.prior = Prior(self._groups(), self._labels(active, self.structure), self._center(self.structure))
        make = BayesianLogistic if self.kind == "response" else BayesianLinear
        self.model: BayesianLogistic | BayesianLinear = make(self.prior.center, self.prior.variance)
        self._due = FIRST_ESTIMATE

    def _groups(self) -> list[Group]:
        scales, offers = SCALES[self.kind], self.encoder.offers
        share = 1.0 / sqrt(max(1, len(self.encoder.catalogue.facts)))
        groups: list[Group] = []
        for name in ("base", *offers.owner_names):
            base = name == "base"
            groups.append(Group(name, scales.base if base else scales.option, fixed=base))
            for context in self.encoder.context_groups[1:]:
                deviation = scales.base_context if base else scales.option_context
                groups.append(Group(f"{name} x {context.name}", deviation * share * context.share))
        return [*groups, Group("pairs", scales.pair)]

    def _labels(self, active: IntArray, structure: SharedDesign) -> IntArray:
        return structure.labels(self._owner, self.encoder.context_group[active], len(self.encoder.context_groups))

    def _center(self, structure: SharedDesign) -> FloatArray:
        mean = np.zeros(structure.size)
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

        `weight` (n,) counts an outcome as a part of one, `offset` (n,) is a part of the score that is known; both for
        responses only. The prior's variances are estimated after fixed numbers of outcomes, wherever batches end.
        """
        start, n = 0, len(offer)
        while start < n:
            due = self._due if self.learned >= CURVES_FROM else min(self._due, CURVES_FROM)
            stop = min(n, start + (max(1, due - self.learned) if self.learned else FIRST_BLOCK))
            part = slice(start, stop)
            self.activate(contexts[part])
            rows = self._rows(contexts[part], offer[part])
            if isinstance(self.model, BayesianLogistic):
                self.model.update(
                    rows,
                    y[part],
                    None if weight is None else weight[part],
                    None if offset is None else offset[part],
                    BLOCK if self.learned else FIRST_BLOCK,
                )
            else:
                self.model.update(rows, self._scaled(y[part]))
            self.learned += stop - start
            start = stop
            if self.learned >= self._due:
                self.prior.estimate(self.model.weights, self._noise)
                self.estimates += 1
                self._due = max(int(self.learned * ESTIMATE_EVERY), self.learned + FIRST_ESTIMATE)

    def restate(
        self,
        contexts: FloatArray,
        offer: IntArray,
        was: FloatArray,
        y: FloatArray,
        weight: FloatArray | None = None,
    ) -> None:
        """Re-state outcomes learned before as `was`, with this `weight`."""
        if not len(offer):
            return
        rows = self._rows(contexts, offer)
        if isinstance(self.model, BayesianLogistic):
            self.model.restate(rows, (y - was) if weight is None else weight * (y - was))
        else:
            self.model.retract(rows, self._scaled(was))
            self.model.update(rows, self._scaled(y))

    def retract(self, contexts: FloatArray, offer: IntArray, was: FloatArray) -> None:
        """Take back amounts learned before."""
        if len(offer) and isinstance(self.model, BayesianLinear):
            self.model.retract(self._rows(contexts, offer), self._scaled(was))

    def decay(self, kept: float) -> None:
        """Keep a share of what was learned; the rest goes back to the prior."""
        self.prior.decay(self.model.weights, kept)
        if isinstance(self.model, BayesianLinear):
            self.model.decay(kept)

    def fit(self, seen: Seen, passes: int, progress: Callable[[], None] | None = None) -> None:
        """Learn everything at once from the prior, the prior's variances with it; forgets what was learned before."""
        active = np.zeros(self.encoder.n_context, dtype=np.bool_)
        active[0] = True
        n = 0
        for contexts, offer, _, _ in seen():
            active |= (contexts != 0).any(axis=0)
            n += len(offer)
        if n < CURVES_FROM:
            active &= self.encoder.context_group != CURVES
        self._reset(np.flatnonzero(active).astype(np.int64))
        if isinstance(self.model, BayesianLogistic):
            self.model.fit(lambda: self._weighted(seen, progress), self.prior, passes)
        else:
            for contexts, offer, y, weight in seen():
                root = np.sqrt(weight)  # an outcome of weight w is one whose noise is 1 / sqrt(w) as large
                self.model.update(root[:, None] * self._rows(contexts, offer), root * self._scaled(y))
            if n >= FIRST_ESTIMATE:
                self.prior.estimate(self.model.weights, self._noise, rounds=10)
        self.learned = n
        self._due = max(FIRST_ESTIMATE, int(n * ESTIMATE_EVERY), n + FIRST_ESTIMATE if n >= FIRST_ESTIMATE else 0)

    def _weighted(
        self, seen: Seen, progress: Callable[[], None] | None
    ) -> Iterable[tuple[FloatArray, FloatArray, FloatArray]]:
        if progress is not None:
            progress()
        for contexts, offer, y, weight in seen():
            yield self._rows(contexts, offer), y, weight

    # -- what is believed ------------------------------------------------------------------------------------------

    def scores(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        """Return (n,), the score of one offer a row at the belief's mean."""
        return np.asarray(self._rows(contexts, offer) @ self.model.weights.mean)

    def mean_scores(self, contexts: FloatArray, own: FloatArray | None = None) -> FloatArray:
        """Return (n, N): the logit of the response, or the amount, at the mean; `own` (n, 1 + K) adds to effects."""
        scores = self.structure.mean_scores(self.model.weights, contexts[:, self.active], own)
        return scores if self.kind == "response" else scores * self.unit.scale + self.unit.center

    def draw(self, draws: int, width: float, rng: Generator) -> Draws:
        """Return draws of the weights, their deviation scaled by `width`."""
        return self.structure.draw(self.model.weights, draws, width * float(np.sqrt(self._noise)), rng)

    def draw_scores(
        self, drawn: Draws, contexts: FloatArray, own: Floats32 | None = None, sign: Literal[1, -1] = 1
    ) -> Floats32:
        """Return (n, draws, N) of the same as `mean_scores` under the draws, times `sign`; `own` is (n, 1 + K)."""
        scores = self.structure.draw_scores(drawn, contexts[:, self.active], own, sign)
        if self.kind != "response":
            scores *= np.float32(self.unit.scale)
            scores += np.float32(sign * self.unit.center)
        return scores

    @property
    def _noise(self) -> float:
        """Variance of the noise in the model's own unit; 1 for responses, whose likelihood has none."""
        return self.model.noise if isinstance(self.model, BayesianLinear) else 1.0

    @property
    def noise(self) -> float:
        """Variance of the amount's noise in its own unit."""
        return self.model.noise * self.unit.scale**2 if isinstance(self.model, BayesianLinear) else 0.0

    def _scaled(self, y: FloatArray) -> FloatArray:
        return y if self.kind == "response" else (y - self.unit.center) / self.unit.scale

    def _rows(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        return self.structure.rows(contexts[:, self.active], offer)

    def activate(self, contexts: FloatArray) -> None:
        """Make room for the context columns that are not 0 here; for curves once there is enough to learn them from."""
        seen = (contexts != 0).any(axis=0)
        if self.learned < CURVES_FROM:
            seen &= self.encoder.context_group != CURVES
        seen[self.active] = True
        if np.count_nonzero(seen) == len(self.active):
            return
        wanted = np.flatnonzero(seen).astype(np.int64)
        grown = SharedDesign(self.encoder.offers.shared, self._pairs, len(wanted))
        places = self.structure.places_after_growth(np.searchsorted(wanted, self.active), len(wanted))
        self.prior = self.prior.grown(self._labels(wanted, grown), self._center(grown))
        self.model.weights.grow(places, self.prior.center, self.prior.variance)
        self.active, self.structure = wanted, grown

    # -- state -----------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
        """Return plain values and arrays, enough for `restore`."""
        meta: dict[str, object] = {
            "center": self.unit.center,
            "scale": self.unit.scale,
            "learned": self.learned,
            "due": self._due,
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
        """Take over a state; ValueError or KeyError where it does not fit these offers."""
        active = np.asarray(arrays["active"], dtype=np.int64)
        if not len(active) or active[0] != 0 or active.max() >= self.encoder.n_context or (np.diff(active) < 1).any():
            raise ValueError("it is of another context")
        mean = np.array(arrays["mean"], dtype=np.float64)
        covariance = np.array(arrays["covariance"], dtype=np.float64)
        variances = np.array(arrays["variances"], dtype=np.float64)
        self._reset(active)
        size = self.structure.size
        if mean.shape != (size,) or covariance.shape != (size, size):
            raise ValueError(f"it is of a belief over {len(mean)} weights; these offers have {size}")
        if variances.shape != self.prior.variances.shape or not (variances > 0.0).all():
            raise ValueError("its prior is of other offers")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all() and np.isfinite(variances).all()):
            raise ValueError("it has numbers that are not finite")
        self.prior.variances = variances
        self.unit = Unit(_number(meta, "center"), _number(meta, "scale"))
        self.learned, self._due = int(_number(meta, "learned")), int(_number(meta, "due"))
        self.model.weights.assign(mean, covariance)
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

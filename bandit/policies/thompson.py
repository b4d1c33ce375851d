"""Thompson sampling over combinations, with propensities that are exact by construction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, Outcomes
from bandit.errors import PolicyError
from bandit.features import Encoder, Scale, declared_scales, settle_scales
from bandit.policies.belief import OfferBelief, Unit, learned_before, positive
from bandit.policies.probabilities import check_share, mix_floor
from bandit.policies.state import pack, unpack
from bandit.policies.warmup import Warmup

AnyFloats = TypeVar("AnyFloats", NDArray[np.float32], NDArray[np.float64])

WARM_UP = 500
"""Outcomes after which the scales of numeric facts and amounts are settled for good."""

CELLS = 1_250_000
"""Scores (contexts x draws x offers) worked on at once: bounds the memory of a batch, and fits the caches."""

MAX_LOG_REVENUE = 30.0
"""Log revenue is kept below this, so that a wild draw stays a number."""


class ThompsonSampling:
    """Chooses each offer as often as it wins among draws from what is believed of the offers.

    `draws` posterior samples (M) are scored over the eligible offers; how often each wins, with `floor` spread over
    the eligible offers, is the probability that the offer is then drawn from (Thompson 1933; the vector of shares is
    the exact conditional propensity given the generator). `width` scales the posterior's deviation: 1 is Thompson's
    rule, less explores less. `pairs` gives each pair of options a weight of its own.

    Objectives conversion, revenue and profit learn P(convert) by logistic regression and, where money counts, revenue
    given conversion by a linear model of its logarithm; kind "reward" learns the reward by a linear model. Numeric
    facts without a declared scale are standardised by the first 500 outcomes: until then the few outcomes there are
    are kept and learned anew with each change of scale; then the scale is frozen.
    """

    learns = True

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        draws: int = 64,
        width: float = 0.5,
        floor: float = 0.01,
        pairs: bool = True,
        name: str = "thompson sampling",
    ) -> None:
        """Start from the prior; PolicyError for settings that make no policy."""
        if draws < 1:
            raise PolicyError(f"draws must be at least 1; seen {draws}")
        if not (np.isfinite(width) and width >= 0.0):
            raise PolicyError(f"width must be a finite number, 0 or more; seen {width}")
        self.catalogue = catalogue
        self.name = name
        self.draws = int(draws)
        self.width = float(width)
        self.floor = check_share("floor", floor)
        self.pairs = bool(pairs)
        self._start(declared_scales(catalogue), Unit(self._first_guess()))
        self._warmup: Warmup | None = None if self._needs_no_scale() else Warmup(WARM_UP)

    # -- choice ----------------------------------------------------------------------------------------------------

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:
        """Return the (n, N) probabilities: shares of wins among the draws, with the floor."""
        matrix = self._encoder.context_matrix(contexts)
        shares = np.empty(eligible.shape)
        at_once = max(1, CELLS // (self.draws * eligible.shape[1]))
        for start in range(0, len(matrix), at_once):
            stop = start + at_once
            shares[start:stop] = self._shares(matrix[start:stop], eligible[start:stop], rng)
        return mix_floor(shares, eligible, self.floor)

    def _shares(self, matrix: FloatArray, eligible: BoolArray, rng: Generator) -> FloatArray:
        scores = self._draw_values(matrix, rng)
        if not eligible.all():
            scores = np.where(eligible[:, None, :], scores, -np.inf)
        n, n_offers = eligible.shape
        winner = scores.argmax(axis=2) + np.arange(n)[:, None] * n_offers
        wins = np.bincount(winner.ravel(), minlength=n * n_offers)
        return wins.reshape(n, n_offers) / self.draws

    def _draw_values(self, matrix: FloatArray, rng: Generator) -> NDArray[np.floating]:
        objective, money = self.catalogue.objective, self.catalogue.money
        main = self._main.draw_scores(matrix, self.draws, self.width, rng)
        if objective.kind in {"reward", "conversion"}:
            return main  # the logit rises with P(convert): the same offer wins
        amount = self._revenue().draw_scores(matrix, self.draws, self.width, rng)
        # 1 / (1 + exp(-s)) in place; a score of -80 or less is a chance of 0 in any currency.
        chance = np.exp(-np.maximum(main, -80.0))
        chance += 1.0
        np.reciprocal(chance, out=chance)
        return objective.expected(money, chance, self._mean_revenue(amount))

    def predict(self, contexts: Contexts) -> FloatArray:
        """Return the (n, N) predicted response: the expected reward of each offer at the belief's mean."""
        objective = self.catalogue.objective
        matrix = self._encoder.context_matrix(contexts)
        main = self._main.mean_scores(matrix)
        if objective.kind == "reward":
            return main
        amount = np.zeros(main.shape)
        if self._amount is not None:
            amount = self._mean_revenue(self._amount.mean_scores(matrix))
        return objective.expected(self.catalogue.money, expit(main), amount)

    def _mean_revenue(self, log_revenue: AnyFloats) -> AnyFloats:
        """Mean of a lognormal: exp(mean of the log + half its variance)."""
        exponent = log_revenue + log_revenue.dtype.type(0.5 * self._revenue().noise)
        np.minimum(exponent, MAX_LOG_REVENUE, out=exponent)
        np.exp(exponent, out=exponent)
        return exponent

    # -- learning --------------------------------------------------------------------------------------------------

    def update(self, outcomes: Outcomes) -> None:
        """Learn outcomes, new and re-stated."""
        if self._warmup is None:
            self._learn(outcomes)
            return
        room = self._warmup.room
        self._warmup.add(outcomes.take(slice(0, room)))
        self._relearn_warmup(self._warmup)
        if self._warmup.room == 0:
            self._warmup = None
            self._learn(outcomes.take(slice(room, None)))

    def _relearn_warmup(self, warmup: Warmup) -> None:
        kept = warmup.outcomes()
        self._start(settle_scales(self.catalogue, kept.contexts), self._settle_unit(kept))
        for outcomes in warmup.batches:
            self._learn(outcomes)

    def _learn(self, outcomes: Outcomes) -> None:
        new, restated = learned_before(outcomes)
        for part in (new, restated):
            if len(part):
                matrix = self._encoder.context_matrix(part.contexts)
                self._learn_main(matrix, part)
                self._learn_amount(matrix, part)

    def _learn_main(self, matrix: FloatArray, part: Outcomes) -> None:
        raw = self.catalogue.objective.kind == "reward"
        y = part.reward if raw else part.converted.astype(np.float64)
        if part.restated[0]:
            was = part.was_reward if raw else part.was_converted.astype(np.float64)
            self._main.relearn(matrix, part.offer, was, y)
        else:
            self._main.learn(matrix, part.offer, y)

    def _learn_amount(self, matrix: FloatArray, part: Outcomes) -> None:
        if self._amount is None:
            return
        was = positive(part.was_revenue, part.was_converted) & part.restated
        now = positive(part.revenue, part.converted)
        self._amount.forget(matrix[was], part.offer[was], np.log(part.was_revenue[was]))
        self._amount.learn(matrix[now], part.offer[now], np.log(part.revenue[now]))

    # -- scales ----------------------------------------------------------------------------------------------------

    def _start(self, scales: Mapping[str, Scale], unit: Unit) -> None:
        """Stand at the prior, under these scales."""
        kind = self.catalogue.objective.kind
        self._encoder = Encoder(self.catalogue, scales, self.pairs)
        self._amount: OfferBelief | None = None
        if kind == "reward":
            self._main = OfferBelief("amount", self._encoder, self.pairs, unit)
            return
        self._main = OfferBelief("response", self._encoder, self.pairs)
        if kind in {"revenue", "profit"}:
            self._amount = OfferBelief("revenue", self._encoder, pairs=False, unit=unit)

    def _revenue(self) -> OfferBelief:
        if self._amount is None:
            raise PolicyError("this objective has no revenue to predict")
        return self._amount

    def _needs_no_scale(self) -> bool:
        return self._encoder.settled and self.catalogue.objective.kind == "conversion"

    def _first_guess(self) -> float:
        """Log of a revenue beside which the offers' costs are small, for as long as none has been seen."""
        if self.catalogue.objective.kind == "reward":
            return 0.0
        money = self.catalogue.money
        return float(np.log(max(1.0, 20.0 * float((money.redemption_cost + money.contact_cost).max()))))

    def _settle_unit(self, kept: Outcomes) -> Unit:
        if self.catalogue.objective.kind == "reward":
            seen = kept.reward
        else:
            seen = np.log(kept.revenue[positive(kept.revenue, kept.converted)])
        if not len(seen):
            return Unit(self._first_guess())
        spread = float(seen.std())
        # One or two amounts tell where they lie but not how far they scatter.
        return Unit(float(seen.mean()), spread if len(seen) > 2 and spread > 0.0 else 1.0)

    # -- state -----------------------------------------------------------------------------------------------------

    def spec(self) -> Mapping[str, object]:
        """Return the kind and the settings."""
        return {
            "kind": "thompson",
            "draws": self.draws,
            "width": self.width,
            "floor": self.floor,
            "pairs": self.pairs,
            "name": self.name,
        }

    def dumps(self) -> bytes:
        """Return the beliefs, the scales and, until these are settled, the outcomes they come from."""
        meta: dict[str, object] = {
            "kind": "thompson",
            "scales": {name: [scale.center, scale.scale] for name, scale in self._encoder.scales.items()},
        }
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, belief in self._beliefs().items():
            meta[name], parts = belief.state()
            arrays |= {f"{name}/{part}": array for part, array in parts.items()}
        if self._warmup is not None:
            meta["warmup"], parts = self._warmup.state()
            arrays |= {f"warmup/{part}": array for part, array in parts.items()}
        return pack(meta, arrays)

    def loads(self, state: bytes) -> None:
        """Take over a state; PolicyError where it is of another policy, catalogue or context."""
        meta, arrays = unpack(state)
        try:
            if meta["kind"] != "thompson":
                raise ValueError(f"it is of a policy of kind {meta['kind']}")
            fresh = ThompsonSampling(
                self.catalogue, draws=self.draws, width=self.width, floor=self.floor, pairs=self.pairs
            )
            fresh._restore(meta, arrays)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as fault:
            raise PolicyError(f"the state does not fit this policy: {fault}; rebuild it from the log") from fault
        self._encoder, self._main, self._amount = fresh._encoder, fresh._main, fresh._amount
        self._warmup = fresh._warmup

    def _restore(self, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        scales = meta["scales"]
        if not isinstance(scales, dict):
            raise TypeError("its scales are not a mapping")
        self._start({name: Scale(float(pair[0]), float(pair[1])) for name, pair in scales.items()}, Unit())

        def parts(name: str) -> dict[str, NDArray[np.generic]]:
            return {key.partition("/")[2]: array for key, array in arrays.items() if key.startswith(f"{name}/")}

        for name, belief in self._beliefs().items():
            values = meta[name]
            if not isinstance(values, dict):
                raise TypeError(f"its {name} is not a mapping")
            belief.restore(values, parts(name))
        self._warmup = None
        if "warmup" in meta:
            self._warmup = Warmup.restore(WARM_UP, self.catalogue, meta["warmup"], parts("warmup"))

    def _beliefs(self) -> dict[str, OfferBelief]:
        beliefs = {"main": self._main}
        if self._amount is not None:
            beliefs["amount"] = self._amount
        return beliefs

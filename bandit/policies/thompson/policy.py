"""Thompson sampling over combinations of options, with propensities that are exact by construction."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.domain import (
    BoolArray,
    Contexts,
    EligibleSets,
    FloatArray,
    IntArray,
    Log,
    Outcomes,
    PartRunner,
    Progress,
    SparseProbabilities,
)
from bandit.domain.customer_rows import CustomerRows, CustomerSource
from bandit.errors import PolicyError
from bandit.models.shared_design import WeightDraws
from bandit.policies.probabilities import check_share, mix_floor
from bandit.policies.state import pack, unpack
from bandit.policies.thompson.best_offers import best_offers
from bandit.policies.thompson.funnel import MOST_FUNNEL_OFFERS
from bandit.policies.thompson.methods import LearningMethods
from bandit.policies.thompson.offer_search import OfferSearch
from bandit.policies.thompson.online import OnlineLearning
from bandit.policies.thompson.posterior import OfferPosterior
from bandit.policies.thompson.predicted_response import PredictedResponse, predicted_response
from bandit.policies.thompson.reward_belief import EncodedContexts

SCORE_CELLS = 600_000
"""Scores (contexts x draws x offers) computed at once: bounds the memory of a batch, and stays near the caches."""

SEARCH_ABOVE = MOST_FUNNEL_OFFERS
"""Number of offers above which searching for the best of each draw is faster than scoring all offers."""

MAX_DRAWS = 100_000
"""Most draws: bounds the memory of a decision; propensities are then in steps of 0.00001."""

MOVING_SETS = 4
"""Sets of M draws that move with the belief; fewer, since every outcome moves all of them."""

MAX_MOVING = 512
"""Most draws of a set that moves; where more are asked for, they are drawn anew for each state."""

DRAW_SETS = 16
"""Sets of M draws made for one state of the belief; each call uses one of them, chosen at random."""

_SEED = 20_261_122


class ThompsonSampling:
    """Chooses each offer with the probability that it is the best under draws from the posterior.

    The eligible offers are scored under M = `draws` posterior samples; the share of the samples in which an offer is
    best, mixed with `floor` spread over the eligible offers, is the probability that the offer is then drawn with
    (Thompson 1933, Biometrika 25): given the generator, the exact propensity. After each update up to sixteen sets of
    samples are drawn, as needed, and serve all decisions until the next update; each call uses one of them, chosen at
    random, so that no covariance is factored for a decision.

    `width` scales the posterior's deviation: 1 is Thompson's rule, less explores less. `pairs` gives each pair of
    options a weight of its own, `personal` each customer a deviation from the population's effects, learned from the
    customer's history and used at its mean. `half_life`, such as "30d", is the time after which an outcome counts
    half; without one nothing is forgotten. `methods` names the methods of learning in use (`LearningMethods`), by
    default all that have proved to earn more.

    Objectives conversion, revenue and profit learn P(convert) by logistic regression and, where money counts, revenue
    given conversion by a linear model of its logarithm, which is used at its mean; kind "reward" learns the reward by
    a linear model. The prior variances of the effects of facts, options and pairs are estimated from the outcomes.

    >>> from bandit import Catalogue, ThompsonSampling
    >>> channels = {"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}
    >>> policy = ThompsonSampling(Catalogue.from_dict({"dimensions": [channels]}), draws=100)
    >>> policy.spec()["draws"]
    100
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
        personal: bool = True,
        half_life: str | None = None,
        methods: Sequence[str] | None = None,
        name: str = "thompson sampling",
    ) -> None:
        """Start from the prior; PolicyError for invalid settings."""
        if not 1 <= draws <= MAX_DRAWS:
            raise PolicyError(f"draws must be at least 1 and at most {MAX_DRAWS:,}; seen {draws}")
        if not (np.isfinite(width) and width >= 0.0):
            raise PolicyError(f"width must be a finite number, 0 or more; seen {width}")
        self.catalogue = catalogue
        self.name = name
        self.draws = int(draws)
        self.width = float(width)
        self.floor = check_share("floor", floor)
        self.pairs = bool(pairs)
        self.personal = bool(personal)
        self.half_life = half_life
        self.methods = LearningMethods.of(methods)
        self._moving = self.methods.moving_draws and self.draws <= MAX_MOVING
        self._sets = MOVING_SETS if self._moving else DRAW_SETS
        self._learning = OnlineLearning(
            catalogue,
            pairs=self.pairs,
            personal=self.personal,
            half_life=half_life,
            methods=self.methods,
            n_draws=self.draws * MOVING_SETS if self._moving else 0,
        )
        self._samples: dict[int, WeightDraws] = {}
        self._search = OfferSearch(catalogue) if catalogue.n_offers > SEARCH_ABOVE else None

    @property
    def draw_sets(self) -> int:
        """The number of sets of draws, of which each call uses one."""
        return self._sets

    # -- choice ----------------------------------------------------------------------------------------------------

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:
        """Return the (n, N) probabilities: each offer's share of won draws, with the floor. Batches use all cores."""
        if self.sparse:
            sets = EligibleSets.of(eligible)
            return self.shares(contexts, self.catalogue.fired(contexts), sets, rng).dense(eligible)
        encoded = self._learning.belief.encode(contexts)
        sample = self._draw_set(int(rng.integers(self._sets)))
        n, n_offers = eligible.shape
        at_once = max(1, SCORE_CELLS // (self.draws * n_offers))
        if n <= at_once:
            return mix_floor(self._win_shares(encoded, eligible, sample), eligible, self.floor)
        shares = np.empty(eligible.shape)

        def work(start: int) -> None:
            part = slice(start, start + at_once)
            shares[part] = mix_floor(
                self._win_shares(encoded.take(part), eligible[part], sample), eligible[part], self.floor
            )

        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for _ in threads.map(work, range(0, n, at_once)):
                pass
        return shares

    @property
    def sparse(self) -> bool:
        """Whether the best offer of a draw is searched for: above SEARCH_ABOVE offers, and without weights of pairs."""
        return self._search is not None and not self._learning.belief.encoder.offers.pairs.shape[1]

    def shares(
        self, contexts: Contexts, fired: BoolArray, eligible: EligibleSets, rng: Generator
    ) -> SparseProbabilities:
        """Return the probabilities by the winners of the draws; draws without an eligible winner are spread evenly."""
        if self._search is None:
            raise PolicyError(f"shares are for catalogues of more than {SEARCH_ABOVE:,} offers; ask for probabilities")
        belief = self._learning.belief
        sample = self._draw_set(int(rng.integers(self._sets)))
        winners = self._search.winners(belief, sample, belief.encode(contexts), fired)
        share = np.where(eligible.has(winners), (1.0 - self.floor) / self.draws, 0.0)
        return SparseProbabilities(np.maximum(winners, 0), share, 1.0 - share.sum(axis=1), eligible.n_eligible)

    def _draw_set(self, number: int) -> WeightDraws:
        """Return one of the sets of draws for the present state, drawing it where it is not there yet."""
        found = self._samples.get(number)
        if found is None:
            # The seed depends on the state alone, so that every logged decision can be recomputed from it.
            if self._moving:
                found = self._learning.belief.moving_draws(number, self.draws, self.width)
            else:
                rng = np.random.default_rng([_SEED, self._learning.version, number])
                found = self._learning.belief.draw(self.draws, self.width, rng)
            # NaN would win every draw, and the probabilities would look valid.
            if not found.is_finite:
                raise PolicyError("the belief has numbers that are not finite; rebuild it from the log")
            self._samples[number] = found
        return found

    def winners(self, drawn: WeightDraws, contexts: Contexts) -> IntArray:
        """Return the (n, M) offers that are best under each of M draws, -1 where the rules allow none."""
        belief, catalogue = self._learning.belief, self.catalogue
        encoded, fired = belief.encode(contexts), catalogue.fired(contexts)
        if self._search is not None and self.sparse:
            return self._search.winners(belief, drawn, encoded, fired)
        eligible = catalogue.eligible(contexts, fired)
        found = best_offers(belief, drawn, encoded, eligible)
        return np.where(eligible.any(axis=1, keepdims=True), found, -1).astype(np.int64)

    def _win_shares(self, encoded: EncodedContexts, eligible: BoolArray, sample: WeightDraws) -> FloatArray:
        """Return the (n, N) shares of the draws in which each offer has the highest expected reward."""
        n, n_offers = eligible.shape
        winner = best_offers(self._learning.belief, sample, encoded, eligible)
        if n > 1:
            winner += np.arange(n)[:, None] * n_offers
        wins = np.bincount(winner.ravel(), minlength=n * n_offers)
        return wins.reshape(n, n_offers) / self.draws

    def predict(self, contexts: Contexts) -> FloatArray:
        """Return the (n, N) expected reward of each offer at the belief's mean."""
        belief = self._learning.belief
        return belief.expected_rewards(belief.encode(contexts))

    def predict_response(
        self, contexts: Contexts, offers: IntArray | Sequence[int] | None = None, *, level: float = 0.95
    ) -> PredictedResponse:
        """Return P(convert), expected revenue and expected reward of offers for n contexts, with credible intervals.

        `offers` are m numbers of offers, by default all; whether they are eligible is not asked. The numbers are those
        at the belief's mean, which the policy ranks offers by; the intervals are the central `level` of the posterior,
        whatever `width` is. InputError for an offer that the catalogue does not have or a level outside (0, 1).

        >>> from bandit import Catalogue, ThompsonSampling
        >>> channels = {"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}
        >>> catalogue = Catalogue.from_dict({"dimensions": [channels], "objective": {"kind": "conversion"}})
        >>> policy = ThompsonSampling(catalogue)
        >>> predicted = policy.predict_response(catalogue.contexts([{}]))
        >>> predicted.p_convert.value.shape, predicted.labels
        ((1, 2), ('email', 'sms'))
        """
        return predicted_response(self.posterior(contexts), offers, level)

    def posterior(self, contexts: Contexts) -> OfferPosterior:
        """Return the belief about the offers' scores for n contexts: means, deviations, draws and contributions."""
        return OfferPosterior(self._learning.belief, contexts, self._search if self.sparse else None)

    def best_at_mean(self, contexts: Contexts, fired: BoolArray) -> IntArray:
        """Return the (n,) offers with the highest expected reward, -1 where the rules allow none; by search.

        PolicyError for a catalogue of so few offers that all of them can be scored with `predict`.
        """
        if self._search is None:
            raise PolicyError(f"the search is for catalogues of more than {SEARCH_ABOVE:,} offers; ask for predict")
        belief = self._learning.belief
        return self._search.winners(belief, belief.main.mean_as_draw(), belief.encode(contexts), fired)[:, 0]

    @property
    def online(self) -> OnlineLearning:
        """The belief and how it learns."""
        return self._learning

    def own_deviations(self, customer: str) -> Mapping[str, tuple[float, float]]:
        """Return a customer's own effects in logits, (mean, standard deviation) by column: "base" and the options.

        Empty for a customer without history, and where `personal` is off or the objective is a raw reward.
        """
        belief = self._learning.belief
        names = ("base", *belief.encoder.offers.main_names)
        return {} if belief.customer_effects is None else belief.customer_effects.by_column(customer, names)

    # -- learning --------------------------------------------------------------------------------------------------

    def update(self, outcomes: Outcomes) -> None:
        """Learn outcomes, new ones and corrections of those learned before."""
        self._samples = {}
        self._learning.update(outcomes)

    @property
    def is_finite(self) -> bool:
        """Whether the belief's means and noise are finite: what one outcome makes infinite, it makes infinite there."""
        return self._learning.belief.is_finite

    def copy(self) -> ThompsonSampling:
        """Return a policy with the same state, which changes no more with this one; what never changes is shared."""
        known = {id(each): each for each in (self.catalogue, self.methods, self._search, *self._learning.shared())}
        # A set of draws is never changed, and other threads may add one at this very moment.
        memo: dict[int, Any] = {**known, id(self._samples): dict(self._samples)}
        return copy.deepcopy(self, memo)

    def is_quick(self, outcomes: Outcomes) -> bool:
        """Whether `update` with these outcomes only adds them to the belief: no estimate of a prior, no fit of scales.

        Above QUICK_COVARIANCES covariances of weights no update is quick.
        """
        return self._learning.is_quick(outcomes)

    def fit(self, log: Log, progress: Progress | None = None, runner: PartRunner | None = None) -> None:
        """Learn a whole log at once, to convergence, replacing what was learned before: a warm start.

        The log's propensities are not used: the model is of how customers respond to the offers they were given.
        Model and priors are those of online learning, whose updates approximate this fit. Reads the log some dozen
        times, in batches; `progress` is called with (passes done, most passes). InputError for an empty log.

        All passes are sums over the parts of the log (`bandit.domain.PartitionedLog`), added up by `runner` or in this
        process; a log without parts is one part, and the parts change the result by rounding alone. What leaves a part
        are sums, a sample of outcomes, and what is known of its own customers. Read straight through, in order and in
        this process, are: the first 20,000 decisions, which give the scales; a log whose market moves, as the method
        `memories` finds out in a sample of it; and all of the log for a policy of more than 1,200 weights, or with
        customers' effects but without the method `joint`.
        """
        self._samples = {}
        self._learning.fit(log, progress, runner)

    # -- state -----------------------------------------------------------------------------------------------------

    def spec(self) -> Mapping[str, object]:
        """Return the kind and the settings."""
        return {
            "kind": "thompson",
            "draws": self.draws,
            "width": self.width,
            "floor": self.floor,
            "pairs": self.pairs,
            "personal": self.personal,
            "half_life": self.half_life,
            "name": self.name,
            **({"methods": list(self.methods.names)} if self.methods.names else {}),
        }

    def dumps(self) -> bytes:
        """Return the belief, the scales and, during the warm-up, the outcomes kept."""
        meta, arrays = self._learning.state()
        return pack({"kind": "thompson", **meta}, arrays)

    def dumps_keyed(self) -> bytes:
        """Return what `dumps` does; of more than MOST_WHOLE customers without their rows, which are stored by key."""
        meta, arrays = self._learning.state(keyed=True)
        return pack({"kind": "thompson", **meta}, arrays)

    def customers_changed(self, after: int) -> tuple[int, CustomerRows] | None:
        """Return the number of updates, and the rows of the customers that one after `after` has changed.

        None where `dumps_keyed` returns the rows of all customers.
        """
        customers = self._learning.belief.customers
        if customers is None or not customers.is_keyed:
            return None
        return self._learning.version, customers.changed_after(after)

    def customers_expected(self) -> tuple[int, int]:
        """Return how many customers are known, and the digest of their rows."""
        customers = self._learning.belief.customers
        return (0, 0) if customers is None else (customers.n, customers.digest())

    def read_customers_from(self, source: CustomerSource) -> None:
        """Read the rows of customers that are not in memory from there; only so can a keyed state be used."""
        customers = self._learning.belief.customers
        if customers is not None and customers.by_key:
            customers.source = source

    def loads(self, state: bytes) -> None:
        """Load a state; PolicyError, with nothing changed, where it is of another policy, catalogue or context."""
        meta, arrays = unpack(state)
        try:
            if meta["kind"] != "thompson":
                raise ValueError(f"it is of a policy of kind {meta['kind']}")
            learning = self._learning.restored(meta, arrays)
        except (
            KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError, msgspec.MsgspecError
        ) as fault:  # fmt: skip
            raise PolicyError(f"the state does not fit this policy: {fault}; rebuild it from the log") from fault
        self._learning, self._samples = learning, {}

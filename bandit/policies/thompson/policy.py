"""Thompson sampling over combinations, with propensities that are exact by construction."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, EligibleSets, FloatArray, Log, Outcomes, SparseProbabilities
from bandit.errors import PolicyError
from bandit.models.shared_design import Draws
from bandit.policies.probabilities import check_share, mix_floor
from bandit.policies.state import pack, unpack
from bandit.policies.thompson.offer_search import OfferSearch
from bandit.policies.thompson.online import Learner
from bandit.policies.thompson.reward_belief import EncodedContexts

CELLS = 600_000
"""Scores (contexts x draws x offers) worked on at once: bounds the memory of a batch, and stays near the caches."""

SEARCH_ABOVE = 8_000
"""Above so many offers finding the best of each draw by search takes less time than scoring them all."""

MAX_DRAWS = 100_000
"""Most draws: propensities are then as fine as anybody can tell, and their memory is bounded."""

BLOCKS = 16
"""Sets of M draws between two changes of the belief; each call is answered from one of them, by chance."""

_SEED = 20_261_122


class ThompsonSampling:
    """Chooses each offer as often as it wins among draws from what is believed of the offers.

    `draws` posterior samples (M) are scored over the eligible offers; how often each wins, with `floor` spread over
    the eligible offers, is the probability that the offer is then drawn from (Thompson 1933): given the generator, the
    exact propensity. Sixteen sets of samples are drawn, as needed, once something was learned, and serve all decisions
    until more is; each call is answered from one of them by chance, and nothing is factored for a decision.

    `width` scales the posterior's deviation: 1 is Thompson's rule, less explores less. `pairs` gives each pair of
    options a weight of its own, `personal` each customer a deviation of its own from what is believed of all, learned
    from that customer's history and used at its mean. `half_life`, such as "30d", is the time after which an outcome
    counts half; without one nothing is forgotten.

    Objectives conversion, revenue and profit learn P(convert) by logistic regression and, where money counts, revenue
    given conversion by a linear model of its logarithm, which is used at its mean; kind "reward" learns the reward by
    a linear model. How much facts, options and pairs are expected to matter is estimated from the outcomes.
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
        name: str = "thompson sampling",
    ) -> None:
        """Start from the prior; PolicyError for settings that make no policy."""
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
        self._learner = Learner(catalogue, pairs=self.pairs, personal=self.personal, half_life=half_life)
        self._samples: dict[int, Draws] = {}
        self._search = OfferSearch(catalogue) if catalogue.n_offers > SEARCH_ABOVE else None

    # -- choice ----------------------------------------------------------------------------------------------------

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:
        """Return the (n, N) probabilities: shares of wins among the draws, with the floor. A batch uses all cores."""
        if self.sparse:
            sets = EligibleSets(eligible, eligible.sum(axis=1), np.arange(len(eligible)))
            return self.shares(contexts, self.catalogue.fired(contexts), sets, rng).dense(eligible)
        known = self._learner.outlook.encode(contexts)
        sample = self._sampled(int(rng.integers(BLOCKS)))
        n, n_offers = eligible.shape
        at_once = max(1, CELLS // (self.draws * n_offers))
        if n <= at_once:
            return mix_floor(self._shares(known, eligible, sample), eligible, self.floor)
        shares = np.empty(eligible.shape)

        def work(start: int) -> None:
            part = slice(start, start + at_once)
            shares[part] = mix_floor(self._shares(known.take(part), eligible[part], sample), eligible[part], self.floor)

        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for _ in threads.map(work, range(0, n, at_once)):
                pass
        return shares

    @property
    def sparse(self) -> bool:
        """Whether the catalogue has so many offers that the best of a draw is searched for; never with pairs."""
        return self._search is not None and not self._learner.outlook.encoder.offers.pairs.shape[1]

    def shares(
        self, contexts: Contexts, fired: BoolArray, eligible: EligibleSets, rng: Generator
    ) -> SparseProbabilities:
        """Return the probabilities by the winners of the draws; a draw without an eligible one counts for all alike."""
        if self._search is None:
            raise PolicyError(f"shares are for catalogues of more than {SEARCH_ABOVE:,} offers; ask for probabilities")
        outlook = self._learner.outlook
        sample = self._sampled(int(rng.integers(BLOCKS)))
        winners = self._search.winners(outlook, sample, outlook.encode(contexts), fired)
        share = np.where(eligible.has(winners), (1.0 - self.floor) / self.draws, 0.0)
        return SparseProbabilities(np.maximum(winners, 0), share, 1.0 - share.sum(axis=1), eligible.n_eligible)

    def _sampled(self, block: int) -> Draws:
        found = self._samples.get(block)
        if found is None:
            # Another state, other draws; the same state, the same: what was decided can be computed again.
            rng = np.random.default_rng([_SEED, self._learner.version, block])
            found = self._learner.outlook.draw(self.draws, self.width, rng)
            # A value that is no number would win every draw, and the probabilities would look sound.
            if not (np.isfinite(found.effects).all() and np.isfinite(found.pairs).all()):
                raise PolicyError("the belief has numbers that are not finite; rebuild it from the log")
            self._samples[block] = found
        return found

    def _shares(self, known: EncodedContexts, eligible: BoolArray, sample: Draws) -> FloatArray:
        values = self._learner.outlook.sample_rewards(sample, known, eligible)
        n, n_offers = eligible.shape
        winner = values.argmax(axis=2) + np.arange(n)[:, None] * n_offers
        wins = np.bincount(winner.ravel(), minlength=n * n_offers)
        return wins.reshape(n, n_offers) / self.draws

    def predict(self, contexts: Contexts) -> FloatArray:
        """Return the (n, N) predicted response: the expected reward of each offer at the belief's mean."""
        outlook = self._learner.outlook
        return outlook.expected(outlook.encode(contexts))

    def own_deviations(self, customer: str) -> Mapping[str, tuple[float, float]]:
        """Return how a customer is believed to deviate from all others, in logits, by column: "base" and the options.

        Mean and standard deviation; nothing for a customer without history and where no customer is told apart.
        """
        outlook = self._learner.outlook
        names = ("base", *outlook.encoder.offers.main_names)
        return {} if outlook.own is None else outlook.own.by_column(customer, names)

    # -- learning --------------------------------------------------------------------------------------------------

    def update(self, outcomes: Outcomes) -> None:
        """Learn outcomes, new and re-stated."""
        self._samples = {}
        self._learner.update(outcomes)

    def fit(self, log: Log, progress: Callable[[int, int], None] | None = None) -> None:
        """Learn a whole log at once, to convergence, in place of what was learned before: a warm start.

        The log's propensities are not used: what is learned is how customers respond to the offers that they got.
        The same model and priors as online, so this is what the online updates come near to. Reads the log some ten
        times, in batches; `progress` is called with (passes done, passes at most). InputError for an empty log.
        """
        self._samples = {}
        self._learner.fit(log, progress)

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
        }

    def dumps(self) -> bytes:
        """Return the beliefs, the scales and, until these are settled, the outcomes they come from."""
        meta, arrays = self._learner.state()
        return pack({"kind": "thompson", **meta}, arrays)

    def loads(self, state: bytes) -> None:
        """Take over a state; PolicyError where it is of another policy, catalogue or context."""
        meta, arrays = unpack(state)
        try:
            if meta["kind"] != "thompson":
                raise ValueError(f"it is of a policy of kind {meta['kind']}")
            learner = self._learner.restored(meta, arrays)
        except (
            KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError, msgspec.MsgspecError
        ) as fault:  # fmt: skip
            raise PolicyError(f"the state does not fit this policy: {fault}; rebuild it from the log") from fault
        self._learner, self._samples = learner, {}

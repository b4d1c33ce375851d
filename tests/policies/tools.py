"""Markets, outcomes and logs for the tests of policies."""

import copy
import dataclasses

import numpy as np
from hypothesis import strategies as st
from scipy.special import expit

import bandit
from bandit.domain import LoggedBatch, Outcomes
from tests.conftest import SPRING

OBJECTIVES = ("conversion", "revenue", "profit", "reward")


ODD_NAMES = st.text(min_size=1, max_size=6).filter(lambda text: text.strip() and "\0" not in text)
"""Names with bars, colons, spaces, line ends or emoji."""


DAY = 86_400_000_000


def without_coupling():
    """SPRING without the rule that couples discount and gift: 12 offers, a rule of one dimension is left."""
    mapping = copy.deepcopy(SPRING)
    del mapping["rules"][0]
    return mapping


def catalogue_for(kind, mapping=SPRING):
    return bandit.Catalogue.from_dict({**mapping, "objective": {**mapping["objective"], "kind": kind}})


def probabilities(policy, contexts, eligible=None, seed=1):
    """What the policy gives these contexts, from the offers that the rules leave unless others are named."""
    eligible = policy.catalogue.eligible(contexts) if eligible is None else eligible
    return policy.probabilities(contexts, eligible, np.random.default_rng(seed))


def conversion(**more):
    plain = copy.deepcopy(SPRING)
    plain["objective"] = {"kind": "conversion", "event": "purchase"}
    plain["rules"] = []
    return bandit.Catalogue.from_dict({**plain, **more})


def outcomes_of(catalogue, chance, n, rng, *, customers=None, time=None):
    """n visits of random customers, offers at random, responses by `chance(columns, options)`."""
    columns = {
        "gender": rng.choice(["f", "m"], n).astype(object),
        "recency": rng.normal(size=n),
        "loyal": rng.random(n) < 0.5,
    }
    who = np.array(
        [f"c{each}" for each in rng.integers(10**9, size=n)] if customers is None else customers, dtype=object
    )
    contexts = catalogue.contexts(columns, who)
    offer = rng.integers(catalogue.n_offers, size=n)
    converted = rng.random(n) < chance(columns, catalogue.options[offer])
    eligible = np.ones((n, catalogue.n_offers), dtype=bool)
    reward = converted.astype(float)
    propensity = np.full(n, 1.0 / catalogue.n_offers)
    return Outcomes.new(contexts, offer, eligible, propensity, converted, np.zeros(n), reward, time)


@dataclasses.dataclass
class OutcomesLog:
    """Outcomes as a log."""

    outcomes: Outcomes

    @property
    def n(self):
        return len(self.outcomes)

    def batches(self, size=65_536):
        o = self.outcomes
        time = o.time if len(o.time) else np.zeros(self.n, dtype=np.int64)
        whole = LoggedBatch(o.contexts, o.offer, o.eligible, o.propensity, o.converted, o.revenue, o.reward, time)
        for start in range(0, self.n, size):
            yield whole.take(slice(start, start + size))


def world(columns, options):
    """Sms for the loyal, e-mail for others; discounts for women."""
    loyal = np.asarray(columns["loyal"], dtype=float) * 2 - 1
    woman = (columns["gender"] == "f").astype(float)
    return expit(-1.5 + 0.8 * loyal * (options[:, 1] * 2 - 1) + 0.6 * woman * options[:, 0])


def other_world(columns, options):
    return world(columns, np.column_stack([options[:, 0], 1 - options[:, 1], options[:, 2]]))


def prediction_error(policy, catalogue, truth, rng):
    """Mean absolute error of the predicted response over offers and fresh customers."""
    columns = {"gender": rng.choice(["f", "m"], 300).astype(object), "loyal": rng.random(300) < 0.5}
    predicted = policy.predict(catalogue.contexts(columns))
    exact = np.column_stack([truth(columns, np.tile(row, (300, 1))) for row in catalogue.options])
    return float(np.abs(predicted - exact).mean())

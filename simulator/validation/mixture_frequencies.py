"""How often a roll-out serves each offer, beside the propensities of the mixture: 20,000 decisions, chi-squared.

    python -m simulator.validation.mixture_frequencies

Customers return, the policy learns from them and has personal parts. The number of times that each offer was served is
compared with the sum of its logged probabilities by the quadratic form of their covariance (a martingale: given what
came before, the counts have the sum of diag(p) - p p' as their covariance): for the first decisions of customers, for
later ones, and for those of customers whose earlier decisions make the policies more probable than their share. The
control uses the shares of the arms in place of their probabilities given the customer's earlier decisions; it needs the
vector of each arm, which follows from that of the mixture where there is one policy besides the rules.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from bandit.catalogue import Catalogue
from bandit.domain import MICROSECONDS, FloatArray, IntArray
from bandit.engine import Engine
from bandit.policies import ThompsonSampling
from simulator.market.season import DAY

START = 1_767_225_600 * MICROSECONDS
KEY = b"a key of the program"


@dataclass(frozen=True, slots=True)
class Frequencies:
    """What was found for some of the decisions: chi-squared over the offers, its degrees of freedom and p."""

    name: str
    decisions: int
    statistic: float
    freedom: int

    @property
    def p(self) -> float:
        """The probability of a statistic at least as large, if the propensities are right."""
        return float(chi2.sf(self.statistic, self.freedom))


def small_catalogue(share: float, salt: str) -> Catalogue:
    """Return six offers, rules that leave 10 % to chance, and a ramp that deals customers by a salt."""
    discount = {
        "name": "discount",
        "options": [{"name": "0"}, {"name": "10", "rate": 0.1}, {"name": "20", "rate": 0.2}],
    }
    channel = {"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}
    rules = {
        "segments": [{"when": "loyal", "offer": {"discount": "10", "channel": "email"}}],
        "otherwise": {"discount": "0", "channel": "email"},
        "exploration": 0.1,
    }
    return Catalogue.from_dict(
        {
            "objective": {"kind": "profit", "margin": 0.4},
            "context": {"loyal": {"type": "boolean"}},
            "dimensions": [discount, channel],
            "fallback": {"discount": "0", "channel": "email"},
            "rollout": {"mode": "ramp", "share": share, "rules": rules, "salt": salt},
        }
    )


def compare(name: str, served: IntArray, probability: FloatArray) -> Frequencies:
    """Compare counts with the sums of (n, N) probabilities."""
    n, n_offers = probability.shape
    off = np.bincount(served, minlength=n_offers) - probability.sum(axis=0)
    covariance = np.diag(probability.sum(axis=0)) - probability.T @ probability
    # The counts sum to n, so one offer is told by the others and is left out.
    statistic = float(off[1:] @ np.linalg.solve(covariance[1:, 1:], off[1:]))
    return Frequencies(name, n, statistic, n_offers - 1)


def play(share: float, customers: int, decisions: int, seed: int, challenger: float | None = None) -> list[Frequencies]:
    """Serve a ramp in batches of distinct customers, and compare; without the control where there is a challenger.

    `challenger` is its share of the policies' customers. The policies then have many draws: Thompson sampling takes one
    of its sets of draws for a batch, another where the policy is asked beside the arm that serves. With few draws these
    differ, and offers of customers in one batch depend on each other given the logged vectors, which the covariance
    leaves out. Each propensity is right all the same, but the counts vary more than it says.
    """
    catalogue, rng = small_catalogue(share, str(seed)), np.random.default_rng(seed)
    tastes = rng.uniform(0.05, 0.45, (customers, catalogue.n_offers))
    loyal, served, mixture, plain, later, told = rng.random(customers) < 0.4, [], [], [], [], []
    seen = np.zeros(customers, dtype=np.int64)
    with (
        tempfile.TemporaryDirectory() as folder,
        Engine.open(
            Path(folder) / "ramp.db",
            catalogue,
            ThompsonSampling(catalogue) if challenger is None else ThompsonSampling(catalogue, draws=1_500),
            seed=seed,
            customer_key=KEY,
            durability="process",
            keep_probabilities=True,
        ) as engine,
    ):
        if challenger is not None:
            _challenge(engine, Path(folder) / "ramp.db", challenger)
        for batch in range(decisions // 500):
            who, now = rng.permutation(customers)[:500], START + batch * 8 * DAY
            got = engine.decide_batch(
                [f"customer-{one}" for one in who],
                {"loyal": loyal[who].tolist()},
                time=now,
                decision_ids=[f"{batch}-{one}" for one in who],
            )
            numbers = np.array([engine.store.decisions.seq_of(name) for name in got.decision_ids])
            policies = 1.0 - engine.store.decision_arms.of(numbers).mixtures()[:, 0, :1]
            vectors = np.asarray(got.probabilities)
            # Two unknown vectors, one equation: the rules' vector is known, so the policy's follows.
            rules = _rules(catalogue, loyal[who])
            with np.errstate(invalid="ignore", divide="ignore"):
                policy = (vectors - (1.0 - policies) * rules) / policies
            policy = np.where(policies > 0.0, policy, rules)
            served.append(got.offer_index)
            mixture.append(vectors)
            plain.append((1.0 - share) * rules + share * policy)
            later.append(seen[who] > 0)
            told.append(policies[:, 0] > 1.01 * share)
            seen[who] += 1
            bought = rng.random(500) < tastes[who, got.offer_index]
            names = [name for name, one in zip(got.decision_ids, bought, strict=True) if one]
            engine.record_batch(names, "purchase", revenue=np.full(len(names), 50.0), time=now + DAY)
            engine.learn(now=now + 8 * DAY)
    offers, returning = np.concatenate(served), np.concatenate(later)
    logged, shares, leaning = np.concatenate(mixture), np.concatenate(plain), np.concatenate(told)
    found = [
        compare("first decisions", offers[~returning], logged[~returning]),
        compare("later decisions", offers[returning], logged[returning]),
        compare("all decisions", offers, logged),
        compare("customers that show the policies", offers[leaning], logged[leaning]),
    ]
    if challenger is None:
        found.append(compare("the same by the shares alone (control)", offers[leaning], shares[leaning]))
    return found


def _challenge(engine: Engine, path: Path, share: float) -> None:
    """Let another policy serve a share of the policies' customers."""
    policy = ThompsonSampling(engine.catalogue, draws=1_000)
    with Engine.open(path, engine.catalogue, policy, customer_key=KEY, durability="process") as other:
        number = other.policy_id
    engine.rollout.challenge(number, share, champion=engine.policy_id, author="the program")


def _rules(catalogue: Catalogue, loyal: np.ndarray) -> FloatArray:
    """Return the (n, N) probabilities of the rules."""
    named = np.where(
        loyal,
        catalogue.offer_index({"discount": "10", "channel": "email"}),
        catalogue.offer_index({"discount": "0", "channel": "email"}),
    )
    table = np.full((len(loyal), catalogue.n_offers), 0.1 / catalogue.n_offers)
    table[np.arange(len(loyal)), named] += 0.9
    return table


def main() -> None:
    """Print the comparison for ramps of some shares."""
    parser = argparse.ArgumentParser(description="Compare the offers of a ramp with their logged propensities.")
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--customers", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for share, challenger in ((0.1, None), (0.3, None), (0.7, None), (0.3, 0.4), (0.7, 0.4)):
        name = f"ramp {share:.0%}" + ("" if challenger is None else f" with a challenger of {challenger:.0%}")
        for found in play(share, given.customers, given.decisions, given.seed, challenger):
            print(  # noqa: T201 - a program's output
                f"{name}, {found.name}: {found.decisions:,} decisions, chi-squared "
                f"{found.statistic:.1f} ({found.freedom} degrees of freedom), p = {found.p:.3g}"
            )


if __name__ == "__main__":
    main()

"""Before anything goes live: frozen policies judged from the log, and the truth that the log cannot know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Outcomes, Policy, Progress
from bandit.evaluate import Evaluation, evaluate
from bandit.policies import Uniform
from simulator.campaign.history import Held
from simulator.campaign.plan import World
from simulator.market.ceilings import Clairvoyant, FactsClairvoyant
from simulator.market.names import Lookup
from simulator.market.population import Population

RULES, THOMPSON, VW, FACTS, ALL = (
    "segment rules",
    "thompson sampling",
    "vowpal wabbit",
    "facts-clairvoyant",
    "clairvoyant",
)

UNIFORM = "uniform"

RULES_VISITS = 10
"""The rules are cheap to ask: their truth is taken on this many times as many visits as that of the others."""

_LEARNED_AT_ONCE = 8_192


class Frozen:
    """A learned policy as it stands, which nothing teaches any more; obeys `bandit.domain.Policy`.

    Rows of a batch with equal facts and eligible offers are asked about once and share the answer: a visitor who
    returns within a batch costs nothing. Customers are not looked at.
    """

    learns = False

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.name = policy.name

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:
        """Return the policy's (n, N) probabilities."""
        facts = np.column_stack([column.astype(np.float64) for column in contexts.columns.values()])
        rows = np.concatenate([facts.view(np.uint8), np.packbits(eligible, axis=1)], axis=1)
        keys = np.ascontiguousarray(rows).view([("row", f"V{rows.shape[1]}")]).ravel()["row"]
        first, back = np.unique(keys, return_index=True, return_inverse=True)[1:]
        return self.policy.probabilities(contexts.take(first), eligible[first], rng)[back]

    def update(self, outcomes: Outcomes) -> None:
        """Change nothing."""

    def spec(self) -> Mapping[str, object]:
        """Return the policy's description."""
        return self.policy.spec()

    def dumps(self) -> bytes:
        """Return the policy's state."""
        return self.policy.dumps()

    def loads(self, state: bytes) -> None:
        """Set the policy's state."""
        self.policy.loads(state)


def learn(policy: Policy, held: Held, progress: Progress | None = None) -> None:
    """Teach a policy everything in order."""
    done = 0
    for batch in held.batches(_LEARNED_AT_ONCE):
        policy.update(batch.outcomes())
        done += len(batch)
        if progress is not None:
            progress(done, held.n)


def ceilings(population: Population, times: IntArray, lookup: Lookup | None = None) -> dict[str, Policy]:
    """Return the two best possible policies, for customers known by `lookup` and a season known only by `times`."""
    return {
        FACTS: FactsClairvoyant(population, times),
        ALL: Clairvoyant(population, times, lookup),
    }


def judge(
    world: World,
    held: Held,
    learned: Mapping[str, Policy],
    lookup: Lookup | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge the rules, what was learned and the ceilings by one half of the log, against the rules.

    `lookup` leads from customers as the log stores them to rows of the population.
    """
    policies: dict[str, Policy] = {
        RULES: world.segment_rules(),
        **{name: Frozen(policy) for name, policy in learned.items()},
        **ceilings(world.population, world.visits.times, lookup),
    }
    return evaluate(
        held.by_customer(),
        policies,
        RULES,
        catalogue=world.catalogue,
        rng=world.plan.rng("draws"),
        estimators=("dr",),
        progress=progress,
    )


@dataclass(frozen=True, slots=True)
class Truth:
    """What a frozen policy is truly worth a decision, and how much more than the rules.

    Expectations are exact for each visit; the errors are the standard errors of having so many visits and not more.
    """

    value: float
    error: float
    difference: float
    difference_error: float


def truths(world: World, learned: Mapping[str, Policy], progress: Progress | None = None) -> dict[str, Truth]:
    """Return the truth of the policies that `judge` judges, and of uniform choice.

    It is taken on fresh customers of the same market who come as often, and in the same season, as those of the log:
    that is what an interval from the log is about. The rules are taken on ten times as many visits as the others,
    and each other policy as its difference to the rules on the same visits.
    """
    others, visits = world.fresh(RULES_VISITS * world.plan.truth)
    policies: dict[str, Policy] = {
        UNIFORM: Uniform(world.catalogue),
        **learned,
        **ceilings(others, world.visits.times),
    }
    rng = world.plan.rng("draws")
    base = others.values(world.segment_rules(), rng, visits.customers, visits.times)
    rules, rules_error = float(base.mean()), _error(base)
    found = {RULES: Truth(rules, rules_error, 0.0, 0.0)}
    # Visits are in order of time, so every tenth one is spread over the season.
    some = visits.take(slice(None, None, RULES_VISITS))
    for done, (name, policy) in enumerate(policies.items(), start=1):
        more = others.values(policy, rng, some.customers, some.times) - base[::RULES_VISITS]
        error = _error(more)
        found[name] = Truth(rules + float(more.mean()), float(np.hypot(rules_error, error)), float(more.mean()), error)
        if progress is not None:
            progress(done, len(policies))
    return found


def _error(values: FloatArray) -> float:
    return float(values.std() / np.sqrt(len(values)))

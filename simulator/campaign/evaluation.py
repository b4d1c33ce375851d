"""Before anything goes live: frozen policies judged from the log, and the truth that the log cannot know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Outcomes, Policy, Progress
from bandit.evaluate import Evaluation, evaluate
from bandit.policies import Uniform
from simulator.campaign.history import MemoryLog
from simulator.campaign.plan import CampaignWorld
from simulator.market.ceilings import Clairvoyant, FactsClairvoyant
from simulator.market.names import Lookup
from simulator.market.population import Population

RULES_POLICY, THOMPSON_POLICY, VW_POLICY, FACTS_CLAIRVOYANT, CLAIRVOYANT = (
    "segment rules",
    "thompson sampling",
    "vowpal wabbit",
    "facts-clairvoyant",
    "clairvoyant",
)

UNIFORM = "uniform"

RULES_VISIT_FACTOR = 10
"""The rules are cheap to ask: their truth is taken on this many times as many visits as that of the others."""

_LEARNED_AT_ONCE = 8_192


class FrozenPolicy:
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


def train(policy: Policy, held: MemoryLog, progress: Progress | None = None) -> None:
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
        FACTS_CLAIRVOYANT: FactsClairvoyant(population, times),
        CLAIRVOYANT: Clairvoyant(population, times, lookup),
    }


def evaluate_offline(
    world: CampaignWorld,
    held: MemoryLog,
    learned: Mapping[str, Policy],
    lookup: Lookup | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge the rules, what was learned and the ceilings by one half of the log, against the rules.

    `lookup` leads from customers as the log stores them to rows of the population.
    """
    policies: dict[str, Policy] = {
        RULES_POLICY: world.segment_rules(),
        **{name: FrozenPolicy(policy) for name, policy in learned.items()},
        **ceilings(world.population, world.visits.times, lookup),
    }
    return evaluate(
        held.by_customer(),
        policies,
        RULES_POLICY,
        catalogue=world.catalogue,
        rng=world.plan.rng("draws"),
        estimators=("dr",),
        progress=progress,
    )


@dataclass(frozen=True, slots=True)
class TrueValue:
    """What a frozen policy is truly worth a decision, and how much more than the rules.

    Expectations are exact for each visit; the errors are the standard errors of having so many visits and not more.
    """

    value: float
    error: float
    difference: float
    difference_error: float


def true_values(
    world: CampaignWorld, learned: Mapping[str, Policy], progress: Progress | None = None
) -> dict[str, TrueValue]:
    """Return the truth of the policies that `evaluate_offline` judges, and of uniform choice.

    It is taken on fresh customers of the same market who come as often, and in the same season, as those of the log:
    that is what an interval from the log is about. The rules are taken on ten times as many visits as the others,
    and each other policy as its difference to the rules on the same visits.
    """
    others, visits = world.fresh(RULES_VISIT_FACTOR * world.plan.truth)
    policies: dict[str, Policy] = {
        UNIFORM: Uniform(world.catalogue),
        **learned,
        **ceilings(others, world.visits.times),
    }
    rng = world.plan.rng("draws")
    base = others.values(world.segment_rules(), rng, visits.customers, visits.times)
    rules, rules_error = float(base.mean()), _error(base)
    found = {RULES_POLICY: TrueValue(rules, rules_error, 0.0, 0.0)}
    # Visits are in order of time, so every tenth one is spread over the season.
    some = visits.take(slice(None, None, RULES_VISIT_FACTOR))
    for done, (name, policy) in enumerate(policies.items(), start=1):
        more = others.values(policy, rng, some.customers, some.times) - base[::RULES_VISIT_FACTOR]
        error = _error(more)
        found[name] = TrueValue(
            rules + float(more.mean()), float(np.hypot(rules_error, error)), float(more.mean()), error
        )
        if progress is not None:
            progress(done, len(policies))
    return found


def _error(values: FloatArray) -> float:
    return float(values.std() / np.sqrt(len(values)))

"""Offline evaluation of frozen policies from the log, and their true values, which only the simulator knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Outcomes, Policy, Progress
from bandit.evaluate import Evaluation, evaluate
from bandit.policies import Uniform
from simulator.campaign.plan import CampaignWorld
from simulator.market.ceilings import CLAIRVOYANT, FACTS_CLAIRVOYANT, UNIFORM, Clairvoyant, FactsClairvoyant
from simulator.market.names import Lookup
from simulator.market.population import Population
from simulator.simulation.log import MemoryLog

RULES_POLICY = "segment rules"
THOMPSON_POLICY = "thompson sampling"
VW_POLICY = "vowpal wabbit"

RULES_VISIT_FACTOR = 10
"""The true value of the rules, which are cheap, is computed on so many times as many visits as that of the others."""

_LEARNING_BATCH = 8_192


class FrozenPolicy:
    """A learned policy that learns no more; obeys `bandit.domain.Policy`.

    Rows of a batch with equal facts and equal eligible offers are computed once and share the answer, so a customer who
    returns within a batch costs nothing. Customers' keys are ignored.
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


def train(policy: Policy, log: MemoryLog, progress: Progress | None = None) -> None:
    """Update a policy with all outcomes of a log, in order."""
    done = 0
    for batch in log.batches(_LEARNING_BATCH):
        policy.update(batch.outcomes())
        done += len(batch)
        if progress is not None:
            progress(done, log.n)


def clairvoyant_policies(population: Population, times: IntArray, lookup: Lookup | None = None) -> dict[str, Policy]:
    """Return the two best possible policies by name; `lookup` is from stored customer keys to rows of the population.

    They know the season through the `times` of the visits only.
    """
    return {
        FACTS_CLAIRVOYANT: FactsClairvoyant(population, times),
        CLAIRVOYANT: Clairvoyant(population, times, lookup),
    }


def evaluate_offline(
    world: CampaignWorld,
    log: MemoryLog,
    learned: Mapping[str, Policy],
    lookup: Lookup | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate the rules, the learned policies and the clairvoyant ones from a log; the rules are the baseline.

    `lookup` leads from customers as the log stores them to rows of the population.
    """
    policies: dict[str, Policy] = {
        RULES_POLICY: world.segment_rules(),
        **{name: FrozenPolicy(policy) for name, policy in learned.items()},
        **clairvoyant_policies(world.population, world.visits.times, lookup),
    }
    return evaluate(
        log.by_customer(),
        policies,
        RULES_POLICY,
        catalogue=world.catalogue,
        rng=world.plan.rng("draws"),
        estimators=("dr",),
        progress=progress,
    )


@dataclass(frozen=True, slots=True)
class TrueValue:
    """The true value of a frozen policy a decision, and its difference to the rules.

    Expectations are exact for each visit; `error` and `difference_error` are the standard errors of the finite number
    of visits.
    """

    value: float
    error: float
    difference: float
    difference_error: float


def true_values(
    world: CampaignWorld, learned: Mapping[str, Policy], progress: Progress | None = None
) -> dict[str, TrueValue]:
    """Return the true values of the policies that `evaluate_offline` evaluates, and of uniform choice.

    They are means over new customers of the same market who come as often, and in the same season, as those of the log:
    the quantity that an interval from the log is about. The rules are taken on ten times as many visits as the others,
    and each other policy as its difference to the rules on the same visits.
    """
    others, visits = world.fresh(RULES_VISIT_FACTOR * world.plan.truth)
    policies: dict[str, Policy] = {
        UNIFORM: Uniform(world.catalogue),
        **learned,
        **clairvoyant_policies(others, world.visits.times),
    }
    rng = world.plan.rng("draws")
    base = others.values(world.segment_rules(), rng, visits.customers, visits.times)
    rules, rules_error = float(base.mean()), _standard_error(base)
    found = {RULES_POLICY: TrueValue(rules, rules_error, 0.0, 0.0)}
    # Visits are in order of time, so every tenth one is spread over the season.
    some = visits.take(slice(None, None, RULES_VISIT_FACTOR))
    for done, (name, policy) in enumerate(policies.items(), start=1):
        differences = others.values(policy, rng, some.customers, some.times) - base[::RULES_VISIT_FACTOR]
        mean, error = float(differences.mean()), _standard_error(differences)
        found[name] = TrueValue(rules + mean, float(np.hypot(rules_error, error)), mean, error)
        if progress is not None:
            progress(done, len(policies))
    return found


def _standard_error(values: FloatArray) -> float:
    return float(values.std() / np.sqrt(len(values)))

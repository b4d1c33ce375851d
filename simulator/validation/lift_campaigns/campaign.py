"""One simulated campaign: two groups of customers, a policy that learns from both, and the true lift of every decision.

**The true lift.** At decision t the policy would choose with the probabilities pi_t and the rules with rho, and q_t are
the exact expected rewards of the offers for this customer at this moment, every taste known. What the policy would earn
more at this decision, in the state in which it then was, is d_t = sum over offers of (pi_t - rho) q_t. The truth is

- without personal parts, the mean of d_t over all decisions of both groups;
- with personal parts, the mean of d_t over the decisions of the policy's group, in expectation over dealing the groups
  again: only customers whom the policy serves have a history that the policy made. It is estimated without noise of
  outcomes by mean(e_t over all decisions) + mean(d_t - e_t over the decisions of the policy's group), where e_t is d_t
  of the policy as it is towards customers whom it does not know. The first mean does not depend on who is in which
  group, and the second one has only the personal parts in it. Without personal parts d_t = e_t, and it is the same.

The truth is about the states of the policy as they came to be, since a policy that learns is no fixed thing, and about
the customers of this campaign. Intervals are about customers drawn anew. They are wider by the variance of a customer's
mean of d_t over the number of customers, which is a few hundredths of an estimate's variance here.

Means are unbiased for this truth: visits do not depend on offers, the assignment is random, and a decision's expected
reward is sum(pi_t q_t) in one group and sum(rho q_t) in the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue import Catalogue
from bandit.decide import checked, draw
from bandit.domain import Contexts, Outcomes
from bandit.errors import InputError
from bandit.policies import SegmentRules, ThompsonSampling
from simulator.market.market import Market
from simulator.market.population import Population
from simulator.market.segments import todays_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.domain import BoolArray, FloatArray, IntArray
    from simulator.market.visits import Visits
    from simulator.validation.lift_campaigns.setting import CampaignSetting

GROUP_NAMES = ("policy", "rules")
"""The groups of a campaign, in order: the policy that learns, and the rules with which it is compared."""

_SEEDS = 2**32


@dataclass(frozen=True, slots=True, eq=False)
class LiftCampaign:
    """The n decisions of a campaign in order of time, with what only a simulation knows.

    `probabilities` (n, 2) are those of the logged offer by the policy and by the rules, whichever served. `gain` (n,)
    is d_t and `gain_unknown` (n,) is e_t, in the unit of the reward. `agreement` (n,) is the sum over offers of the
    smaller one of pi_t and rho. `time` is in microseconds.
    """

    customer: IntArray
    time: IntArray
    group: IntArray
    reward: FloatArray
    earned: BoolArray
    probabilities: FloatArray
    gain: FloatArray
    gain_unknown: FloatArray
    agreement: FloatArray

    def truths(self) -> FloatArray:
        """Return the (n,) true lifts, per decision, of the decisions from the first one to each."""
        own = self.group == 0
        personal = np.cumsum(np.where(own, self.gain - self.gain_unknown, 0.0)) / np.maximum(np.cumsum(own), 1)
        found = np.cumsum(self.gain_unknown) / np.arange(1, len(own) + 1) + personal
        # Where nothing matters, what is left is rounding, and its sign would decide which verdicts are false.
        return np.where(np.abs(found) < 1e-9, 0.0, found)


def run_campaign(setting: CampaignSetting, number: int) -> LiftCampaign:
    """Draw a market, customers, groups and visits, and run the campaign; the same number gives the same campaign."""
    world, log, draws = setting.generators(number)
    market = Market.draw(setting.scenario(), world)
    population = Population.draw(market, setting.customers, world)
    given = todays_rules(population)
    group = dealt(setting, number, population, given)
    visits = population.visits(setting.decisions, log)
    server = _Server(
        population,
        ThompsonSampling(market.catalogue, personal=setting.personal),
        SegmentRules.from_dict(market.catalogue, given),
        draws,
        log,
    )
    parts = []
    for start in range(0, len(visits), setting.batch):
        part = visits.take(slice(start, start + setting.batch))
        parts.append(server.serve(part, group[part.customers]))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return LiftCampaign(visits.customers, visits.times, group[visits.customers], **columns)


def dealt(setting: CampaignSetting, number: int, population: Population, rules: Mapping[str, object]) -> IntArray:
    """Return the (customers,) groups, by the hash of a catalogue that declares them with the campaign's salt."""
    share = setting.policy_share
    declared = Catalogue.from_dict(
        {
            **population.market.scenario.catalogue(),
            "groups": {
                "policy": share,
                "rules": {**rules, "share": 1.0 - share},
                "salt": f"campaign {setting.seed} {number}",
            },
        }
    ).groups
    if declared is None or declared.names != GROUP_NAMES:
        raise InputError(f"the catalogue declares other groups than {', '.join(GROUP_NAMES)}")
    return declared.assign(population.names())


@dataclass(frozen=True, slots=True, eq=False)
class _Server:
    """Serves batches of visits, each customer by its group, and teaches the policy the outcomes at once."""

    population: Population
    policy: ThompsonSampling
    rules: SegmentRules
    draws: np.random.Generator
    log: np.random.Generator

    def serve(self, visits: Visits, group: IntArray) -> dict[str, FloatArray | BoolArray]:
        """Decide for a batch, draw the outcomes, teach them, and return the columns of a campaign."""
        customers, rows = visits.customers, np.arange(len(visits))
        contexts = self.population.contexts(customers, visits.times)
        eligible = self.population.eligible(contexts)
        known, unknown = self._policy_shares(contexts, eligible)
        ruled = self.rules.probabilities(contexts, eligible, self.log)
        served = np.where((group == 0)[:, None], known, ruled)
        offer = draw(served, self.log)
        answer = self.population.respond(customers, offer, visits.times, self.log)
        kept = answer.kept
        self.policy.update(
            Outcomes.new(
                contexts,
                offer,
                eligible,
                served[rows, offer],
                kept,
                np.where(kept, answer.revenue, 0.0),
                answer.reward,
                visits.times,
            )
        )
        expected = self.population.expected_value(customers, time=visits.times)
        return {
            "reward": answer.reward,
            "earned": kept,
            "probabilities": np.stack([known[rows, offer], ruled[rows, offer]], axis=1),
            "gain": ((known - ruled) * expected).sum(axis=1),
            "gain_unknown": ((unknown - ruled) * expected).sum(axis=1),
            "agreement": np.minimum(known, ruled).sum(axis=1),
        }

    def _policy_shares(self, contexts: Contexts, eligible: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return the policy's (n, N) probabilities, and those if it knew no customer, by the same posterior samples."""
        seed = int(self.draws.integers(_SEEDS))
        known = checked(self.policy.probabilities(contexts, eligible, np.random.default_rng(seed)), eligible)
        if not self.policy.personal:
            return known, known
        nobody = Contexts(contexts.n, contexts.columns, contexts.text)
        return known, self.policy.probabilities(nobody, eligible, np.random.default_rng(seed))

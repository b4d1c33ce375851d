"""One simulated campaign: two groups of customers, a policy that learns from both, and the true lift of every decision.

**The true lift.** At decision t the policy would choose with the probabilities pi_t and the rules with rho, and q are
the exact expected rewards of the offers. What the policy would earn more at a decision, in the state in which it was at
that time, is sum over offers of (pi_t - rho) q; call it d_t for the customer of decision t, e_t for this customer if
the policy did not know it (no personal part), and f_t for a new customer of the same market at the same time. Truth is

- without personal parts, the mean of f_t: what the policy earns more, in its states as they came to be, with customers
  drawn as those of the campaign were. Intervals are about customers drawn anew, and so is this.
- with personal parts, mean(f_t) + mean(d_t - e_t over the decisions of the policy's group). The second mean is what the
  policy's knowledge of single customers earns. It is taken over the policy's own group, since only customers whom the
  policy serves have a history that the policy made; its expectation over dealing the groups again is meant. It has no
  outcomes in it, and little noise.

Means are unbiased for it but for one small difference: the campaign's customers have taught the policy, and new ones
have not, so that e_t may on average be above f_t. `own_truth` has the mean of e_t over all decisions of both groups in
the place of that of f_t; in 200 campaigns the two truths differed by -0.004 +- 0.004 on average, of a lift of 0.95. For
`own_truth` means are unbiased by the assignment alone: visits do not depend on offers, and a decision's expected reward
is sum(pi_t q) in one group and sum(rho q) in the other. Intervals are too wide for it, by the variance of e_t between
customers, which was a twentieth of an estimate's variance.
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

_SEEDS, _ROUNDING = 2**32, 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class LiftCampaign:
    """The n decisions of a campaign in order of time, with what only a simulation knows.

    `probabilities` (n, 2) are those of the logged offer by the policy and by the rules, whichever served. `gain` (n,)
    is d_t, `gain_unknown` e_t and `gain_new` f_t, in the unit of the reward. `agreement` (n,) is the sum over offers of
    the smaller one of pi_t and rho. `time` is in microseconds.
    """

    customer: IntArray
    time: IntArray
    group: IntArray
    reward: FloatArray
    earned: BoolArray
    probabilities: FloatArray
    gain: FloatArray
    gain_unknown: FloatArray
    gain_new: FloatArray
    agreement: FloatArray

    def truths(self) -> FloatArray:
        """Return the (n,) true lifts, per decision, of the decisions from the first one to each."""
        return self._running(self.gain_new)

    def own_truth(self) -> float:
        """Return the true lift of all decisions for the campaign's own customers."""
        return float(self._running(self.gain_unknown)[-1])

    def _running(self, base: FloatArray) -> FloatArray:
        """Return the running means of `base`, plus those of what personal parts earn in the policy's group."""
        own = self.group == 0
        personal = np.cumsum(np.where(own, self.gain - self.gain_unknown, 0.0)) / np.maximum(np.cumsum(own), 1)
        found = np.cumsum(base) / np.arange(1, len(own) + 1) + personal
        # Where nothing matters, what is left is rounding, and its sign would decide which verdicts are false.
        return np.where(np.abs(found) < _ROUNDING, 0.0, found)


def run_campaign(setting: CampaignSetting, number: int) -> LiftCampaign:
    """Draw a market, customers, groups and visits, and run the campaign; the same number gives the same campaign."""
    world, log, draws, new = setting.generators(number)
    market = Market.draw(setting.scenario(), world)
    population = Population.draw(market, setting.customers, world)
    given = todays_rules(population)
    group = dealt(setting, number, population, given)
    visits = population.visits(setting.decisions, log)
    others = Population.draw(market, setting.decisions, new)
    met = others.visits(setting.decisions, new).customers
    server = _Server(
        population,
        others,
        ThompsonSampling(market.catalogue, personal=setting.personal),
        SegmentRules.from_dict(market.catalogue, given),
        draws,
        log,
    )
    parts = []
    for start in range(0, len(visits), setting.batch):
        rows = slice(start, start + setting.batch)
        part = visits.take(rows)
        parts.append(server.serve(part, group[part.customers], met[rows]))
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
    """Serves batches of visits, each customer by its group, and teaches the policy the outcomes at once.

    `others` are customers whom the policy never meets; `draws` and `log` are the generators of the policy's posterior
    samples and of everything else.
    """

    population: Population
    others: Population
    policy: ThompsonSampling
    rules: SegmentRules
    draws: np.random.Generator
    log: np.random.Generator

    def serve(self, visits: Visits, group: IntArray, met: IntArray) -> dict[str, FloatArray | BoolArray]:
        """Decide for a batch, draw and teach the outcomes; return the columns of a campaign.

        `met` are the customers among `others` to whom the policy is compared with the rules at the same times.
        """
        customers, rows = visits.customers, np.arange(len(visits))
        contexts = self.population.contexts(customers, visits.times)
        eligible = self.population.eligible(contexts)
        seed = int(self.draws.integers(_SEEDS))
        known = checked(self._policy(contexts, eligible, seed), eligible)
        unknown = self._policy(_nobody(contexts), eligible, seed) if self.policy.personal else known
        ruled = self.rules.probabilities(contexts, eligible, self.log)
        expected = self.population.expected_value(customers, time=visits.times)
        gain_new = self._gain_new(met, visits.times, seed)
        served = np.where((group == 0)[:, None], known, ruled)
        offer = draw(served, self.log)
        answer = self.population.respond(customers, offer, visits.times, self.log)
        kept = answer.kept
        revenue = np.where(kept, answer.revenue, 0.0)
        self.policy.update(
            Outcomes.new(contexts, offer, eligible, served[rows, offer], kept, revenue, answer.reward, visits.times)
        )
        return {
            "reward": answer.reward,
            "earned": kept,
            "probabilities": np.stack([known[rows, offer], ruled[rows, offer]], axis=1),
            "gain": ((known - ruled) * expected).sum(axis=1),
            "gain_unknown": ((unknown - ruled) * expected).sum(axis=1),
            "gain_new": gain_new,
            "agreement": np.minimum(known, ruled).sum(axis=1),
        }

    def _gain_new(self, met: IntArray, times: IntArray, seed: int) -> FloatArray:
        """Return f_t of these customers: given their facts, since the policy knows no more about them."""
        contexts = _nobody(self.others.contexts(met, times))
        eligible = self.others.eligible(contexts)
        apart = self._policy(contexts, eligible, seed) - self.rules.probabilities(contexts, eligible, self.log)
        return np.asarray((apart * self.others.expected_value(met, time=times, known="facts")).sum(axis=1))

    def _policy(self, contexts: Contexts, eligible: BoolArray, seed: int) -> FloatArray:
        """Return the policy's (n, N) probabilities; the same seed gives the same posterior samples."""
        return self.policy.probabilities(contexts, eligible, np.random.default_rng(seed))


def _nobody(contexts: Contexts) -> Contexts:
    """Return the contexts without customers: the policy then has no personal part."""
    return Contexts(contexts.n, contexts.columns, contexts.text)

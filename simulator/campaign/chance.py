"""Why a log needs chance: the same rules without exploration, whose log cannot tell what another policy would earn."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from bandit.domain import Policy
from bandit.evaluate import evaluate
from simulator.campaign.evaluation import RULES_POLICY, THOMPSON_POLICY, FrozenPolicy
from simulator.campaign.plan import CampaignWorld
from simulator.simulation.log import RunLog
from simulator.simulation.run import run

CERTAIN_VISITS = 10_000
"""Visits under the rules without exploration."""


@dataclass(frozen=True, slots=True)
class WithoutChance:
    """What a log of n decisions, made by the rules without exploration, says of Thompson sampling."""

    n: int
    verdict: str
    reason: str

    def sentence(self, exploration: float) -> str | None:
        """Return what the log cannot tell, why, and the cure; None where it can tell."""
        if self.verdict != "cannot tell":
            return None
        return (
            f"Why the rules leave {exploration:.0%} of the decisions to chance: {self.n:,} decisions of the same rules "
            f'without it give "cannot tell" for Thompson sampling, since {self.reason}. The cure is a share of chance; '
            "`offer-bandit plan` says how much of it tells how much."
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def without_chance(world: CampaignWorld, policy: Policy) -> WithoutChance:
    """Judge a learned policy by a log of the rules alone, of visits that are spread over the season."""
    step = max(1, len(world.visits) // CERTAIN_VISITS)
    visits = world.visits.take(slice(None, None, step))
    rules = world.segment_rules()
    log = RunLog(world.population, run(rules, world.population, visits, world.plan.rng("draws")))
    found = evaluate(
        log,
        {RULES_POLICY: rules, THOMPSON_POLICY: FrozenPolicy(policy)},
        RULES_POLICY,
        catalogue=world.catalogue,
        rng=world.plan.rng("draws"),
        estimators=("dr",),
    )
    row = next(row for row in found.rows if row.name == THOMPSON_POLICY)
    return WithoutChance(found.n, str(row.verdict), (row.reason or "").removeprefix("cannot tell: "))

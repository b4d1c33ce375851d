"""What kind of campaign is run: the market, the policy, the groups and the sizes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from simulator.market.spec import PracticeRule
from simulator.scenarios import scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.market.spec import Scenario

_OPTIONS: Mapping[str, tuple[str, ...]] = {"discount": ("0", "10", "20"), "channel": ("email",), "gift": ("none",)}

_TASTES_EXPLAINED, _TASTES_HIDDEN = 0.70, 0.50


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSetting:
    """One kind of campaign.

    `real` campaigns have offers that matter, others none that does; `personal` is the option of Thompson sampling. Over
    `days`, each with a look at its end, `decisions` are made for `customers`, of whom the share `policy_share` is in
    the group of the policy and the rest in that of the rules. The policy learns all outcomes after every `batch`
    decisions. `seed` is that of the first random numbers; campaigns with the same number have the same customers and
    visits with and without personal parts.

    Raises InputError for sizes below 1 and for a share that is not between 0 and 1.
    """

    real: bool
    personal: bool
    customers: int = 4_000
    decisions: int = 20_000
    days: int = 28
    batch: int = 500
    policy_share: float = 0.5
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("customers", "decisions", "days", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a number from 1")
        if not 0.0 < self.policy_share < 1.0:
            raise InputError(f"the policy's share is {self.policy_share}; give a share between 0 and 1")
        if self.seed < 0:
            raise InputError(f"the seed is {self.seed}; give a number from 0")

    @property
    def name(self) -> str:
        """The kind in words."""
        return f"{'real' if self.real else 'null'}, {'with' if self.personal else 'without'} personal parts"

    def scenario(self) -> Scenario:
        """Return the market: retail, or null, with 12 offers: three discounts in four categories.

        In the real one, tastes for categories are stronger than in retail, so that a campaign of this size can find the
        lift at all: deviations of 0.70 logits by facts and 0.50 beyond them. The rules give the loyal no discount and
        everybody else 10 %, in the category that converts most in that segment.
        """
        base = scenario("retail" if self.real else "null")
        dimensions = tuple(
            replace(
                one, options=tuple(each for each in one.options if each.name in _OPTIONS.get(one.name, (each.name,)))
            )
            for one in base.dimensions
        )
        if self.real:
            dimensions = tuple(
                replace(one, explained=_TASTES_EXPLAINED, hidden=_TASTES_HIDDEN) if one.name == "category" else one
                for one in dimensions
            )
        return replace(
            base,
            dimensions=dimensions,
            practice=(PracticeRule(name="loyal", when="loyal", fixed={"discount": "0"}),),
            practice_otherwise={"discount": "10"},
            days=float(self.days),
        )

    def generators(self, number: int) -> tuple[np.random.Generator, ...]:
        """Return the four generators of one campaign: of its market, its log, the policy's samples and the truth."""
        return tuple(map(np.random.default_rng, np.random.SeedSequence([self.seed, number]).spawn(4)))

    def to_dict(self) -> dict[str, bool | int | float]:
        """Return plain JSON values."""
        return asdict(self)

"""The scenarios by name, with numbers that are chosen to be plausible and are not fitted to any data.

Where a magnitude follows common reports of retail e-mail and coupon campaigns the module says so; the rest is set to
give a learner a realistic problem: most tastes are partly explained by facts, discounts pay for some customers and lose
money with others, and a good deal shows only in a customer's history. Each scenario has a module and stresses one
difficulty; to add one, add its `Scenario` to `SCENARIOS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from bandit.errors import InputError
from simulator.market.spec import Scenario
from simulator.scenarios import retail
from simulator.scenarios.busy import BUSY
from simulator.scenarios.clickbait import CLICKBAIT
from simulator.scenarios.crossings import CROSSINGS_MIXED, CROSSINGS_PURE, CROSSINGS_THRESHOLD
from simulator.scenarios.delayed import DELAYED
from simulator.scenarios.drift import DRIFT
from simulator.scenarios.heavy_tail import HEAVY_TAIL
from simulator.scenarios.loyalty import LOYALTY
from simulator.scenarios.many_offers import MANY_OFFERS_SCENARIO
from simulator.scenarios.null import NULL
from simulator.scenarios.ordered import ORDERED
from simulator.scenarios.retail import RETAIL
from simulator.scenarios.rugged import RUGGED
from simulator.scenarios.skewed import SKEWED
from simulator.scenarios.sparse import SPARSE
from simulator.scenarios.sure_things import SURE_THINGS
from simulator.scenarios.tiny import TINY

_ALL = (
    RETAIL,
    BUSY,
    LOYALTY,
    DRIFT,
    SPARSE,
    CLICKBAIT,
    HEAVY_TAIL,
    SURE_THINGS,
    MANY_OFFERS_SCENARIO,
    RUGGED,
    SKEWED,
    CROSSINGS_PURE,
    CROSSINGS_MIXED,
    CROSSINGS_THRESHOLD,
    ORDERED,
    DELAYED,
    NULL,
    TINY,
)

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({one.name: one for one in _ALL})

_RULES: Mapping[str, tuple[Mapping[str, object], ...]] = MappingProxyType({"retail": retail.RETAIL_RULES})


def scenario(name: str, *, rules: bool = False) -> Scenario:
    """Return a scenario by name, with its stacking and eligibility rules if wanted.

    Raises InputError for an unknown name, and where rules are wanted of a scenario without rules.
    """
    if name not in SCENARIOS:
        raise InputError(f'"{name}" is not a scenario; scenarios are {", ".join(SCENARIOS)}')
    if not rules:
        return SCENARIOS[name]
    if name not in _RULES:
        raise InputError(f'the scenario "{name}" has no rules; those with rules are {", ".join(_RULES)}')
    return replace(SCENARIOS[name], rules=_RULES[name])

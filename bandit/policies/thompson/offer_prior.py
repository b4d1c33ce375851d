"""The prior of the weights of an offer model: groups of weights, and the deviation each group starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from bandit.encoding.cells import MAX_CHECKS
from bandit.encoding.encoder import Encoder
from bandit.models.prior import WeightGroup
from bandit.policies.thompson.crosses import CROSS_SHARES

RESPONSE_CENTER = -2.5
"""Prior mean of the intercept: a response of 7.6 %; with deviation 2 it covers 0.2 % to 80 %."""

CROSS_DEVIATION = 0.6
"""Prior deviation of a cross's weight: in logits, or in units of the noise of raw rewards."""

ModelKind = Literal["response", "revenue", "amount"]
"""What an offer model predicts: the response (logistic), the log revenue, or the raw reward (linear)."""


@dataclass(frozen=True, slots=True)
class PriorDeviations:
    """Prior deviations of the groups of weights; context columns are of about unit size.

    Those of options hold for numeric attributes of options too. `base_context` and `option_context` are totals,
    divided among the facts.
    """

    base: float
    base_context: float
    option: float
    option_context: float
    pair: float


PRIOR_DEVIATIONS: Mapping[ModelKind, PriorDeviations] = {
    # On the logit scale: the base rate is nearly free; an option, and all facts together, move it by e^0.3 to e^0.5.
    "response": PriorDeviations(base=2.0, base_context=0.8, option=0.5, option_context=0.5, pair=0.15),
    # Of log revenue, in units of its noise: incentives move whether people buy far more than for how much.
    "revenue": PriorDeviations(base=10.0, base_context=0.8, option=0.2, option_context=0.25, pair=0.05),
    # Of raw rewards, in units of their noise.
    "amount": PriorDeviations(base=10.0, base_context=0.5, option=0.3, option_context=0.25, pair=0.15),
}


def weight_groups(kind: ModelKind, encoder: Encoder) -> list[WeightGroup]:
    """Return the groups of weights: base and each owner of option columns, alone and x each context group; pairs."""
    deviations, offers = PRIOR_DEVIATIONS[kind], encoder.offers
    share = 1.0 / sqrt(max(1, len(encoder.catalogue.facts)))
    groups: list[WeightGroup] = []
    for name in ("base", *offers.owner_names):
        base = name == "base"
        groups.append(WeightGroup(name, deviations.base if base else deviations.option, fixed=base))
        for context in encoder.context_groups[1:]:
            deviation = deviations.base_context if base else deviations.option_context
            groups.append(WeightGroup(f"{name} x {context.name}", deviation * share * context.share))
    return [*groups, WeightGroup("pairs", deviations.pair)]


def cross_groups() -> list[WeightGroup]:
    """Return the groups of the weights of crosses, one for each number of checks; they come after the pairs."""
    names = [f"crosses of {number}" for number in range(1, MAX_CHECKS + 1)]
    return [WeightGroup(name, CROSS_DEVIATION * share) for name, share in zip(names, CROSS_SHARES, strict=True)]

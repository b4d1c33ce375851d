"""The objective: realised and expected reward of a decision in the catalogue's currency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bandit.domain import BoolArray, FloatArray, IntArray

Floats: TypeAlias = NDArray[np.floating]

RETURNED_REVENUE = 1e-6
"""Net revenue at or below this, after some was paid back, means that everything was returned."""

LARGEST_AMOUNT = 1e30
"""Sums of revenue and rewards of one decision are read within +-LARGEST_AMOUNT: no money is more, and no sum, square
or single-precision number of amounts within it overflows."""


def bounded_amounts(sums: FloatArray) -> FloatArray:
    """Return sums of amounts (n,) within `LARGEST_AMOUNT`: two finite amounts may add up to infinity.

    >>> bounded_amounts(np.array([52.0, np.inf])).tolist()
    [52.0, 1e+30]
    """
    return np.clip(sums, -LARGEST_AMOUNT, LARGEST_AMOUNT)


ObjectiveKind = Literal["conversion", "revenue", "profit", "reward"]


@dataclass(frozen=True, slots=True, eq=False)
class Money:
    """Costs of n offers, (n,) each.

    `rate` is the share of revenue given away, `redemption_cost` is paid when the customer converts, `contact_cost`
    whenever the offer is sent. Both costs are in the catalogue's currency.
    """

    rate: FloatArray
    contact_cost: FloatArray
    redemption_cost: FloatArray


@dataclass(frozen=True, slots=True)
class Objective:
    """The catalogue's [objective]; `window` is in microseconds.

    `activation` is the event without which a decision has no outcome, None where every decision has one. `stages` are
    the events that come before `event`, in order. Outcomes are learned within +-`largest_amount`; with
    `refuses_larger` an event with a larger amount is not recorded.
    """

    kind: ObjectiveKind
    event: str
    margin: float
    window: int
    activation: str | None = None
    stages: tuple[str, ...] = ()
    largest_amount: float = LARGEST_AMOUNT
    refuses_larger: bool = False

    @staticmethod
    def conversions(happened: BoolArray, returned: BoolArray, revenue: FloatArray) -> BoolArray:
        """Return which of n decisions count as converted, (n,): a return of all the revenue undoes the conversion.

        `happened` marks those with the objective's event in the window, `returned` those with a negative revenue
        there, and `revenue` is the sum of all revenue there.
        """
        return happened & ~(returned & (revenue <= RETURNED_REVENUE))

    def reward(
        self, money: Money, offer: IntArray, converted: BoolArray, revenue: FloatArray, value: FloatArray
    ) -> FloatArray:
        """Return the (n,) realised reward; `value` is the raw reward the caller sent, for kind "reward"."""
        if self.kind == "reward":
            return value.astype(np.float64)
        if self.kind == "conversion":
            return converted.astype(np.float64)
        if self.kind == "revenue":
            return np.where(converted, revenue, 0.0)
        earned = revenue * (self.margin - money.rate[offer]) - money.redemption_cost[offer]
        return np.where(converted, earned, 0.0) - money.contact_cost[offer]

    def reward_of_one(self, money: Money, offer: int, converted: bool, revenue: float, value: float) -> float:
        """Return what `reward` returns for one decision, bit by bit the same."""
        if self.kind == "reward":
            return value
        if self.kind == "conversion":
            return float(converted)
        if self.kind == "revenue":
            return revenue if converted else 0.0
        earned = 0.0
        if converted:
            earned = revenue * (self.margin - money.rate.item(offer)) - money.redemption_cost.item(offer)
        return earned - money.contact_cost.item(offer)

    def worth(self, money: Money, revenue: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the value of a conversion (n, N) and the cost of an offer without one (N,), from E[revenue | convert].

        The expected reward is P(convert) x value - cost. Only for the kinds "revenue" and "profit".
        """
        if self.kind == "revenue":
            return revenue, np.zeros(revenue.shape[-1])
        return revenue * (self.margin - money.rate) - money.redemption_cost, money.contact_cost

    def expected(self, money: Money, p_convert: Floats, revenue: Floats) -> FloatArray:
        """Return the expected reward of offers on the last axis, from P(convert) and E[revenue | convert].

        Profit: P(convert) x (E[revenue | convert] x (margin - rate) - redemption cost) - contact cost.
        """
        if self.kind == "conversion":
            return np.asarray(p_convert, dtype=np.float64)
        if self.kind == "revenue":
            return np.asarray(p_convert * revenue, dtype=np.float64)
        if self.kind == "profit":
            worth = revenue * (self.margin - money.rate)
            worth -= money.redemption_cost
            worth *= p_convert
            worth -= money.contact_cost
            return worth
        raise ValueError('kind "reward" is learned directly and has no P(convert)')

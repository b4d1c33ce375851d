"""Responses of customers: the outcomes of offers, drawn in whole batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from bandit.domain import BoolArray, FloatArray, IntArray
from simulator.market.season import DAY
from simulator.market.spec import Scenario


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """The random numbers of n visits, independent of any offer: four uniforms and one normal a visit.

    Two policies that meet the same noise differ only by what they offered (common random numbers): a visit that
    converts at some probability converts at every higher one.
    """

    buys: FloatArray
    basket: FloatArray
    delay: FloatArray
    returns: FloatArray
    return_delay: FloatArray

    def __len__(self) -> int:
        return len(self.buys)

    @staticmethod
    def draw(n: int, rng: np.random.Generator) -> Noise:
        """Draw the noise of n visits."""
        return Noise(rng.random(n), rng.standard_normal(n), rng.random(n), rng.random(n), rng.random(n))

    def take(self, rows: IntArray | BoolArray | slice) -> Noise:
        """Return the chosen rows."""
        return Noise(self.buys[rows], self.basket[rows], self.delay[rows], self.returns[rows], self.return_delay[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """The outcomes of n offers, (n,) columns.

    `converted` is whether the customer bought and `revenue` for how much (0 if not); `delay` is the time from the offer
    to the purchase in microseconds (0 without one). `returned` is whether the purchase was sent back, `return_delay`
    microseconds after it. `reward` is the objective, where a purchase that was sent back counts as none. `stages`
    (n, S) are the stages before the purchase that were passed, `stage_delay` from the offer to them, in microseconds.
    """

    converted: BoolArray
    revenue: FloatArray
    delay: IntArray
    returned: BoolArray
    return_delay: IntArray
    reward: FloatArray
    stages: BoolArray
    stage_delay: IntArray

    @property
    def kept(self) -> BoolArray:
        """Whether the customer bought and did not send it back, (n,)."""
        return self.converted & ~self.returned

    def __len__(self) -> int:
        return len(self.converted)


def delays(uniform: FloatArray, mean_days: float, within_days: float) -> IntArray:
    """Return exponential delays in microseconds, cut at `within_days`, by inversion."""
    if mean_days <= 0 or within_days <= 0:
        return np.zeros(len(uniform), dtype=np.int64)
    reach = -np.expm1(-within_days / mean_days)
    days = -mean_days * np.log1p(-uniform * reach)
    return np.asarray(days * DAY, dtype=np.int64)


def buy(
    scenario: Scenario, response: FloatArray, basket: FloatArray, returned_share: FloatArray, noise: Noise
) -> tuple[BoolArray, FloatArray, IntArray, BoolArray, IntArray]:
    """Return converted, revenue, delay, returned and return delay of n offers.

    `response` is P(buy), `basket` the mean of the log basket, `returned_share` P(sent back | bought), each (n,).
    """
    converted = noise.buys < response
    revenue = np.where(converted, np.exp(basket + _purchase(scenario, noise.basket)), 0.0)
    delay = np.where(converted, delays(noise.delay, scenario.delay_days, scenario.purchase_within_days), 0)
    returned = converted & (noise.returns < returned_share)
    back = delays(noise.return_delay, scenario.return_delay_days, scenario.return_within_days)
    return converted, revenue, delay, returned, np.where(returned, back, 0)


def _purchase(scenario: Scenario, normal: FloatArray) -> FloatArray:
    """Return the log of (n,) purchases less the mean of the log basket, from one standard normal each.

    The normal's cumulative probability decides whether the purchase is a bulk one; given that, it is uniform on (0, 1)
    again after rescaling, so one normal is enough for both.
    """
    share = scenario.bulk_share
    if share <= 0:
        return scenario.basket_spread * normal
    place = ndtr(normal)
    bulk = place < share
    inside = np.where(bulk, place / share, (place - share) / (1.0 - share))
    tiny = np.finfo(np.float64).eps
    spread = scenario.basket_spread * ndtri(np.clip(inside, tiny, 1.0 - tiny))
    return np.asarray(spread + np.where(bulk, np.log(scenario.bulk_factor), 0.0))


def pass_stages(response: FloatArray, passing: FloatArray, noise: Noise) -> BoolArray:
    """Return which of n visits pass each of S stages: (n, S), a stage only after those before it.

    `response` (n,) is P(buy), `passing` (n, S) the probability of passing a stage for who passed those before it and
    does not buy. The number that decides about the purchase decides here too: given no purchase, it is uniform between
    P(buy) and 1, and passing k stages takes the lowest part of that of the size of the product of their probabilities.
    """
    through = np.cumprod(passing, axis=1)
    return np.asarray(noise.buys[:, None] < response[:, None] + (1.0 - response[:, None]) * through)

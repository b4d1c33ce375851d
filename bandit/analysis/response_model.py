"""The reward distribution of a decision that sample sizes are computed from: conversion rate, worth and cost.

A decision converts with probability c and is then worth w on average, with standard deviation t; a cost h is paid in
any case: E[r] = c w - h, Var(r) = c (t^2 + w^2) - (c w)^2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class ResponseModel:
    """The reward of a decision: it converts at `rate`, is then worth `worth` +- `deviation`, and always costs `cost`.

    `deviation` is a standard deviation; all amounts are in the objective's unit. InputError for values out of range.
    """

    rate: float
    worth: float
    deviation: float
    cost: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise InputError(f"the response rate is {self.rate:g}; give a share above 0 and at most 1, such as 0.05")
        if not (isfinite(self.worth) and self.worth > 0):
            raise InputError(
                f"a conversion is worth {self.worth:g} on average; give a basket whose margin is more than the offers "
                "cost"
            )
        if not (isfinite(self.deviation) and self.deviation >= 0):
            raise InputError(f"the deviation of what a conversion is worth is {self.deviation:g}; give 0 or more")

    @property
    def value(self) -> float:
        """The mean reward of a decision, E[r]."""
        return self.rate * self.worth - self.cost

    @property
    def variance(self) -> float:
        """The variance of the reward of a decision, Var(r)."""
        return self.rate * (self.deviation**2 + self.worth**2) - (self.rate * self.worth) ** 2

    @property
    def second_moment(self) -> float:
        """The mean squared reward of a decision, E[r^2]."""
        return self.variance + self.value**2

    def with_uplift(self, uplift: float) -> ResponseModel:
        """Return the model with the mean reward raised by `uplift`: by a higher rate, or by worth if the rate is 1."""
        if self.rate == 1.0:
            return replace(self, worth=self.worth + uplift)
        return replace(self, rate=min(max(self.rate + uplift / self.worth, 1e-9), 1.0))


def response_model_of(catalogue: Catalogue, rate: float, basket: float, basket_deviation: float) -> ResponseModel:
    """Return the reward distribution under the catalogue's objective, with its offers chosen equally often.

    For objective "reward", `basket` is the mean reward and `rate` is not used. A conversion with basket b is worth
    b (margin - rate) - redemption cost; variation of these between offers is part of the deviation.
    """
    kind = catalogue.objective.kind
    if kind == "conversion":
        return ResponseModel(rate, 1.0, 0.0)
    if kind == "reward":
        return ResponseModel(1.0, basket, basket_deviation)
    if kind == "revenue":
        return ResponseModel(rate, basket, basket_deviation)
    money = catalogue.money
    kept = catalogue.objective.margin - money.rate
    worth = basket * kept - money.redemption_cost
    deviation = sqrt(float(np.mean((basket_deviation * kept) ** 2) + worth.var()))
    return ResponseModel(rate, float(worth.mean()), deviation, float(money.contact_cost.mean()))

"""A shop whose facts are skewed and handed in raw, while what they say of tastes is linear in their logarithms.

All numbers are chosen. Last year's spend, the days since the last purchase and the number of orders are lognormal, as
shops find them; twice the spend says as much at 50 as at 500. The catalogue declares centers and scales of the raw
numbers, as in the other scenarios. Customers buy more readily than in the retail scenario, so that what is missed by
reading the numbers as they come is not hidden by the noise of few purchases.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.market.demographics import Numeric
from simulator.market.spec import Scenario
from simulator.scenarios.retail import AGE, GENDER, LOYAL, NEWSLETTER, RECENCY, REGION, RETAIL

SKEWED: Scenario = replace(
    RETAIL,
    name="skewed",
    describes="A shop with skewed facts handed in raw, whose logarithms decide: 144 offers, profit counts.",
    facts=(
        AGE,
        GENDER,
        REGION,
        LOYAL,
        replace(RECENCY, spread=1.1, low=1, high=730, taste=1.0, by_log=True),
        # A median of 120 a year; the top twentieth spends six times that.
        Numeric(
            name="spend",
            center=120,
            spread=1.1,
            log=True,
            low=1,
            high=20_000,
            decimals=2,
            engagement=0.6,
            taste=1.0,
            base=0.10,
            basket=0.15,
            by_log=True,
        ),
        Numeric(
            name="orders",
            center=4,
            spread=0.9,
            log=True,
            low=1,
            high=300,
            engagement=0.5,
            taste=0.8,
            base=0.10,
            by_log=True,
        ),
        NEWSLETTER,
    ),
    base_rate=0.10,
)

"""False announcements: how often one of many equal offers is found to be better or worse (the winner's curse)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.domain import BoolArray
from bandit.ope import ESTIMATORS, Tally
from bandit.ope.intervals import DEFAULT_INTERVAL
from simulator.validation.calibration.intervals import CONFIDENCE_LEVEL
from simulator.validation.calibration.markets import single_offers
from simulator.validation.calibration.replicate import CalibrationCell, answerable, feedback_of
from simulator.validation.calibration.reward import shares_of
from simulator.validation.calibration.summary import EstimatedShare, share
from simulator.validation.calibration.worlds import NULL_MARKET, world_named

EQUAL_OFFER_ROWS = (10_000, 60_000)
"""Rows of the logs in which equal offers are compared."""

QUICK_EQUAL_LOGS, FULL_EQUAL_LOGS = 15, 100
"""Logs of each size."""


@dataclass(frozen=True, slots=True)
class FalseAnnouncements:
    """Shares of logs in which any of many equal offers is announced, each compared alone or all together.

    `compared` is the mean number of offers for which there is an answer, in logs of `rows` rows.
    """

    rows: int
    alone_better: EstimatedShare
    alone_worse: EstimatedShare
    together_better: EstimatedShare
    together_worse: EstimatedShare
    compared: float

    @property
    def says_something(self) -> bool:
        """Whether a log answers for an offer at all: without an answer nothing can be announced."""
        return self.compared >= 1.0

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        shares = {name: getattr(self, name).to_dict() for name in self.__slots__ if name not in {"rows", "compared"}}
        return {"rows": self.rows, **shares, "compared": self.compared}


def count_announcements(estimator: str, n: int, replications: int) -> FalseAnnouncements:
    """Compare single offers with uniform choice, which wrote the logs, in the market where all are worth the same.

    Alone: by each offer's own 95 % interval of the difference. Together: by simultaneous intervals.
    """
    world = world_named(NULL_MARKET)
    cell = CalibrationCell(NULL_MARKET, next(iter(world.logging)), n, replications)
    policies = single_offers(world)
    found: list[list[bool]] = []
    compared: list[int] = []
    for number in range(replications):
        rng = cell.rng(number)
        sample = world.sample(cell.logging, n, rng)
        feedback = feedback_of(sample, cell.logging, policies, shares_of(sample, rng))
        tally = Tally(len(feedback), [ESTIMATORS[estimator]])
        tally.add(*feedback)
        places = [place for place, answers in enumerate(answerable(sample, tally, policies), start=1) if answers]
        alone = [tally.difference(place, 0, CONFIDENCE_LEVEL, DEFAULT_INTERVAL)[0] for place in places]
        together = [
            each.estimate for each in tally.simultaneous([(place, 0) for place in places], estimator, CONFIDENCE_LEVEL)
        ]
        found.append(
            [
                any(each.low > 0.0 for each in alone),
                any(each.high < 0.0 for each in alone),
                any(each.low > 0.0 for each in together),
                any(each.high < 0.0 for each in together),
            ]
        )
        compared.append(len(places))
    hits: BoolArray = np.array(found)
    shares = [share([hits[:, [place]]], [np.ones((replications, 1), dtype=np.bool_)]) for place in range(4)]
    return FalseAnnouncements(n, shares[0], shares[1], shares[2], shares[3], float(np.mean(compared)))

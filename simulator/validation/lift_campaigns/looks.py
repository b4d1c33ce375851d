"""What `lift` says of a campaign at its daily looks and at its end, next to the truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.evaluate.lift import LiftOptions, lift
from bandit.ope.lift import LiftBatch, LiftTally, TrajectoryWeights, balanced_weights
from simulator.market.season import CALENDAR_START, DAY
from simulator.validation.lift_campaigns.campaign import GROUP_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.domain import FloatArray
    from bandit.evaluate.lift import Lift
    from bandit.ope.lift import LiftMethod
    from simulator.validation.lift_campaigns.campaign import LiftCampaign

LIFT_WAYS = ("means", "trajectory", "balanced")
"""How lift is computed: differences of means, trajectory weights, and balanced weights of each decision alone."""


@dataclass(frozen=True, slots=True)
class WayRecord:
    """One way's answers: `values` and anytime intervals at each look, and the interval for one look at the last.

    `verdicts` are those of the anytime intervals, `once` that of the interval for one look, which is `once_low` to
    `once_high`. `errors` are standard errors. `doubted` says that the weights were found to be wrong at the last look.
    """

    values: tuple[float, ...]
    errors: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    verdicts: tuple[str, ...]
    once: str
    once_low: float
    once_high: float
    doubted: bool


@dataclass(frozen=True, slots=True)
class CampaignRecord:
    """One campaign: at each look the customers seen and the true lift so far; the answers by way; the mean agreement.

    `truths` are those of the decisions up to each look, per decision in the unit of the reward; `own_truth` is that of
    the whole campaign for its own customers.
    """

    number: int
    agreement: float
    customers: tuple[int, ...]
    truths: tuple[float, ...]
    own_truth: float
    ways: Mapping[str, WayRecord]

    @property
    def truth(self) -> float:
        """The true lift of the whole campaign."""
        return self.truths[-1]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> CampaignRecord:
        """Return the record of its plain values; KeyError or TypeError where they are of something else."""
        ways = {name: _way_of(way) for name, way in plain["ways"].items()}
        columns: dict[str, Any] = {**plain, "customers": tuple(plain["customers"]), "truths": tuple(plain["truths"])}
        return CampaignRecord(**{**columns, "ways": ways})


def _way_of(plain: Mapping[str, Any]) -> WayRecord:
    columns: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in plain.items()}
    return WayRecord(**columns)


def record_campaign(campaign: LiftCampaign, number: int, share: float, days: int) -> CampaignRecord:
    """Look at a campaign at the end of each of its days, and once more, by the interval for one look, at the end.

    `share` is the policy's share of the customers. Days before the first decision have no look.
    """
    shares = np.array([share, 1.0 - share])
    day = np.clip((campaign.time - CALENDAR_START) // DAY, 0, days - 1)
    ends = np.searchsorted(day, np.arange(days), side="right")
    truths, customers, seen = campaign.truths(), [], []
    tallies = [LiftTally(shares, weighted=True) for _ in LIFT_WAYS[1:]]
    trajectories = TrajectoryWeights(shares)
    daily: list[tuple[Lift, ...]] = []
    start = 0
    for end in ends.tolist():
        if not end:
            continue
        rows = slice(start, end)
        probabilities = campaign.probabilities[rows]
        both = (
            trajectories.read(campaign.customer[rows], probabilities),
            balanced_weights(probabilities, shares),
        )
        for tally, weights in zip(tallies, both, strict=True):
            tally.add(_batch(campaign, rows, weights))
        daily.append(tuple(lift(tally, GROUP_NAMES, LiftOptions(GROUP_NAMES[1])) for tally in tallies))
        counts, several = tallies[0].overall.customers()
        customers.append(int(counts.sum()) + several)
        seen.append(float(truths[end - 1]))
        start = end
    last = tuple(lift(tally, GROUP_NAMES, LiftOptions(GROUP_NAMES[1], look="once")) for tally in tallies)
    places: tuple[tuple[int, LiftMethod], ...] = ((0, "means"), (0, "balanced"), (1, "balanced"))
    ways = {
        name: _way([looks[place] for looks in daily], last[place], method)
        for name, (place, method) in zip(LIFT_WAYS, places, strict=True)
    }
    agreement = float(campaign.agreement.mean())
    return CampaignRecord(number, agreement, tuple(customers), tuple(seen), campaign.own_truth(), ways)


def _batch(campaign: LiftCampaign, rows: slice, weights: FloatArray) -> LiftBatch:
    return LiftBatch(
        campaign.reward[rows], campaign.group[rows], campaign.customer[rows], campaign.earned[rows], weights
    )


def _way(daily: list[Lift], last: Lift, method: LiftMethod) -> WayRecord:
    rows = [each.row(*GROUP_NAMES, method) for each in daily]
    final = last.row(*GROUP_NAMES, method)
    return WayRecord(
        values=tuple(row.anytime.value for row in rows),
        errors=tuple(row.anytime.standard_error for row in rows),
        lows=tuple(row.anytime.low for row in rows),
        highs=tuple(row.anytime.high for row in rows),
        verdicts=tuple(row.verdict for row in rows),
        once=final.verdict,
        once_low=final.once.low,
        once_high=final.once.high,
        doubted=method == "balanced" and any(each.check == "weights" for each in last.findings),
    )

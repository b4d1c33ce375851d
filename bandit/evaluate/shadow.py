"""A policy in shadow: how often its choice is the one that was served, and what it would earn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.diagnostics import Finding, TargetWeights
from bandit.evaluate.diagnostics.cures import cure_json
from bandit.evaluate.diagnostics.findings import share, to_json
from bandit.evaluate.diagnostics.target import MAX_UNSUPPORTED
from bandit.evaluate.verdict import Comparison, cure_of, verdict_and_reason
from bandit.ope import Feedback, Tally, resolve
from bandit.ope.contrast import rarer_share
from bandit.ope.estimate import finite_cell, interval_cells
from bandit.rollout.state import RULES_ARM
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray, IntArray
    from bandit.evaluate.diagnostics.cures import Cure
    from bandit.evaluate.verdict import Verdict
    from bandit.ope import Estimate
    from bandit.rollout import RolloutChange
    from bandit.store import ServedArms
    from bandit.tabular import Cell

_ESTIMATOR = "snips"

_WEIGHT_LEVEL = 0.999
"""The level of the interval of the mean weight, wide so that false alarms are rare."""

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class ShadowReport(Tabular):
    """What the decisions in shadow show.

    Of `decisions` with a choice in shadow, by `customers`, the choice equals what `served` (an arm) served in `agreed`.
    `expected` is the share in which it should, by the logged probabilities, and `expected_error` the standard error of
    the observed share around it. `without_choice` decisions have none, because the policy could not answer.

    `settled` decisions have known outcomes: `value` is the estimated mean reward per decision of the policy (by
    self-normalised importance weights), `served_value` that of what was served and `difference` the first minus the
    second, with an interval for every look; None without settled decisions. `unsupported` is the share of the
    policy's probability on offers that what served never makes to such customers.
    """

    changes: tuple[RolloutChange, ...]
    served: str
    decisions: int
    customers: int
    agreed: int
    expected: float
    expected_error: float
    without_choice: int
    settled: int
    value: Estimate | None
    served_value: Estimate | None
    difference: Estimate | None
    unsupported: float | None
    verdict: Verdict
    reason: str
    cure: Cure | None = None

    @property
    def agreement(self) -> float:
        """The observed share of decisions in which the choice is the one that was served; NaN without decisions."""
        return self.agreed / self.decisions if self.decisions else np.nan

    def summary_row(self) -> dict[str, Cell]:
        """Return the comparison with what served as one row: the verdict and the difference it rests on."""
        head: dict[str, Cell] = {
            "comparison": f"policy in shadow minus {self.served}",
            "verdict": self.verdict,
            "reason": self.reason,
        }
        return head | interval_cells(None if self.unsupported else self.difference, "difference")

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row: how often the choices agree, both values, and their difference."""
        supported = not self.unsupported
        return [
            {
                "decisions": self.decisions,
                "customers": self.customers,
                "agreement": finite_cell(self.agreement),
                "expected": finite_cell(self.expected),
            }
            | interval_cells(self.served_value, "served")
            | interval_cells(self.value if supported else None)
            | self.summary_row()
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values; None where a number is not finite."""
        plain: dict[str, object] = {name: getattr(self, name) for name in self.__slots__ if name != "changes"}
        numbers = ("expected", "expected_error", "unsupported")
        estimates = {name: getattr(self, name) for name in ("value", "served_value", "difference")}
        return (
            plain
            | {name: None if plain[name] is None else to_json(getattr(self, name)) for name in numbers}
            | {name: None if each is None else each.to_dict() for name, each in estimates.items()}
            | {"cure": cure_json(self.cure)}
            | {"changes": [each.id for each in self.changes], "agreement": to_json(self.agreement)}
        )


class ShadowTally:
    """Adds up decisions in shadow, batch by batch; `binary` says that outcomes are of two kinds."""

    def __init__(self, *, binary: bool) -> None:
        self._binary = binary
        self._tally = Tally(2, resolve((_ESTIMATOR,), frozenset()))
        self._weights = TargetWeights()
        self._by_arm: dict[str, int] = {}
        self._customers = np.zeros(0, dtype=np.int64)
        self._n = self._agreed = self._without = self._settled = self._earning = 0
        self._expected = self._variance = 0.0

    def add(
        self,
        served: ServedArms,
        offer: IntArray,
        propensity: FloatArray,
        customer: IntArray,
        reward: FloatArray,
        earned: BoolArray,
        counted: BoolArray,
    ) -> None:
        """Add n decisions: what was served with which propensity, to whom, and the rewards of those that count."""
        chosen = served.shadow_offer >= 0
        chosen &= np.isfinite(served.policy_probability)
        self._without += int((~chosen).sum())
        probability = np.clip(served.policy_probability[chosen], 0.0, 1.0)
        self._n += int(chosen.sum())
        self._agreed += int((served.shadow_offer[chosen] == offer[chosen]).sum())
        self._expected += float(probability.sum())
        self._variance += float((probability * (1.0 - probability)).sum())
        self._customers = np.union1d(self._customers, customer[chosen])
        for name in np.unique(served.arm[chosen].astype(str)).tolist():
            self._by_arm[name] = self._by_arm.get(name, 0) + int((served.arm[chosen] == name).sum())
        rows = np.flatnonzero(chosen & counted)
        if not len(rows):
            return
        target = np.clip(served.policy_probability[rows], 0.0, 1.0)
        own = Feedback(reward[rows], propensity[rows], propensity[rows], cluster=customer[rows])
        self._tally.add(Feedback(reward[rows], propensity[rows], target, cluster=customer[rows]), own)
        self._weights.add(target / propensity[rows], customer[rows])
        self._settled += len(rows)
        self._earning += int(earned[rows].sum())

    def result(self, changes: tuple[RolloutChange, ...], level: float) -> ShadowReport:
        """Return the report on decisions under these changes."""
        arm = max(self._by_arm, key=lambda name: self._by_arm[name], default=changes[0].state.substitute)
        value = served = difference = unsupported = None
        findings = [Finding("outcomes", "fatal", "no decision in shadow has its outcome yet", "later")]
        events = 0.0
        if self._settled:
            (value,) = self._tally.estimates(0, level)
            (served,) = self._tally.estimates(1, level)
            (difference,) = self._tally.difference(0, 1, level, "anytime-skew")
            weight = self._tally.mean_weight(0, _WEIGHT_LEVEL)
            unsupported = max(0.0, 1.0 - weight.value) if weight.high < 1.0 - _ROUNDING else 0.0
            rarer = rarer_share(self._earning, self._settled, binary=self._binary)
            support = self._weights.result("the policy", weight, 0.0, rarer=rarer)
            found = _unsupported(unsupported, arm) or support.finding()
            findings, events = ([] if found is None else [found]), support.events
        comparison = Comparison(
            arm, is_baseline=False, difference=difference, compared=1, estimated=False, events=events, every_look=True
        )
        verdict, reason = verdict_and_reason(findings, comparison)
        return ShadowReport(
            changes=changes,
            served=arm,
            decisions=self._n,
            customers=len(self._customers),
            agreed=self._agreed,
            expected=self._expected / self._n if self._n else np.nan,
            expected_error=float(np.sqrt(self._variance)) / self._n if self._n else np.nan,
            without_choice=self._without,
            settled=self._settled,
            value=value,
            served_value=served,
            difference=difference,
            unsupported=unsupported,
            verdict=verdict or "cannot tell",
            reason=reason or "",
            cure=cure_of(findings, comparison),
        )


def _unsupported(part: float, arm: str) -> Finding | None:
    """Return the finding that what served never makes much of what the policy would choose."""
    if part <= MAX_UNSUPPORTED:
        return None
    advice = (
        "leave a part of the rules' choices to chance (exploration = 0.1), or begin" if arm == RULES_ARM else "begin"
    )
    sentence = (
        f"{share(part)} of the policy's probability is on offers that the {arm} never served to such customers; "
        f"{advice} with a small ramp"
    )
    return Finding("support", "fatal", sentence)

"""The result of an evaluation: one row a policy, ready for a table or for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.errors import InputError
from bandit.evaluate.diagnostics.cures import cure_json
from bandit.ope.estimate import finite_cell, interval_cells
from bandit.ope.numbers import NumberFormat
from bandit.printable import decisions_that_count
from bandit.tabular import RowTable, Tabular

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bandit.evaluate.diagnostics import Finding, LogDiagnosis, TargetSupport
    from bandit.evaluate.diagnostics.cures import Cure
    from bandit.evaluate.propensity.calibration import PropensityFit
    from bandit.evaluate.resampled import ResampledCoverage
    from bandit.evaluate.segments import Segment
    from bandit.evaluate.verdict import Verdict
    from bandit.ope import Estimate
    from bandit.tabular import Cell

LOGGED = "logged"
"""The name of the policy that wrote the log; it may be named as the baseline."""


@dataclass(frozen=True, slots=True)
class PolicyEvaluation:
    """One policy's value per decision by each estimator, and whether the log supports it.

    `difference` is value - baseline, paired row by row, and None for the baseline itself and without one.
    `together` is the difference by the default estimator with an interval that holds for all compared policies at
    once, `p_value` its p-value, adjusted likewise; both are None where `difference` is None, and where the log cannot
    judge the policy. `support` says how far the log supports the policy, by its weights, and `findings` lists what
    limits the numbers, the gravest first. `verdict` follows from `together` and `findings`, and `reason` gives the
    reason in one sentence; both are None without a baseline, unless the log cannot judge the policy. `cure` says what
    would help where the verdict is "cannot tell".
    """

    name: str
    estimates: tuple[Estimate, ...]
    difference: tuple[Estimate, ...] | None
    together: Estimate | None
    p_value: float | None
    mean_weight: Estimate
    support: TargetSupport
    findings: tuple[Finding, ...]
    verdict: Verdict | None
    reason: str | None
    cure: Cure | None = None

    @property
    def effective_sample_size(self) -> float:
        """Kish's effective sample size: how many decisions made by the policy itself would be as informative."""
        return self.support.effective_rows

    @property
    def max_weight(self) -> float:
        """The largest weight."""
        return self.support.largest_weight

    @property
    def unsupported(self) -> float:
        """The share of the policy's probability on offers that the log never shows."""
        return self.support.unsupported

    @property
    def support_ok(self) -> bool:
        """Whether the log supports the policy well enough to act on the numbers."""
        return self.warning is None

    @property
    def warning(self) -> str | None:
        """Why the numbers must not be acted on, a sentence that begins with "cannot tell"; None where they may be."""
        fatal = next((each.sentence for each in self.findings if each.severity == "fatal"), None)
        return None if fatal is None else f"cannot tell: {fatal}"

    def estimate(self, name: str) -> Estimate:
        """Return the value by one estimator."""
        return named(self.estimates, name)

    def against_baseline(self, name: str) -> Estimate | None:
        """Return the paired difference to the baseline by one estimator."""
        return None if self.difference is None else named(self.difference, name)

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "reason": self.reason,
            "cure": cure_json(self.cure),
            "estimates": {each.name: each.to_dict() for each in self.estimates},
            "difference": (
                None if self.difference is None else {each.name: each.to_dict() for each in self.difference}
            ),
            "together": None if self.together is None else self.together.to_dict(),
            "p_value": self.p_value,
            "effective_sample_size": self.effective_sample_size,
            "max_weight": self.max_weight,
            "mean_weight": self.mean_weight.to_dict(),
            "unsupported": self.unsupported,
            "support": self.support.to_dict(),
            "support_ok": self.support_ok,
            "warning": self.warning,
            "findings": [each.to_dict() for each in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Evaluation(Tabular):
    """The policies' values on one log of `n` decisions, which stand for `stands_for` decisions.

    The two differ where the log has weights, as where a logger kept a part of its decisions.
    `customers` is None where the log does not know customers. `realised` is the mean reward of the log with its
    interval: what the policy that wrote the log earned. `default` names the estimator that verdicts are based on.
    `learned_on` is the number of decisions that were kept for learning, 0 where all were judged; `crossfit` the
    number of copies of each policy that learns, 0 where policies were not copied. `diagnosis` is about the log itself,
    `propensities` about the model of the logging policy where propensities were estimated; `findings` are those of
    both. `segments` is the same evaluation within parts of the log. `outside` of the decisions have an offer that no
    policy of the catalogue can choose: each policy makes them with probability 0, and they count all the same.
    `calibration` says how often the intervals held the log's own values in resamples of its customers, where asked for.
    """

    n: int
    stands_for: float
    customers: int | None
    realised: Estimate
    baseline: str | None
    default: str
    learned_on: int
    crossfit: int
    diagnosis: LogDiagnosis
    propensities: PropensityFit | None
    findings: tuple[Finding, ...]
    rows: tuple[PolicyEvaluation, ...]
    segments: tuple[Segment, ...]
    outside: int = 0
    calibration: ResampledCoverage | None = None

    @property
    def numbers(self) -> NumberFormat:
        """The format of values and differences, in sentences and tables alike."""
        return evaluation_format(self.realised, (row.together for row in self.rows))

    @property
    def realised_mean(self) -> float:
        """The mean reward of the log."""
        return self.realised.value

    def row(self, name: str) -> PolicyEvaluation:
        """Return one policy's row; InputError for an unknown name."""
        for each in self.rows:
            if each.name == name:
                return each
        raise InputError(f'no policy "{name}" was evaluated; there are {", ".join(each.name for each in self.rows)}')

    @property
    def by_segment(self) -> RowTable:
        """The segments as a table of one row a segment and policy; differences hold for all of them together."""
        return RowTable(tuple(row for segment in self.segments for row in segment.to_rows()))

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        level, judged = f"{100.0 * self.realised.level:g}%", decisions_that_count(self.n, self.stands_for)
        if self.baseline is None:
            return f"value per decision by {self.default}, intervals of {level}, judged on {judged}"
        return (
            f"value per decision by {self.default}, judged on {judged}; differences to {self.baseline}, whose "
            f"intervals of {level} hold for all policies together"
        )

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a policy: the verdict, its reason, the value, and the difference that the verdict rests on.

        The interval of a value is for that policy alone; that of a difference holds for all compared policies at once.
        Values are None where the log cannot judge the policy.
        """
        return [self._row(each) for each in self.rows]

    def _row(self, row: PolicyEvaluation) -> dict[str, Cell]:
        supported = row.support_ok
        head: dict[str, Cell] = {"policy": row.name, "verdict": row.verdict, "reason": row.reason}
        return (
            head
            | interval_cells(row.estimate(self.default) if supported else None)
            | interval_cells(row.together if supported else None, "difference")
            | {
                "p_value": row.p_value,
                "effective_decisions": finite_cell(row.effective_sample_size),
                "largest_weight": finite_cell(row.max_weight),
                "unsupported": row.unsupported,
                "decisions": self.n,
            }
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "n": self.n,
            "stands_for": self.stands_for,
            "n_outside": self.outside,
            "customers": self.customers,
            "realised": self.realised.to_dict(),
            "baseline": self.baseline,
            "default": self.default,
            "learned_on": self.learned_on,
            "crossfit": self.crossfit,
            "propensities": None if self.propensities is None else self.propensities.to_dict(),
            "diagnosis": self.diagnosis.to_dict(),
            "findings": [each.to_dict() for each in self.findings],
            "policies": [each.to_dict() for each in self.rows],
            "segments": [each.to_dict() for each in self.segments],
            **({} if self.calibration is None else {"calibration": self.calibration.to_dict()}),
        }


def evaluation_format(realised: Estimate, together: Iterable[Estimate | None]) -> NumberFormat:
    """Return the format that shows two figures of the smallest error: of the log's mean, or of a difference."""
    return NumberFormat.of([realised, *(each for each in together if each is not None)])


def named(estimates: tuple[Estimate, ...], name: str) -> Estimate:
    """Return the estimate of one estimator; InputError where there is none."""
    for each in estimates:
        if each.name == name:
            return each
    raise InputError(f'no estimate by "{name}"; there are {", ".join(each.name for each in estimates)}')

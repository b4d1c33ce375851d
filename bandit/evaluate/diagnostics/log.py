"""All checks of a log, made in the same pass as its evaluation."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from bandit.evaluate.diagnostics.choices import ChoiceCalibration, ChoiceCounts
from bandit.evaluate.diagnostics.findings import Finding, findings
from bandit.evaluate.diagnostics.maturity import MaturityCounts, OutcomeMaturity
from bandit.evaluate.diagnostics.propensities import MOST_CHECKED_OFFERS, InversePropensitySums, PropensityCalibration
from bandit.evaluate.diagnostics.repeats import RepeatCounts, RepeatedDecisions
from bandit.evaluate.diagnostics.self_test import SelfTest, SelfTestSums
from bandit.evaluate.diagnostics.undeclared import UndeclaredFacts, UndeclaredSums

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, IntArray, LoggedBatch
    from bandit.evaluate.diagnostics.groups import SampleRatioTest


@dataclass(frozen=True, slots=True)
class LogDiagnosis:
    """The checks of a log, which do not depend on the judged policies; a check that was not possible is None.

    `propensities` is None for more than 100,000 offers, `choices` without the logging policy's probabilities of all
    offers, `repeats` where customers are not known, `maturity` without a time `now`, `sample_ratio` without groups.
    """

    self_test: SelfTest
    propensities: PropensityCalibration | None
    choices: ChoiceCalibration | None
    repeats: RepeatedDecisions | None
    maturity: OutcomeMaturity | None
    sample_ratio: SampleRatioTest | None
    undeclared: UndeclaredFacts | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, the gravest first."""
        return findings(
            (
                self.self_test,
                self.propensities,
                self.choices,
                self.sample_ratio,
                self.undeclared,
                self.repeats,
                self.maturity,
            )
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        checks: dict[str, object] = {"findings": [each.to_dict() for each in self.findings]}
        for name in self.__slots__:
            check = getattr(self, name)
            checks[name] = None if check is None else check.to_dict()
        return checks


class LogDiagnostics:
    """Checks a log batch by batch, while it is judged.

    With `now` (microseconds since 1970 UTC) the age of the outcomes is checked, too. Memory is a few MB for a short
    log and 144 offers; 32 MB more for a log of 4,000,000 decisions or more, twice that in `result`, and 64 MB
    for a catalogue of 4,000 offers or more.
    """

    def __init__(self, catalogue: Catalogue, *, now: int | None = None) -> None:
        self._self_test = SelfTestSums()
        self._propensities = InversePropensitySums(catalogue) if catalogue.n_offers <= MOST_CHECKED_OFFERS else None
        self._catalogue = catalogue
        self._undeclared = UndeclaredSums(catalogue)
        self._choices: ChoiceCounts | None = None
        self._repeats: RepeatCounts | None = None
        self._maturity = None if now is None else MaturityCounts(now, catalogue.objective.window)

    def add(self, batch: LoggedBatch, cluster: IntArray | None, logging: FloatArray | None = None) -> None:
        """Add a batch with the numbers of its customers, (n,), None where they are not known.

        `logging` (n, N) are the probabilities of all offers of the policy said to have written the log.
        """
        self._undeclared.add(batch.contexts)
        self._self_test.add(batch.reward, batch.propensity, batch.offer, logging)
        if self._propensities is not None:
            self._propensities.add(batch.offer, batch.propensity, batch.eligible, cluster, batch.stands_for)
        if logging is not None:
            if self._choices is None:
                self._choices = ChoiceCounts(self._catalogue)
            self._choices.add(batch.offer, logging, batch.stands_for)
        if cluster is not None:
            if self._repeats is None:
                self._repeats = RepeatCounts()
            self._repeats.add(batch.contexts, batch.offer, batch.time, cluster)
        if self._maturity is not None:
            self._maturity.add(batch.time, batch.converted)

    def add_outside(self, batch: LoggedBatch, cluster: IntArray | None) -> None:
        """Add decisions whose offer the catalogue does not have: its offers could have been chosen there as well."""
        self._self_test.add(batch.reward, batch.propensity, batch.offer)
        if self._propensities is not None:
            self._propensities.add_outside(batch.eligible, cluster, batch.stands_for)
        if self._maturity is not None:
            self._maturity.add(batch.time, batch.converted)

    def __add__(self, other: LogDiagnostics) -> LogDiagnostics:
        """Return the checks of the decisions of both; equal numbers of customers stand for the same customer."""
        both = copy.copy(self)
        both._self_test, both._undeclared = self._self_test + other._self_test, self._undeclared + other._undeclared
        both._propensities = _joined(self._propensities, other._propensities)
        both._choices = _joined(self._choices, other._choices)
        both._repeats = _joined(self._repeats, other._repeats)
        both._maturity = _joined(self._maturity, other._maturity)
        return both

    def result(self, left_open: int = 0, sample_ratio: SampleRatioTest | None = None) -> LogDiagnosis:
        """Return the diagnosis; `left_open` decisions were not judged because they are still open."""
        propensities = None if self._propensities is None else self._propensities.result()
        effect = 1.0 if propensities is None else propensities.design_effect
        return LogDiagnosis(
            self_test=self._self_test.result(),
            propensities=propensities,
            choices=None if self._choices is None else self._choices.result(effect),
            repeats=None if self._repeats is None else self._repeats.result(),
            maturity=None if self._maturity is None else self._maturity.result(left_open),
            sample_ratio=sample_ratio,
            undeclared=self._undeclared.result(),
        )


class _Additive(Protocol):
    def __add__(self, other: Self) -> Self: ...


_Sums = TypeVar("_Sums", bound=_Additive)


def _joined(one: _Sums | None, other: _Sums | None) -> _Sums | None:
    """Return the sum of what there is."""
    return one if other is None else other if one is None else one + other

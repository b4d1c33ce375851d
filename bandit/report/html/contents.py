"""What a report is made of: the log, the questions asked of it, and every answer or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.analysis.exploration_cost import ExplorationCost
    from bandit.catalogue import Catalogue
    from bandit.domain import Log, PartRunner, Policy
    from bandit.evaluate import Evaluation
    from bandit.evaluate.audience import Audience
    from bandit.evaluate.breakdown import (
        CatalogueUse,
        DepthResponse,
        LearningCurve,
        OptionSegments,
        OutcomeCalibration,
    )
    from bandit.evaluate.incrementality_log import IncrementalityReport
    from bandit.evaluate.lift_log import LiftReport
    from bandit.governance.verify import VerifyReport
    from bandit.store import Store

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Answer(Generic[Found]):
    """The result of one analysis, or the reason in one sentence (lower case, no full stop) why there is none."""

    value: Found | None
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ReportSource:
    """The log that a report is about: its settled decisions, its catalogue and, for a database, the store.

    `name` is what readers are shown, such as the name of the file. `written_by` is the number of the only policy whose
    decisions `log` has, None for those of all; `whole` is the log of all then, and None where `log` is. `left_out` are
    sentences on decisions that are not in `log`. `arguments` are what a command needs besides the name to read the log,
    such as "--catalogue catalogue.toml", for the commands that a report proposes.
    """

    name: str
    log: Log
    catalogue: Catalogue
    store: Store | None = None
    written_by: int | None = None
    whole: Log | None = None
    left_out: Sequence[str] = ()
    arguments: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ReportOptions:
    """What a report is asked for; `now` in microseconds since 1970 UTC.

    Without `policies` Thompson sampling is judged, and `baseline` is by default the rules of the catalogue's groups,
    else "logged". Policies that learn do so by cross-fitting over `folds` (default: 5, or 2 for more than 50,000
    decisions or with `quick`). `by` are the facts whose segments are shown, by default chosen from the catalogue.
    `runner` evaluates a log in parts. `verify` also computes every decision of a database again. `command` is printed
    at the end, to reproduce the report.
    """

    now: int
    policies: Mapping[str, Policy] = field(default_factory=dict)
    baseline: str | Policy | None = None
    by: Sequence[str] = ()
    since: int | None = None
    level: float = 0.95
    seed: int = 1
    folds: int | None = None
    quick: bool = False
    runner: PartRunner | None = None
    verify: bool = False
    title: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class LogFacts:
    """The size of a log and the time of its first and last decision (microseconds since 1970 UTC)."""

    n: int
    customers: int | None
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ExploringPolicy:
    """The policy of a database whose exploration was counted, by its number and name, and what exploring cost."""

    policy_id: int
    name: str
    cost: ExplorationCost


@dataclass(frozen=True, slots=True, eq=False)
class ReportContents:
    """Everything that a report shows, computed; `render_report` only formats it.

    `notes` are sentences on how the log was chosen and what was left out of it.
    """

    source: ReportSource
    options: ReportOptions
    log: LogFacts
    folds: int
    notes: tuple[str, ...]
    evaluation: Answer[Evaluation]
    lift: Answer[LiftReport]
    increments: Answer[IncrementalityReport]
    curve: Answer[LearningCurve]
    audience: Answer[Audience]
    segments: Answer[OptionSegments]
    depth: Answer[DepthResponse]
    use: Answer[CatalogueUse]
    calibration: Answer[OutcomeCalibration]
    exploring: Answer[ExploringPolicy]
    verified: Answer[VerifyReport]

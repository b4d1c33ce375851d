"""Several parts of a breakdown from as few readings of the log as they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from bandit.errors import InputError
from bandit.evaluate.breakdown.catalogue_use import UseReader
from bandit.evaluate.breakdown.depth_response import DepthReader
from bandit.evaluate.breakdown.learning_curve import CurveReader
from bandit.evaluate.breakdown.option_segments import SegmentReader
from bandit.evaluate.breakdown.option_weights import ServedOffers
from bandit.evaluate.breakdown.outcome_calibration import outcome_calibration
from bandit.evaluate.breakdown.pages import LogScan
from bandit.ope.estimate import check_level

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import Log, Progress
    from bandit.evaluate.breakdown.catalogue_use import CatalogueUse
    from bandit.evaluate.breakdown.depth_response import DepthResponse
    from bandit.evaluate.breakdown.learning_curve import CurvePeriod, CurveSplit, LearningCurve, LearningPoint
    from bandit.evaluate.breakdown.option_segments import OptionSegments
    from bandit.evaluate.breakdown.outcome_calibration import OutcomeCalibration

BreakdownPart: TypeAlias = Literal["day", "week", "group", "policy", "option", "segment", "depth", "calibration"]
"""What a log is broken down by; "segment" is options by segment."""

BREAKDOWN_PARTS: tuple[BreakdownPart, ...] = get_args(BreakdownPart)
"""The parts into which `break_down` takes a log, in the order in which they are shown."""

_CURVES: Mapping[str, tuple[CurvePeriod, CurveSplit]] = {
    "day": ("day", "group"),
    "week": ("week", "group"),
    "group": ("all", "group"),
    "policy": ("all", "policy"),
}


@dataclass(frozen=True, slots=True)
class LogBreakdown:
    """A log in parts: `whole` is all of it, `curves` by part; what was not asked for is None.

    `use` of the catalogue comes with every breakdown.
    """

    whole: LearningPoint
    use: CatalogueUse
    curves: Mapping[str, LearningCurve]
    options: OptionSegments | None
    depth: DepthResponse | None
    calibration: OutcomeCalibration | None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        others = {"options": self.options, "depth": self.depth, "calibration": self.calibration}
        return {
            "whole": self.whole.to_dict(),
            "catalogue": self.use.to_dict(),
            **{name: curve.to_dict() for name, curve in self.curves.items()},
            **{name: each.to_dict() for name, each in others.items() if each is not None},
        }


def break_down(
    log: Log,
    parts: Sequence[BreakdownPart],
    facts: Sequence[str] = (),
    *,
    catalogue: Catalogue | None = None,
    level: float = 0.95,
    progress: Progress | None = None,
) -> LogBreakdown:
    """Return the parts asked for, from one reading of the log, and a second one for options and depth.

    `facts` are those whose values make the segments. Calibration reads the log again. InputError for an unknown part,
    for segments without a fact, and as the single analyses.
    """
    check_level(level)
    for part in parts:
        if part not in BREAKDOWN_PARTS:
            raise InputError(f'results are not broken down by "{part}"; choose from {", ".join(BREAKDOWN_PARTS)}')
    weighted = bool({"option", "segment", "depth"} & set(parts))
    scan = LogScan(log, catalogue, passes=2 if weighted else 1, progress=progress)
    if "segment" in parts and not facts:
        known = ", ".join(scan.catalogue.facts) or "none"
        raise InputError(f"segments are made by the values of a fact; name one, the catalogue declares {known}")
    whole, use, served = CurveReader("all", "everything"), UseReader(scan.catalogue), ServedOffers(scan.catalogue)
    curves = {part: CurveReader(*_CURVES[part]) for part in dict.fromkeys(parts) if part in _CURVES}
    options = SegmentReader(served, facts if "segment" in parts else ()) if {"option", "segment"} & set(parts) else None
    depth = DepthReader(served) if "depth" in parts else None
    scan.read([use, served], [whole, *curves.values()])
    if weighted:
        scan.read([], [each for each in (options, depth) if each is not None])
    calibration = None
    if "calibration" in parts:
        calibration = outcome_calibration(log, catalogue=scan.catalogue, level=level, progress=progress)
    return LogBreakdown(
        whole=whole.result(level).points[0],
        use=use.result(),
        curves={part: reader.result(level) for part, reader in curves.items()},
        options=None if options is None else options.result(level),
        depth=None if depth is None else depth.result(level),
        calibration=calibration,
    )

"""What a log shows part by part: by time and group, by option and segment, by depth, and how it uses the catalogue.

Two kinds of numbers are kept apart. **As it happened**: means over the decisions that a week, a group or an option
has; they compare only where chance decided which decisions these are. **What it would earn**: what all decisions of a
segment would earn with one option, from the decisions left to chance, by their propensities (`option_segments`,
`depth_response`).
"""

from bandit.evaluate.breakdown.catalogue_use import CatalogueUse, OptionUse, catalogue_use
from bandit.evaluate.breakdown.depth_response import DepthPoint, DepthResponse, depth_response
from bandit.evaluate.breakdown.learning_curve import LearningCurve, LearningPoint, learning_curve
from bandit.evaluate.breakdown.option_segments import OptionSegment, OptionSegments, option_segments
from bandit.evaluate.breakdown.outcome_calibration import CalibrationBin, OutcomeCalibration, outcome_calibration
from bandit.evaluate.breakdown.overview import BREAKDOWN_PARTS, BreakdownPart, LogBreakdown, break_down

__all__ = [
    "BREAKDOWN_PARTS",
    "BreakdownPart",
    "CalibrationBin",
    "CatalogueUse",
    "DepthPoint",
    "DepthResponse",
    "LearningCurve",
    "LearningPoint",
    "LogBreakdown",
    "OptionSegment",
    "OptionSegments",
    "OptionUse",
    "OutcomeCalibration",
    "break_down",
    "catalogue_use",
    "depth_response",
    "learning_curve",
    "option_segments",
    "outcome_calibration",
]

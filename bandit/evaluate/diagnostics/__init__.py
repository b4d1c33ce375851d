"""What may be wrong with a log, or with judging a policy by it: each check a record with a sentence and a severity.

`LogDiagnostics` looks at a log and `TargetWeights` at one target policy, batch by batch in the pass that judges;
`sample_ratio` compares the sizes of groups with those that were meant.
"""

from bandit.evaluate.diagnostics.choices import ChoiceCalibration, ChoiceCounts, Chosen
from bandit.evaluate.diagnostics.findings import Check, Finding, Severity, findings, gravest
from bandit.evaluate.diagnostics.groups import SampleRatio, sample_ratio
from bandit.evaluate.diagnostics.log import LogDiagnosis, LogDiagnostics
from bandit.evaluate.diagnostics.maturity import MaturityCounts, OutcomeMaturity
from bandit.evaluate.diagnostics.propensities import Counted, InverseCounts, PropensityCalibration
from bandit.evaluate.diagnostics.repeats import RepeatCounts, Repeats
from bandit.evaluate.diagnostics.self_test import Recomputed, SelfTest, SelfTestSums
from bandit.evaluate.diagnostics.target import Contrast, TargetSupport, TargetWeights

__all__ = [
    "Check",
    "ChoiceCalibration",
    "ChoiceCounts",
    "Chosen",
    "Contrast",
    "Counted",
    "Finding",
    "InverseCounts",
    "LogDiagnosis",
    "LogDiagnostics",
    "MaturityCounts",
    "OutcomeMaturity",
    "PropensityCalibration",
    "Recomputed",
    "RepeatCounts",
    "Repeats",
    "SampleRatio",
    "SelfTest",
    "SelfTestSums",
    "Severity",
    "TargetSupport",
    "TargetWeights",
    "findings",
    "gravest",
    "sample_ratio",
]

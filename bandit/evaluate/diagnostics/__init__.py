"""Checks of a log, and of how far it supports a policy: each has a record with a sentence and a severity.

`LogDiagnostics` checks a log and `TargetWeights` one target policy, batch by batch during the evaluation;
`sample_ratio` compares the sizes of an experiment's groups with the intended shares.
"""

from bandit.evaluate.diagnostics.choices import ChoiceCalibration, ChoiceCounts, ChoiceFrequency
from bandit.evaluate.diagnostics.findings import DiagnosticCheck, Finding, Severity, findings, gravest, notice_findings
from bandit.evaluate.diagnostics.groups import SampleRatioTest, sample_ratio
from bandit.evaluate.diagnostics.log import LogDiagnosis, LogDiagnostics
from bandit.evaluate.diagnostics.maturity import MaturityCounts, OutcomeMaturity
from bandit.evaluate.diagnostics.propensities import (
    InversePropensityRatio,
    InversePropensitySums,
    PropensityCalibration,
)
from bandit.evaluate.diagnostics.repeats import RepeatCounts, RepeatedDecisions
from bandit.evaluate.diagnostics.self_test import PropensityAgreement, SelfTest, SelfTestSums
from bandit.evaluate.diagnostics.target import TargetSupport, TargetWeights
from bandit.ope.contrast import PolicyContrast

__all__ = [
    "ChoiceCalibration",
    "ChoiceCounts",
    "ChoiceFrequency",
    "DiagnosticCheck",
    "Finding",
    "InversePropensityRatio",
    "InversePropensitySums",
    "LogDiagnosis",
    "LogDiagnostics",
    "MaturityCounts",
    "OutcomeMaturity",
    "PolicyContrast",
    "PropensityAgreement",
    "PropensityCalibration",
    "RepeatCounts",
    "RepeatedDecisions",
    "SampleRatioTest",
    "SelfTest",
    "SelfTestSums",
    "Severity",
    "TargetSupport",
    "TargetWeights",
    "findings",
    "gravest",
    "notice_findings",
    "sample_ratio",
]

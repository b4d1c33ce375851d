"""Reasons: why a customer was given an offer, and which facts and options matter."""

from bandit.explain.explain import customer_decisions, explain_decision
from bandit.explain.importance import importance_of
from bandit.explain.importance_records import FactImportance, ImportanceReport, OptionImportance
from bandit.explain.records import (
    ArmShare,
    ChanceOfChoice,
    ComparedOffer,
    Contribution,
    CredibleNumber,
    CustomerDecisions,
    DecisionExplanation,
    DecisionLine,
    FactReason,
    FiredSegment,
    LeadReasons,
    RuleRemoval,
    ServedBy,
)

__all__ = [
    "ArmShare",
    "ChanceOfChoice",
    "ComparedOffer",
    "Contribution",
    "CredibleNumber",
    "CustomerDecisions",
    "DecisionExplanation",
    "DecisionLine",
    "FactImportance",
    "FactReason",
    "FiredSegment",
    "ImportanceReport",
    "LeadReasons",
    "OptionImportance",
    "RuleRemoval",
    "ServedBy",
    "customer_decisions",
    "explain_decision",
    "importance_of",
]

"""Policies, one a file: each turns (contexts, eligible offers) into a probability for each offer."""

from typing import TYPE_CHECKING

from bandit.lazy import lazy_exports

if TYPE_CHECKING:
    from bandit.policies.constant import ConstantOffer
    from bandit.policies.policy_table import PolicyTable
    from bandit.policies.registry import build
    from bandit.policies.segment_rules import SegmentRules
    from bandit.policies.state import close
    from bandit.policies.thompson.policy import ThompsonSampling
    from bandit.policies.uniform import Uniform
    from bandit.policies.vw import VowpalWabbit
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "ConstantOffer": "bandit.policies.constant",
            "PolicyTable": "bandit.policies.policy_table",
            "SegmentRules": "bandit.policies.segment_rules",
            "ThompsonSampling": "bandit.policies.thompson.policy",
            "Uniform": "bandit.policies.uniform",
            "VowpalWabbit": "bandit.policies.vw",
            "build": "bandit.policies.registry",
            "close": "bandit.policies.state",
        },
    )

__all__ = [
    "ConstantOffer",
    "PolicyTable",
    "SegmentRules",
    "ThompsonSampling",
    "Uniform",
    "VowpalWabbit",
    "build",
    "close",
]

"""Policies, one a file: each turns (contexts, eligible offers) into a probability for each offer."""

from bandit.policies.constant import ConstantOffer
from bandit.policies.registry import build
from bandit.policies.segment_rules import SegmentRules
from bandit.policies.state import close
from bandit.policies.thompson.policy import ThompsonSampling
from bandit.policies.uniform import Uniform
from bandit.policies.vw import VowpalWabbit

__all__ = ["ConstantOffer", "SegmentRules", "ThompsonSampling", "Uniform", "VowpalWabbit", "build", "close"]

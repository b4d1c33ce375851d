"""Policies, one a file: each turns (contexts, eligible offers) into a probability for each offer."""

from bandit.policies.build import build
from bandit.policies.constant import ConstantOffer
from bandit.policies.rules import SegmentRules
from bandit.policies.state import close
from bandit.policies.thompson import ThompsonSampling
from bandit.policies.uniform import Uniform
from bandit.policies.vw import VowpalWabbit

__all__ = ["ConstantOffer", "SegmentRules", "ThompsonSampling", "Uniform", "VowpalWabbit", "build", "close"]

"""Contextual bandits over combinations of incentives: decide, log, learn, and know what it is worth."""

from bandit import ope
from bandit._version import __version__
from bandit.catalogue import Catalogue
from bandit.domain import Decision, DecisionBatch
from bandit.engine import Engine
from bandit.errors import OfferBanditError
from bandit.policies import ConstantOffer, SegmentRules, ThompsonSampling, Uniform, VowpalWabbit

__all__ = [
    "Catalogue",
    "ConstantOffer",
    "Decision",
    "DecisionBatch",
    "Engine",
    "OfferBanditError",
    "SegmentRules",
    "ThompsonSampling",
    "Uniform",
    "VowpalWabbit",
    "__version__",
    "ope",
]

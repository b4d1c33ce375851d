"""Contextual bandits over combinations of incentives: decide, log, learn, and evaluate from the log.

Each name is imported when it is first used, so that `import bandit` and the command line start quickly.
"""

from typing import TYPE_CHECKING

from bandit._version import __version__
from bandit.lazy import lazy_exports

if TYPE_CHECKING:
    from bandit import ope
    from bandit.catalogue import Catalogue
    from bandit.domain import Decision, DecisionBatch
    from bandit.engine import Engine
    from bandit.errors import OfferBanditError
    from bandit.policies import ConstantOffer, SegmentRules, ThompsonSampling, Uniform, VowpalWabbit
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Catalogue": "bandit.catalogue",
            "ConstantOffer": "bandit.policies.constant",
            "Decision": "bandit.domain",
            "DecisionBatch": "bandit.domain",
            "Engine": "bandit.engine",
            "OfferBanditError": "bandit.errors",
            "SegmentRules": "bandit.policies.segment_rules",
            "ThompsonSampling": "bandit.policies.thompson",
            "Uniform": "bandit.policies.uniform",
            "VowpalWabbit": "bandit.policies.vw",
            "ope": "bandit.ope",
        },
    )

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

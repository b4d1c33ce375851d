"""Vowpal Wabbit behind the policy protocol: the only package that imports vowpalwabbit.

`VowpalWabbit` scores every offer and takes VW's own arguments; `VowpalWabbitSlates` chooses each dimension by itself,
where no rule couples them; `Regression` is what the reward model of an evaluation learns with.
"""

from bandit.policies.vw.adf import DEFAULT_ARGS, VowpalWabbit
from bandit.policies.vw.regression import Regression, sides
from bandit.policies.vw.slates import SLATES_ARGS, VowpalWabbitSlates

__all__ = ["DEFAULT_ARGS", "SLATES_ARGS", "Regression", "VowpalWabbit", "VowpalWabbitSlates", "sides"]

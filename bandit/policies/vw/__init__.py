"""Vowpal Wabbit (VW) behind the policy protocol: the only package that imports vowpalwabbit.

`VowpalWabbit` scores every offer and takes VW's own arguments; `VowpalWabbitSlates` chooses each dimension separately,
where no rule couples them; `Regression` is the linear regression behind a reward model of evaluation.
"""

from bandit.policies.vw.adf import DEFAULT_ARGS, VowpalWabbit
from bandit.policies.vw.regression import Regression, signed_labels
from bandit.policies.vw.slates import SLATES_ARGS, VowpalWabbitSlates

__all__ = ["DEFAULT_ARGS", "SLATES_ARGS", "Regression", "VowpalWabbit", "VowpalWabbitSlates", "signed_labels"]

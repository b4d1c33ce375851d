"""Beliefs: arrays in, arrays out; they know no policy, no catalogue and no log."""

from bandit.models.gaussian import Gaussian
from bandit.models.linear import BayesianLinear
from bandit.models.logistic import BayesianLogistic

__all__ = ["BayesianLinear", "BayesianLogistic", "Gaussian"]

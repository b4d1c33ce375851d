"""Statistical models on arrays: Bayesian beliefs and the search for the best offer; no policy, catalogue or log."""

from bandit.models.belief import Belief
from bandit.models.gaussian import Gaussian
from bandit.models.linear import BayesianLinear
from bandit.models.logistic import BayesianLogistic

__all__ = ["BayesianLinear", "BayesianLogistic", "Belief", "Gaussian"]

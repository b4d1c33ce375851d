"""Thompson sampling over combinations of options, with exact propensities."""

from bandit.policies.thompson.policy import ThompsonSampling
from bandit.policies.thompson.predicted_response import PredictedColumn, PredictedResponse

__all__ = ["PredictedColumn", "PredictedResponse", "ThompsonSampling"]

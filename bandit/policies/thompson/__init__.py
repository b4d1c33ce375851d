"""Thompson sampling over combinations of options, with exact propensities."""

from bandit.policies.thompson.policy import ThompsonSampling

__all__ = ["ThompsonSampling"]

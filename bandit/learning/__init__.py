"""Learning from the log: which outcomes are due, and the state of a policy after learning them."""

from bandit.learning.candidate import add_candidate
from bandit.learning.carry_report import CarryReport
from bandit.learning.learner import PolicyLearner
from bandit.learning.reports import LearnReport, RebuildReport
from bandit.learning.state_walk import StateWalk

__all__ = ["CarryReport", "LearnReport", "PolicyLearner", "RebuildReport", "StateWalk", "add_candidate"]

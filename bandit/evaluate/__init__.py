"""The value of frozen policies from a log, against a baseline, with honest intervals.

`evaluate` judges, `split_log` deals the customers of a log into a part to learn on and a part to judge by, and
`RewardModel` is what another model of expected rewards has to offer.
"""

from bandit.evaluate.frozen import LOGGED, Progress, evaluate
from bandit.evaluate.results import Evaluation, PolicyEvaluation
from bandit.evaluate.reward_model import RewardModel, RidgeReward
from bandit.evaluate.split import SplitLog, split_log
from bandit.evaluate.verdict import Verdict, holm, verdicts

__all__ = [
    "LOGGED",
    "Evaluation",
    "PolicyEvaluation",
    "Progress",
    "RewardModel",
    "RidgeReward",
    "SplitLog",
    "Verdict",
    "evaluate",
    "holm",
    "split_log",
    "verdicts",
]

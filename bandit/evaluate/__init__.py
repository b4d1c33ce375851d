"""Off-policy evaluation: the value of frozen policies from a log, against a baseline, with intervals and verdicts.

`evaluate` judges policies, `split_log` splits the customers of a log into a part to learn from and a part to judge
on, and `RewardModel` is the protocol of models of expected rewards.
"""

from bandit.domain import Progress
from bandit.evaluate.candidates import teach, untrained_copy
from bandit.evaluate.diagnostics import Finding
from bandit.evaluate.evaluate import evaluate
from bandit.evaluate.request import Propensities
from bandit.evaluate.results import LOGGED, Evaluation, PolicyEvaluation
from bandit.evaluate.rewards.reward_model import RewardModel
from bandit.evaluate.rewards.ridge_regression import RidgeReward
from bandit.evaluate.segments import Segment, SegmentRow
from bandit.evaluate.split import SplitLog, split_log
from bandit.evaluate.verdict import GATE, Verdict, gate, verdicts

__all__ = [
    "GATE",
    "LOGGED",
    "Evaluation",
    "Finding",
    "PolicyEvaluation",
    "Progress",
    "Propensities",
    "RewardModel",
    "RidgeReward",
    "Segment",
    "SegmentRow",
    "SplitLog",
    "Verdict",
    "evaluate",
    "gate",
    "split_log",
    "teach",
    "untrained_copy",
    "verdicts",
]

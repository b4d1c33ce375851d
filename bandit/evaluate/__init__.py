"""The value of frozen policies from a log, against a baseline, with honest intervals.

`evaluate` judges, `split_log` deals the customers of a log into a part to learn on and a part to judge by, and
`RewardModel` is what another model of expected rewards has to offer.
"""

from bandit.domain import Progress
from bandit.evaluate.candidates import teach, untrained_copy
from bandit.evaluate.diagnostics import Finding
from bandit.evaluate.evaluate import Propensities, evaluate
from bandit.evaluate.evaluator import LOGGED
from bandit.evaluate.results import Evaluation, PolicyEvaluation
from bandit.evaluate.rewards.ridge_regression import RewardModel, RidgeReward
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

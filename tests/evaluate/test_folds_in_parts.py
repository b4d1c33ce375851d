"""Cross-fitting of a log in parts: each fold is learned where its rows are read."""

import numpy as np

from bandit import ThompsonSampling
from bandit.evaluate.candidates import CandidatePolicy, cross_fit
from bandit.evaluate.split import OtherFolds, other_folds_in_parts
from tests.evaluate.partitioned_log import PicklingRunner, in_parts
from tests.policies.thompson.test_part_fit import CATALOGUE, apart, made_log


def learned(log, runner=None):
    candidate = CandidatePolicy("thompson", (ThompsonSampling(CATALOGUE, methods=["joint"]),))
    (fitted,) = cross_fit([candidate], CATALOGUE, log, 2, 8_192, lambda _: None, runner)
    return fitted.copies


def test_the_copies_of_a_log_in_parts_are_those_of_the_whole_log():
    """To 1e-12, each of its own fold; the control is the copy of the other fold."""
    log = made_log(1, n=1_500, customers=300)
    whole, parts = learned(log), learned(in_parts(log, 4, np.random.default_rng(2)), PicklingRunner())
    assert all(apart(one, other) <= 1e-12 for one, other in zip(whole, parts, strict=True))
    assert apart(whole[0], parts[1]) > 0.01


def test_the_other_folds_have_the_same_decisions_in_parts_as_in_the_log():
    log = made_log(1, n=1_500, customers=300)
    others = other_folds_in_parts(in_parts(log, 4, np.random.default_rng(2)), 3)
    for fold, each in enumerate(others):
        whole = OtherFolds(log, fold, 3)
        assert each.n == whole.n == sum(part.open().n for part in each.parts)

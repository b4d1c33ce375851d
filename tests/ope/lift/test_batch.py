"""The columns of lift: types, defaults and refusals."""

import numpy as np
import pytest

from bandit.errors import InputError, NumberError
from bandit.ope.lift import LiftBatch


def test_a_decision_earned_where_its_reward_is_not_zero_unless_told_otherwise():
    assert LiftBatch([1.0, 0.0, -0.1], [0, 1, 1], [5, 6, 7]).earned.tolist() == [True, False, True]
    given = LiftBatch([1.0, 0.0, -0.1], [0, 1, 1], [5, 6, 7], earned=[True, False, False])
    assert given.earned.tolist() == [True, False, False]


def test_a_part_has_the_chosen_rows_of_every_column():
    batch = LiftBatch([1, 2, 3], [0, 1, 0], [5, 6, 7], weights=np.ones((3, 2)), time=[1, 2, 3], segment=["a", "b", "a"])
    part = batch.part(np.array([True, False, True]))
    assert len(part) == 2
    assert (part.reward.tolist(), part.customer.tolist(), part.time.tolist()) == ([1.0, 3.0], [5, 7], [1, 3])
    assert (part.weights.shape, part.segment.tolist()) == ((2, 2), ["a", "a"])


def test_a_batch_may_be_empty():
    assert len(LiftBatch([], [], [], weights=np.empty((0, 2)), segment=[])) == 0


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"group": [0]}, InputError, "group has shape"),
        ({"group": [0.0, 1.0]}, InputError, "not integers"),
        ({"customer": ["a", "b"]}, InputError, "not integers"),
        ({"earned": [0, 1]}, InputError, "not booleans"),
        ({"reward": ["a", "b"]}, InputError, "not numbers"),
        ({"reward": [0.0, np.nan]}, NumberError, "reward has nan in row 1"),
        ({"weights": [1.0, 1.0]}, InputError, "weights has shape"),
        ({"weights": [[1.0, 1.0], [2.5, -0.5]]}, NumberError, "in row 1"),
        ({"time": [[1], [2]]}, InputError, "time has shape"),
        ({"segment": ["a"]}, InputError, "segment has shape"),
    ],
)
def test_columns_that_do_not_fit_are_refused(change, error, words):
    columns = {"reward": [1.0, 0.0], "group": [0, 1], "customer": [5, 6]}
    with pytest.raises(error, match=words):
        LiftBatch(**columns | change)

"""Validation of the columns of feedback."""

import numpy as np
import pytest

from bandit.errors import InputError, NumberError
from bandit.ope import Feedback, compare, estimate

GOOD = {"reward": [1.0, 0.0], "propensity": [0.5, 0.5], "target": [0.2, 1.0]}


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ({"reward": [1.0, np.nan]}, NumberError, "reward has nan in row 1"),
        ({"reward": [np.inf, 0.0]}, NumberError, "reward has inf in row 0"),
        ({"reward": ["a", "b"]}, NumberError, "reward is not an array of numbers"),
        ({"propensity": [0.0, 0.5]}, NumberError, r"propensity has 0.0 in row 0, which is outside \(0, 1\]"),
        ({"propensity": [0.5, 1.7]}, NumberError, "propensity has 1.7 in row 1"),
        ({"propensity": [0.5, np.nan]}, NumberError, "propensity has nan"),
        ({"propensity": [5e-324, 0.5]}, NumberError, "too large for a float64"),
        ({"target": [-0.1, 0.5]}, NumberError, r"target has -0.1 in row 0, which is outside \[0, 1\]"),
        ({"target": [0.1, 1.5]}, NumberError, "target has 1.5"),
        ({"target": [0.1]}, InputError, "target has 1 rows but reward has 2"),
        ({"reward": [[1.0, 0.0]]}, InputError, "1-d"),
        ({"predicted_logged": [0.0, 0.0]}, InputError, "only one of predicted_logged and predicted_target"),
        ({"predicted_logged": [0.0, np.nan], "predicted_target": [0, 0]}, NumberError, "predicted_logged has nan"),
        ({"cluster": [0.5, 1.0]}, InputError, "cluster has dtype float64"),
        ({"cluster": [0]}, InputError, "cluster has 1 rows"),
        ({"robust_target": [0.0, 0.0]}, InputError, "only one of robust_logged and robust_target"),
        ({"robust_logged": [0.0, 0.0], "robust_target": [0.0, np.inf]}, NumberError, "robust_target has inf"),
        ({"marginal_weight": [0.5, -0.1]}, NumberError, "marginal_weight has -0.1 in row 1"),
        ({"marginal_weight": [np.nan, 0.1]}, NumberError, "marginal_weight has nan"),
        ({"marginal_weight": [0.5]}, InputError, "marginal_weight has 1 rows"),
        ({"slate_weight": [np.inf, 0.0]}, NumberError, "slate_weight has inf in row 0"),
    ],
)
def test_invalid_columns_are_rejected_with_one_sentence(fault, error, words):
    with pytest.raises(error, match=words):
        estimate(Feedback(**{**GOOD, **fault}))


def test_feedback_has_the_needs_whose_columns_are_given():
    assert Feedback(**GOOD).has == frozenset()
    two = [0.0, 1.0]
    pairs = {"predicted_logged": two, "predicted_target": two, "robust_logged": two, "robust_target": two}
    full = Feedback(**GOOD, **pairs, marginal_weight=two, slate_weight=[-1.0, 2.0])
    assert full.has == {"predictions", "robust", "marginal", "slate"}
    rows = full.rows(slice(1, 2))
    assert (rows.slate_weight[0], rows.marginal_weight[0], rows.robust_logged[0]) == (2.0, 1.0, 1.0)
    assert Feedback(**GOOD).rows().slate_weight.shape == (0,)


def test_comparing_different_rows_is_rejected():
    with pytest.raises(InputError, match="same rows"):
        compare(Feedback(**GOOD), Feedback(**{**GOOD, "reward": [1.0, 0.5]}))
    with pytest.raises(InputError, match="same rows"):
        compare(Feedback(**GOOD), Feedback(**GOOD, cluster=[0, 1]))

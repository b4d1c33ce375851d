import numpy as np
import pytest

from bandit.models.search_bounds import DimensionScores, PartialSums, RewardBounds

MARGIN = 0.35


def market(rng, sizes, rows):
    """Dimensions of random scores, revenues and costs, and the bounds over them for some rows."""
    dimensions = [
        DimensionScores(
            rng.normal(0.0, 0.5, (rows, 1, size)).astype(np.float32),
            rng.normal(0.0, 0.1, (rows, size)).astype(np.float32),
            rng.uniform(0.0, 0.1, size).astype(np.float32),
            rng.uniform(0.0, 2.0, size).astype(np.float32),
            rng.uniform(0.0, 0.1, size).astype(np.float32),
        )
        for size in sizes
    ]
    scores = [each.score[:, 0] for each in dimensions]
    revenues = [each.log_revenue for each in dimensions]
    return dimensions, scores, revenues


@pytest.mark.parametrize("margin", [MARGIN, None])
def test_the_bound_of_a_partial_combination_is_above_the_value_of_every_completion(margin):
    """After one of three dimensions, against all 5 x 6 completions of each of its 4 options, over 50 rows."""
    rng = np.random.default_rng(1)
    dimensions, scores, revenues = market(rng, (4, 5, 6), 50)
    bounds = RewardBounds(dimensions, scores, revenues, [None] * 3, margin)
    base = rng.normal(-2.0, 0.3, 50).astype(np.float32)
    nothing = np.zeros((50, 1), dtype=np.float32)
    sums = PartialSums(base[:, None], np.full((50, 1), 4.0, dtype=np.float32), nothing, nothing, nothing)
    slope, rests = bounds.remaining(base)
    sums = sums.with_each(scores[0], revenues[0], dimensions[0])
    bound = bounds.bound(sums, slope, rests[1])
    for place in (1, 2):
        sums = sums.with_each(scores[place], revenues[place], dimensions[place])
    value = bounds.value(sums).reshape(50, 4, 30)
    best = value.max(axis=2)
    assert (bound >= best - 1e-5 * np.abs(best)).all()
    assert (bound < best.max(axis=1, keepdims=True)).any()  # and low enough to drop options


def test_an_option_that_is_forbidden_alone_raises_no_bound():
    """Without the option of the highest score, the most that the dimension adds is the second highest."""
    dimensions, scores, revenues = market(np.random.default_rng(2), (3,), 1)
    scores[0][:] = [[0.0, 1.0, 5.0]]
    allowed = [np.array([[True, True, False]])]
    free = RewardBounds(dimensions, scores, revenues, [None], None)
    barred = RewardBounds(dimensions, scores, revenues, allowed, None)
    base = np.zeros(1, dtype=np.float32)
    most = [float(each.remaining(base)[1][0].most_score[0, 0]) for each in (free, barred)]
    assert most == [5.0, 1.0]

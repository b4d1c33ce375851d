"""The variance of balanced weights against that of means, by how often the groups' policies agree."""

import numpy as np
import pytest

from tests.ope.lift.experiments import favourites

EXPLORED = 0.16


def ratio_by_hand(agreement, offers=12):
    """The ratio of variances at equal shares where all offers earn the same.

    A row of difference d = 2 (p0 - p1) / (p0 + p1) has variance d^2 against 4 by means. Where favourites differ, both
    have .84 + .16 / 12 and the other .16 / 12: the mixture's mean of d^2 / 4 is .84^2 / (.84 + 2 x .16 / 12) = .814.
    """
    least = EXPLORED / offers
    return (1 - agreement) * (1 - EXPLORED) ** 2 / (1 - EXPLORED + 2 * least)


def variances(runs, customers, agreement, **market):
    """Variances over runs and mean squared standard errors, each by means and by balanced weights."""
    rows = []
    for run in range(runs):
        sums = favourites(np.random.default_rng([4, run]), customers, agreement, explored=EXPLORED, **market).sums()
        found = [sums.differences([(0, 1)], method)[0].estimate for method in ("means", "balanced")]
        rows.append([[each.value, each.standard_error] for each in found])
    rows = np.array(rows)
    return rows[:, :, 0].var(axis=0, ddof=1), (rows[:, :, 1] ** 2).mean(axis=0)


@pytest.mark.parametrize(("agreement", "ratio"), [(0.0, 0.81), (0.6, 0.33), (0.9, 0.08)])
def test_balanced_weights_need_little_of_the_variance_of_means_where_groups_agree(agreement, ratio):
    assert ratio_by_hand(agreement) == pytest.approx(ratio, abs=0.005)
    _, squared_errors = variances(40, 2_000, agreement)
    assert squared_errors[1] / squared_errors[0] == pytest.approx(ratio, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("agreement", [0.0, 0.6, 0.9])
def test_the_errors_of_repeated_experiments_have_that_ratio(agreement):
    """Over 1,500 runs a ratio of variances is known to 5 %; repeat customers and a lift change little."""
    spread, squared_errors = variances(1_500, 1_000, agreement, lift=0.05, visits=2)
    assert spread[1] / spread[0] == pytest.approx(ratio_by_hand(agreement), rel=0.15, abs=0.01)
    assert squared_errors / spread == pytest.approx(np.ones(2), abs=0.12)

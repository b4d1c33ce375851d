"""The objective says what a conversion is."""

import numpy as np

from bandit.catalogue.objective import RETURNED_REVENUE, Objective


def test_a_return_of_all_the_revenue_undoes_the_conversion_and_of_a_part_does_not():
    """Bought and kept; 30 of 50 back; 50 of 50 back; bought for nothing; never bought; more back than was paid."""
    happened = np.array([True, True, True, True, False, True])
    returned = np.array([False, True, True, False, False, True])
    revenue = np.array([50.0, 20.0, 0.0, 0.0, 0.0, -5.0])
    assert Objective.conversions(happened, returned, revenue).tolist() == [True, True, False, True, False, False]


def test_rounding_of_a_return_leaves_no_conversion():
    """0.1 + 0.2 - 0.3 is 5.6e-17, which is not revenue."""
    revenue = np.array([0.1 + 0.2 - 0.3, RETURNED_REVENUE, 2.0 * RETURNED_REVENUE])
    yes = np.ones(3, dtype=bool)
    assert Objective.conversions(yes, yes, revenue).tolist() == [False, False, True]

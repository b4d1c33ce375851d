"""The comparison of what a ramp serves with its propensities: chi-squared by hand, and a control that fails."""

import numpy as np
import pytest
from scipy.stats import chi2

from simulator.validation.mixture_frequencies import compare, play


def test_two_offers_give_the_square_of_the_standardised_count():
    """100 decisions at .5: 60 served are (60 - 50)^2 / 25 = 4, with one degree of freedom."""
    found = compare("", np.repeat([0, 1], [40, 60]), np.full((100, 2), 0.5))
    assert (found.statistic, found.freedom) == (pytest.approx(4.0), 1)
    assert found.p == pytest.approx(chi2.sf(4.0, 1))


def test_a_ramp_serves_by_its_propensities_and_not_by_the_shares():
    """3,000 decisions of 600 customers; a false alarm of one of four at 1 in 10,000 each."""
    *mixtures, control = play(0.3, 600, 3_000, 1)
    assert all(found.p > 1e-4 for found in mixtures)
    assert control.p < 1e-9


@pytest.mark.slow
def test_two_policies_and_rules_serve_by_their_propensities():
    """3,000 decisions of 600 customers, two of five of the policies' by a challenger."""
    found = play(0.5, 600, 3_000, 2, challenger=0.4)
    assert [each.decisions for each in found][2] == 3_000
    assert all(each.p > 1e-4 for each in found)

"""The reward distribution of a decision: its moments by hand, and how it follows from a catalogue."""

from math import sqrt

import pytest

from bandit.analysis.response_model import ResponseModel, response_model_of
from bandit.catalogue import Catalogue
from bandit.errors import InputError


def test_moments_of_a_response_by_hand():
    """c = 0.1, w = 20, t = 5, h = 0.5: mean 2 - 0.5 = 1.5, variance 0.1 (25 + 400) - 4 = 38.5, square 40.75."""
    response = ResponseModel(0.1, 20.0, 5.0, 0.5)
    assert (response.value, response.variance, response.second_moment) == pytest.approx((1.5, 38.5, 40.75))
    assert response.with_uplift(0.4).value == pytest.approx(1.9)
    assert ResponseModel(1.0, 20.0, 5.0).with_uplift(0.4).value == pytest.approx(20.4)


@pytest.mark.parametrize(
    ("kind", "value", "deviation"),
    [
        ("conversion", 0.1, 0.0),
        ("revenue", 4.0, 15.0),
        # Kept 0.4 and 0.2 of 40, less 1 redeemed of the second: 16 and 7; contact 0.1 and 0.3.
        ("profit", 0.1 * 11.5 - 0.2, sqrt(15**2 * (0.16 + 0.04) / 2 + 4.5**2)),
        ("reward", 40.0, 15.0),
    ],
)
def test_what_a_decision_earns_follows_from_the_catalogue(kind, value, deviation):
    options = [
        {"name": "0", "contact_cost": 0.1},
        {"name": "20", "rate": 0.2, "redemption_cost": 1.0, "contact_cost": 0.3},
    ]
    structure = {
        "objective": {"kind": kind, "margin": 0.4},
        "dimensions": [{"name": "discount", "options": options}],
    }
    response = response_model_of(Catalogue.from_dict(structure), 0.1, 40.0, 15.0)
    assert response.value == pytest.approx(value)
    assert response.deviation == pytest.approx(deviation)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0.0, 1.0, 1.0), "response rate is 0"), ((0.1, -1.0, 1.0), "worth -1"), ((0.1, 1.0, -1.0), "deviation")],
)
def test_a_response_out_of_range_is_rejected_with_a_message(arguments, message):
    with pytest.raises(InputError, match=message):
        ResponseModel(*arguments)

"""The simulated campaigns of the audience search: their truth, and the program that counts what is announced."""

import json

import numpy as np
import pytest

from bandit.errors import InputError
from simulator.validation.audience_campaigns.__main__ import main
from simulator.validation.audience_campaigns.campaigns import AudienceSetting
from simulator.validation.audience_campaigns.world import NULL_WORLDS, PLANTED, draw_log


def test_the_planted_truth_is_the_story():
    """0.243 / 0.3 = 81 %, 0.0555 / 0.222 = a quarter; rules earn 0.1665 + 0.057 buyers, mens to all 0.243 + 0.057."""
    assert PLANTED.share(1, "gender f") == pytest.approx(0.81)
    assert PLANTED.share(2, "gender m") == pytest.approx(0.25)
    assert PLANTED.gain(1, "gender f") == pytest.approx(30 * (0.243 - 0.1665))
    ratio = (0.243 + 0.057) / (0.1665 + 0.057)
    assert abs(ratio - 4 / 3) < 0.01
    assert PLANTED.share(1, "gender f, region north") == pytest.approx(0.81 / 4)
    assert PLANTED.share(1, "age up to 30") is None


@pytest.mark.parametrize("world", NULL_WORLDS, ids=lambda world: world.name)
def test_nothing_earns_more_than_the_rules_in_a_null_world(world):
    """For either gender and each campaign; a gain of both genders is a mean of these.

    Where nobody differs, "none" saves the cost of a contact, but rules that give it to nobody assume no audience.
    """
    assert max(world.gain(option, f"gender {gender}") for option in (1, 2) for gender in "fm") <= 1e-9


def test_a_drawn_log_has_the_rates_and_the_propensities_of_its_world():
    """With everything random a third gets each option; the share of buyers of each kind is within four errors."""
    whole = draw_log(PLANTED, 60_000, 1.0, np.random.default_rng(1)).whole
    assert whole.propensity == pytest.approx(np.full(60_000, 1 / 3))
    for gender in (0, 1):
        for option in (0, 1, 2):
            rows = (whole.contexts.columns["gender"] == gender) & (whole.offer == option)
            rate, n = PLANTED.rates[gender][option], rows.sum()
            # Moods that a customer's four decisions share add some half to the variance.
            assert abs(whole.converted[rows].mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / n)


def test_the_program_prints_counts(capsys):
    """Two small campaigns; whether they find anything is not the point here."""
    assert main(["--campaigns", "1", "--null", "1", "--decisions", "2000", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["campaigns"] for each in found["counts"]] == [1, 1]
    assert main(["--campaigns", "0", "--null", "1", "--decisions", "500"]) == 0
    assert "announced" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"decisions": 5}, {"explored": 0.0}, {"seed": -1}])
def test_sizes_that_make_no_sense_are_refused(change):
    with pytest.raises(InputError):
        AudienceSetting(**change)


def test_the_program_says_what_is_wrong(capsys):
    assert main(["--campaigns", "-1"]) == 2
    assert "give numbers from 0" in capsys.readouterr().err

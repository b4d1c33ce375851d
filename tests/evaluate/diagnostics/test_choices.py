"""The check of choices against the probabilities of all offers."""

import numpy as np
import pytest

from bandit.evaluate.diagnostics import (
    ChoiceCounts,
)
from tests.evaluate.diagnostics.logs import CATALOGUE, N, draw, logging_of


def test_choices_fit_the_probabilities_they_were_drawn_from_and_no_others():
    rng = np.random.default_rng(6)
    sound, wrong = 0, 0
    for _ in range(20):
        table = logging_of("soft", 2_000, rng)
        offer = draw(table, rng)
        for drawn_from in (table, logging_of("soft", 2_000, rng)):
            counts = ChoiceCounts(CATALOGUE)
            counts.add(offer[:500], drawn_from[:500])
            counts.add(offer[500:], drawn_from[500:])
            found = counts.result()
            assert sum(each.observed for each in found.bins) == 2_000
            assert sum(each.expected for each in found.options) == pytest.approx(2 * 2_000)
            sound += drawn_from is table and found.severity is not None
            wrong += drawn_from is not table and found.severity == "doubt"
    assert (sound, wrong) == (0, 20)


def test_a_choice_of_probability_zero_is_found():
    table = np.zeros((50, N))
    table[:, 0] = 1.0
    counts = ChoiceCounts(CATALOGUE)
    counts.add(np.where(np.arange(50) < 2, 1, 0), table)
    assert counts.result().sentence().startswith("2 of 50 decisions chose an offer")

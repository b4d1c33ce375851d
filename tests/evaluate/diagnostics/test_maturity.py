"""Open decisions, and early conversions that are counted alone."""

import numpy as np

from bandit.evaluate.diagnostics import (
    MaturityCounts,
)
from tests.evaluate.diagnostics.logs import DAY


def test_open_decisions_are_a_note_and_a_selection_of_early_answers_a_doubt():
    """100 of 1,000 open: 10 %. Young ones that were closed convert always, old ones never: a selection."""
    counts = MaturityCounts(now=30 * DAY, window=7 * DAY)
    counts.add(np.full(900, 10 * DAY), np.zeros(900, dtype=bool))
    assert counts.result().sentence() is None
    found = counts.result(left_open=100)
    assert found.severity == "note"
    assert found.sentence().startswith("100 of 1,000 decisions (10%) are left out")
    assert "the youngest judged is 20 days old" in found.sentence()
    assert counts.result(left_open=1_000).severity == "doubt"
    counts.add(np.full(50, 29 * DAY), np.ones(50, dtype=bool))
    assert counts.result(left_open=100).severity == "doubt"
    assert "100% of them converted, compared with 0% of the older ones" in counts.result(left_open=100).sentence()
    # Negative control: closed early, but not by their answer.
    same = MaturityCounts(now=30 * DAY, window=7 * DAY)
    same.add(np.repeat([10 * DAY, 29 * DAY], 500), np.arange(1_000) % 10 == 0)
    assert same.result(left_open=100).severity == "note"

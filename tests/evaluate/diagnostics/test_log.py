"""All checks of a log together."""

import json

import numpy as np

from bandit.evaluate.diagnostics import (
    LogDiagnostics,
    gravest,
)
from tests.evaluate.diagnostics.logs import CATALOGUE, DAY, N, log_of


def test_a_sound_log_has_no_finding_and_a_broken_one_has_them_in_order_of_gravity():
    rng = np.random.default_rng(10)
    for broken in (False, True):
        batch, customer = log_of(3_000, rng, **({"propensity": np.full(3_000, 0.02)} if broken else {}))
        found = LogDiagnostics(CATALOGUE, now=400 * DAY)
        found.add(batch, customer, np.full((3_000, N), 1.0 / N))
        if broken:
            found.add(batch.take(slice(0, 10)), customer[:10])
        diagnosis = found.result(left_open=50 if broken else 0)
        severities = [each.severity for each in diagnosis.findings]
        assert severities == (["fatal", "doubt", "note", "note"] if broken else [])
        assert gravest(diagnosis.findings) == ("fatal" if broken else None)
        plain = json.loads(json.dumps(diagnosis.to_dict(), allow_nan=False))
        assert plain["repeats"]["repeated"] == (10 if broken else 0)
        assert plain["sample_ratio"] is None


def test_a_log_without_customers_and_clock_is_checked_for_the_rest():
    batch, _ = log_of(500, np.random.default_rng(11))
    found = LogDiagnostics(CATALOGUE)
    found.add(batch, None)
    diagnosis = found.result()
    assert diagnosis.findings == ()
    assert (diagnosis.choices, diagnosis.repeats, diagnosis.maturity) == (None, None, None)

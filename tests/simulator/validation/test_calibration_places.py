"""Where the logs of the calibration are drawn changes nothing, and a log of one's own can be asked about."""

import json

import numpy as np
import pytest

from bandit.cluster import open_runner
from bandit.ope.intervals import DEFAULT_INTERVAL
from simulator.validation.calibration import grid
from simulator.validation.calibration.__main__ import main
from simulator.validation.calibration.replicate import CalibrationCell
from tests.cli.conftest import imported_example
from tests.evaluate.partitioned_log import PicklingRunner

CELL = CalibrationCell("retail", "rules, 50% chance", 300, 10, (DEFAULT_INTERVAL,), ("ips", "dr"))


def ran(runner):
    return grid.run([CELL], None, 1, lambda *_: None, runner=runner)[CELL]


@pytest.mark.slow
def test_logs_that_are_drawn_in_parts_have_the_same_results(monkeypatch):
    """10 logs, 4 at a time: parts of 4, 4 and 2."""
    monkeypatch.setattr(grid, "LOGS_AT_ONCE", 4)
    plain, parts = ran(None), ran(PicklingRunner())
    assert len(parts) == 10
    assert np.array_equal(plain.value, parts.value)
    assert np.array_equal(plain.difference_high, parts.difference_high)


@pytest.mark.slow
def test_logs_that_are_drawn_on_a_cluster_have_the_same_results():
    pytest.importorskip("distributed")
    with open_runner("local:2") as runner:
        assert np.array_equal(ran(None).value, ran(runner).value)


def test_a_log_of_ones_own_is_resampled(capsys, tmp_path, monkeypatch):
    with imported_example(tmp_path, 300):
        capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)
    code = main(["--log", "offers.db", "--policy", "uniform", "--resamples", "100", "--json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert code in {0, 1}
    assert {(row["policy"], row["of"]) for row in rows} == {("uniform", "value"), ("uniform", "difference")}
    assert main(["--log", "offers.db"]) == 2
    assert "--log needs a policy to judge" in capsys.readouterr().err
    assert main(["--log", "offers.db", "--policy", "uniform", "--cluster", "local"]) == 2
    assert "--cluster is for datasets" in capsys.readouterr().err

"""The benchmark of starting commands: processor time of whole processes, as ratios to the first."""

import sys

import pytest

from bandit.errors import InputError
from simulator.bench.speed.start import markdown, measure


def test_a_command_that_works_longer_has_a_ratio_above_one():
    """An empty interpreter beside one that also counts to ten million, which takes several times as long."""
    idle, busy = measure(2, {"idle": (sys.executable, "-c", ""), "busy": (sys.executable, "-c", "sum(range(10**7))")})
    assert idle.ratio == 1.0
    assert busy.ratio > 1.5
    assert busy.ratio == pytest.approx(busy.median / idle.median)
    assert "| busy |" in markdown((idle, busy))


def test_a_command_that_fails_is_not_timed():
    with pytest.raises(InputError, match="exit code 3"):
        measure(1, {"fails": (sys.executable, "-c", "raise SystemExit(3)")})
    with pytest.raises(InputError, match="rounds is 0"):
        measure(0)

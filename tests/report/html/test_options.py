"""Options that no analysis could use, and files that cannot be written, cost one sentence and no computation."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bandit.errors import InputError
from bandit.report.html import ReportOptions, ReportSource, gather, write_report
from simulator.validation.audience_campaigns.world import PLANTED, draw_log

LOG = draw_log(PLANTED, 40, 0.5, np.random.default_rng(1))
SOURCE = ReportSource("log.csv", LOG, LOG.catalogue)
OPTIONS = ReportOptions(now=0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"level": 0.0}, "level is 0.0"),
        ({"level": math.nan}, "level is nan"),
        ({"level": math.inf}, "level is inf"),
        ({"by": ("shoe size",)}, 'there is no fact "shoe size"'),
        ({"by": ("",)}, 'there is no fact ""'),
        ({"folds": 1}, "2 to 100 folds, not 1"),
        ({"folds": 100_000}, "2 to 100 folds, not 100000"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_before_anything_is_computed(changed, said):
    with pytest.raises(InputError, match=said):
        gather(SOURCE, replace(OPTIONS, **changed))


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path / f"{'x' * 300}.html", SOURCE, OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_where_nothing_can_be_written_is_one_sentence(tmp_path, monkeypatch):
    def refused(*_args, **_given):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.touch", refused)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\)"):
        write_report(tmp_path / "r.html", SOURCE, OPTIONS)

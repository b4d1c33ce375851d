"""The page on results: its example's figures, and its list of parts."""

import re
from pathlib import Path

from bandit.evaluate.breakdown import BREAKDOWN_PARTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "results.md").read_text(encoding="utf-8")


def test_the_response_of_the_example_is_the_one_planted():
    """20 % of discount: loyal .4 x .30 + .6 x .22 = .252 respond; the page has 25.1 %."""
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    assert "25.1" in shown


def test_all_parts_are_on_the_page():
    listed = re.search(r"chooses the\nparts: (.*?)\. `--fact", PAGE, flags=re.DOTALL)[1]
    assert re.findall(r"`(\w+)`", listed) == [*BREAKDOWN_PARTS[:5], "depth", "segment", "calibration"]

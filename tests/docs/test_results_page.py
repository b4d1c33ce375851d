"""The page on results: its example prints what stands below it."""

import re
from pathlib import Path

from bandit.evaluate.breakdown import BREAKDOWN_PARTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "results.md").read_text(encoding="utf-8")


def test_the_example_prints_what_the_page_shows(capsys):
    """20 % of discount: loyal .4 x .30 + .6 x .22 = .252 respond; the page has 25.1 %."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(example, "results.md", "exec"), {})  # noqa: S102 - it is our own page
    assert capsys.readouterr().out == shown


def test_all_parts_are_on_the_page():
    listed = re.search(r"chooses the\nparts: (.*?)\. `--fact", PAGE, flags=re.DOTALL)[1]
    assert re.findall(r"`(\w+)`", listed) == [*BREAKDOWN_PARTS[:5], "depth", "segment", "calibration"]

"""The page on incrementality: its example runs as it stands there, and its figures fit each other."""

import re
from pathlib import Path

import pytest

from tests.evaluate.test_incrementality_log import LOG, catalogue_with, write

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "incrementality.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    """Of the holdout's four decisions two are purchases; a third of the group's; 8.10 wasted on four."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "offers.db", catalogue_with(), LOG, key=b"a key for tests")
    exec(compile(example, "incrementality.md", "exec"), {})  # noqa: S102 - it is our own page
    (line,) = capsys.readouterr().out.splitlines()
    name, anyway, added, wasted, *reason = line.split(maxsplit=4)
    assert name == "rules"
    assert [float(anyway), float(added), float(wasted)] == pytest.approx([500.0, 1000 / 3 - 500, 2_025.0])
    assert reason == ['there are only 3 customers in "rules"']


def test_the_plain_comparison_of_the_page_is_that_of_its_table():
    """Purchases with 20 % less those of the whole holdout: 203 - 146 = 57."""
    row = re.search(r"│ discount 20 +│ +7,667 │ +(\d+) │ +(\d+) │ +\+(\d+) │", PAGE)
    purchases, anyway, added = map(int, row.groups())
    assert abs(purchases - anyway - added) <= 1
    assert f"would find {purchases - 146} added purchases instead of {added}" in PAGE
    assert f"({anyway} of 1,000)" in PAGE

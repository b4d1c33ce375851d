"""The page on incrementality: its figures are those computed by hand, and fit each other."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "incrementality.md").read_text(encoding="utf-8")


def test_the_figures_of_the_example_are_those_computed_by_hand():
    """Of the holdout's four decisions two are purchases; a third of the group's; 8.10 wasted on four."""
    (line,) = re.findall(r"^rules: anyway .*$", PAGE, flags=re.MULTILINE)
    anyway, added, wasted = (float(number) for number in re.findall(r"[-+]?\d+\.\d+", line))
    assert [anyway, added, wasted] == pytest.approx([500.0, 1000 / 3 - 500, 2_025.0], abs=0.005)


def test_the_plain_comparison_of_the_page_is_that_of_its_table():
    """Purchases with 20 % less those of the whole holdout: 203 - 146 = 57."""
    row = re.search(r"│ discount 20 +│ +7,667 │ +(\d+) │ +(\d+) │ +\+(\d+) │", PAGE)
    purchases, anyway, added = map(int, row.groups())
    assert abs(purchases - anyway - added) <= 1
    assert f"would find {purchases - 146} added purchases instead of {added}" in PAGE
    assert f"({anyway} of 1,000)" in PAGE

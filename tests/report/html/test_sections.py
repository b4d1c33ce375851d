"""Sections from records made by hand: what they say, and what they leave out."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.evaluate.audience import Audience, AudienceFinding, AudienceSearch
from bandit.evaluate.breakdown import CatalogueUse, OptionUse
from bandit.ope import Estimate
from bandit.report.html import Answer
from bandit.report.html.charts.forest import ForestRow, forest_chart
from bandit.report.html.charts.heat import HeatCell, heat_chart
from bandit.report.html.section import MOST_TABLE_ROWS, table
from bandit.report.html.sections.audience import audience_section
from bandit.report.html.sections.coverage import coverage_section


def estimate(value, low, high, error=0.1):
    return Estimate("dr", value, low, high, 1_000, 500.0, 3.0, 1.0, error, 300, 0.95)


def finding(verdict, assumed=0.0, share=0.81, confirmed=True):
    return AudienceFinding(
        "campaign", "mens", ("gender",), "gender f", 0.5, assumed, estimate(share, 0.74, 0.88), 0.7,
        estimate(2.2, 1.2, 3.3), estimate(44_000.0, 24_000.0, 66_000.0, 8_000.0), confirmed, verdict, "a reason",
    )  # fmt: skip


def audience_of(*rows):
    search = AudienceSearch(
        facts=("gender",), skipped=("postcode",), constant=(), options=3, pairs=0, pairs_left_out=0, candidates=12,
        confirmed=2, searched_on=10_000, confirmed_on=10_000, detectable=0.8,
    )  # fmt: skip
    return Audience("rules", 0.95, "baseline", "logged", "buyers", 20_000, 5_000, rows, search, ())


def test_a_surprise_is_said_in_words_with_its_money_and_drawn(contents):
    """The founding story: rules give the men's campaign to men alone, and 81 % of its buyers are women."""
    told = audience_section(replace(contents, audience=Answer(audience_of(finding("surprise")))))
    assert told.finding.startswith("Of those to whom the rules gave campaign mens, 0 % are gender f; of its buyers ")
    assert "81 % are" in told.finding
    assert "+2.20 EUR per decision" in told.finding
    assert len(told.charts) == 1
    assert "in truth 81 % (74 to 88 %)" in told.charts[0].svg
    assert any("postcode" in note for note in told.notes)


def test_without_a_surprise_nothing_is_announced_and_nothing_drawn_that_cannot_be_told(contents):
    """The negative control: the same row, which cannot be told."""
    told = audience_section(replace(contents, audience=Answer(audience_of(finding("cannot tell")))))
    assert told.finding.startswith("No surprise was found")
    assert told.charts == ()
    assert [cell.text for row in told.tables[0].rows for cell in row if cell.tone == "unknown"] == ["cannot tell"]


def test_nobody_assumed_is_said_as_nobody(contents):
    told = audience_section(replace(contents, audience=Answer(audience_of(finding("surprise", assumed=None)))))
    assert told.finding.startswith("The rules gave campaign mens to nobody; of its buyers in truth 81 % are gender f.")


def test_options_that_are_never_served_are_named(contents):
    used = OptionUse("depth", "20", 500, 0.5, 1.0, "served", "")
    never = OptionUse("depth", "50", 0, 0.0, 0.0, "never eligible", "the rule never")
    told = coverage_section(replace(contents, use=Answer(CatalogueUse((used, never), 4, 4, 1, 10, 1_000))))
    assert told.finding == (
        "Of 2 options 1 are never or hardly ever served: depth 50 (never eligible). Of 10 offers 4 were never "
        "and 1 hardly ever served."
    )


def test_a_row_that_cannot_be_told_is_grey_and_says_why():
    rows = [
        ForestRow("one", "+1.0: better", 1.0, 0.5, 1.5, "good"),
        ForestRow("two", "? cannot tell", np.nan, np.nan, np.nan, "unknown", "only 3 outcomes are to be expected"),
    ]
    svg = forest_chart("forest", "title", rows, "EUR").svg
    assert "only 3 outcomes are to be expected" in svg
    alone = forest_chart("forest", "title", rows[1:], "EUR").svg
    assert "var(--better)" in svg
    assert "var(--better)" not in alone
    assert "var(--muted)" in alone


def test_an_unsure_row_does_not_squeeze_the_sure_ones():
    """The horizontal axis ends near 1.5, not at 1,000, which an unsure interval reaches."""
    sure = ForestRow("one", "+1.0: better", 1.0, 0.5, 1.5, "good")
    unsure = ForestRow("two", "? cannot tell", 3.0, -1_000.0, 1_000.0, "unknown")
    svg = forest_chart("forest", "title", [sure, unsure], "EUR").svg
    assert "+1,000" not in svg
    assert "+1,000" in forest_chart("forest", "title", [unsure], "EUR").svg


def test_a_heat_map_shows_numbers_only_where_they_are_sure_and_two_figures_of_the_largest():
    """With 2.04 as the largest one decimal: +2.0 and -0.2."""
    cells = [[HeatCell(2.04, True), HeatCell(-0.16, True)], [HeatCell(5.0, False), None]]
    svg = heat_chart("heat", "title", ["a", "b"], ["x", "y"], cells).svg
    assert "+2.0" in svg
    assert "\N{MINUS SIGN}0.2" in svg
    assert "5.0" not in svg.replace("5.04", "")
    assert svg.count(">?<") == 1


def test_dollars_in_a_name_are_not_mathematics():
    svg = forest_chart("forest", "title", [ForestRow("$x_1^2$ & <b>", "+1", 1.0, 0.5, 1.5, "good")], "EUR").svg
    assert "$x_1^2$ &amp; &lt;b&gt;" in svg


@pytest.mark.parametrize("rows", [3, MOST_TABLE_ROWS + 7])
def test_a_long_table_is_cut_and_says_so(rows):
    cut = table("numbers", {"n": True}, [[str(number)] for number in range(rows)])
    assert len(cut.rows) == min(rows, MOST_TABLE_ROWS)
    assert (f"of {rows:,} rows" in cut.caption) == (rows > MOST_TABLE_ROWS)

"""The table and the sentences of audience surprises, from records written by hand."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from bandit.evaluate.audience import Audience, AudienceFinding, AudienceSearch
from bandit.evaluate.diagnostics import Finding
from bandit.ope import Estimate
from bandit.report.audience import audience_lines, audience_notes, audience_shown, audience_table


def estimate(value, low, high, error=0.1):
    return Estimate("dr", value, low, high, 100, 100.0, 3.0, 1.0, error, 100, 0.98, "skew")


ROW = AudienceFinding(
    dimension="campaign",
    option="mens",
    facts=("gender",),
    segment="gender f",
    population=0.5,
    assumed=0.0,
    share=estimate(0.81, 0.74, 0.87),
    should_get=0.9,
    gain=estimate(0.31, 0.12, 0.50),
    total=estimate(6200.0, 2400.0, 10000.0, 2000.0),
    confirmed=True,
    verdict="surprise",
    reason="campaign mens: the reason",
)
SEARCH = AudienceSearch(("gender",), (), (), 3, 0, 0, 12, 1, 20_000, 20_000, 0.25)
FOUND = Audience("today", 0.98, "baseline", "logged", "buyers", 40_000, 10_000, (ROW,), SEARCH, ())


OTHER = replace(ROW, option="womens", confirmed=False, verdict="cannot tell", reason="campaign womens: the reason")


def text_of(table, width=80):
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


def test_a_surprise_is_a_sentence_with_its_total():
    assert audience_lines(FOUND) == [
        "1 surprise against today:",
        "! campaign mens: the reason; in all +6,200 (+2,400 to +10,000).",
    ]


def test_the_table_has_a_sign_both_shares_and_the_interval_of_the_gain():
    text = text_of(audience_table(FOUND, "profit in EUR"))
    assert max(map(len, text.splitlines())) <= 80
    (line,) = [line for line in text.splitlines() if "gender f" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "!", "gender f", "0%", "81% (74-87)", "90%", "+0.1 to +0.5",
    ]  # fmt: skip


def test_only_what_was_looked_at_again_is_shown_without_details():
    """With details everything, an option's rows together: mens, mens, womens of mens, womens, mens."""
    found = replace(FOUND, rows=(ROW, OTHER, replace(ROW, confirmed=False)))
    assert audience_shown(found) == (ROW,)
    assert "womens" not in text_of(audience_table(found, "EUR"))
    assert [row.option for row in audience_shown(found, details=True)] == ["mens", "mens", "womens"]
    assert "womens" in text_of(audience_table(found, "EUR", details=True))
    assert "--details" in " ".join(audience_notes(found))
    assert "--details" not in " ".join(audience_notes(found, details=True))


def test_where_nothing_was_looked_at_again_there_is_no_legend_of_a_table():
    found = replace(FOUND, rows=(OTHER,), search=replace(SEARCH, confirmed=0))
    assert audience_shown(found) == ()
    assert audience_notes(found)[0].startswith("--details shows the 1 other pair of option and segment")


def test_where_nothing_is_found_it_says_what_was_searched_and_could_have_been_found():
    row = replace(ROW, verdict="cannot tell")
    nothing = replace(FOUND, rows=(row,))
    assert audience_lines(nothing) == ["No surprise found against today."]
    legend, failed, searched, size = audience_notes(nothing)
    assert legend.startswith("rules: the segment's share")
    assert failed == "? campaign mens: the reason."
    assert searched == (
        "Searched: 12 pairs of one of 3 options and a segment, of 1 fact, on 20,000 of 40,000 decisions of 10,000 "
        "customers; 1 looked promising and was looked at again on the 20,000 decisions of the other customers."
    )
    assert size.startswith("A gain from about 0.25 per decision")


def test_limits_are_said():
    """Facts left out, pairs left out, rows left out, and findings."""
    search = replace(SEARCH, skipped=("shop",), constant=("country",), pairs_left_out=7)
    rows = (ROW, OTHER, OTHER)
    found = replace(FOUND, rows=rows, search=search, findings=(Finding("propensities", "doubt", "so so"),))
    said = " ".join(audience_notes(found))
    for part in ("the 2 other pairs of option and segment", "country", "shop", "7 pairs of facts", "doubt: so so."):
        assert part in said
    assert "four of five" not in said


def test_what_cannot_be_judged_at_all_is_said_first():
    fatal = Finding("propensities", "fatal", "one side only")
    assert audience_lines(replace(FOUND, rows=(), findings=(fatal,))) == ["cannot tell: one side only."]


@pytest.mark.parametrize(
    ("change", "cells"),
    [
        ({"assumed": None}, "-"),
        ({"should_get": None}, "-"),
        ({"gain": estimate(0.0, 0.0, 0.0, 0.0)}, "given"),
        ({"share": estimate(float("nan"), 0.0, 1.0)}, "?"),
    ],
)
def test_what_is_not_known_is_no_number(change, cells):
    text = text_of(audience_table(replace(FOUND, rows=(replace(ROW, **change),)), "EUR"))
    line = next(line for line in text.splitlines() if "gender f" in line)
    assert cells in [cell.strip() for cell in line.strip("│").split("│")]

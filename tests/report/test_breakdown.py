"""The breakdown in tables and sentences: what is said, and what is said where nothing can be told."""

import io

import numpy as np
from rich.console import Console

from bandit.evaluate.breakdown import break_down
from bandit.report.breakdown import (
    breakdown_lines,
    curve_table,
    depth_table,
    option_headline,
    option_tables,
    shown_curves,
    whole_line,
)
from tests.evaluate.breakdown.campaign import DAY, MONDAY, catalogue, log_of


def text_of(*tables, width=80):
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False)
    for table in tables:
        console.print(table)
    return out.getvalue()


def campaign(n=3_000, **more):
    """Six offers in turn; a third responds to 20 %, a tenth to the others."""
    depth = np.arange(n) % 6 // 2
    converted = np.where(depth == 2, np.arange(n) // 6 % 3 == 0, np.arange(n) // 6 % 10 == 0)
    return log_of(catalogue(), np.arange(n) % 6, converted, **more)


def test_the_whole_and_the_best_options_are_the_first_sentences():
    """Of 3,000 decisions 1,000 get 20 %, of which 334 respond, and 200 of the others: 534, 17.8 %."""
    found = break_down(campaign(), ["option"])
    assert whole_line(found, "responses", binary=True) == (
        "Of 3,000 settled decisions of 3,000 customers 18% responded (16.5% to 19.2%), as it happened."
    )
    assert option_headline(found.options) == (
        "Given to everyone, discount 20 would have earned more than the log's policy; discount 0 and discount 10 would "
        "have earned less than the log's policy."
    )


def test_the_tables_fit_80_columns_and_cut_no_number():
    found = break_down(
        campaign(time=MONDAY + np.arange(3_000) * DAY // 100), ["week", "option", "segment", "depth"], ["loyal"]
    )
    curves = [curve_table(curve, part, "profit in EUR") for part, curve in shown_curves(found, all_asked=True).items()]
    said = text_of(*curves, *option_tables(found.options, "profit in EUR"), depth_table(found.depth, "profit in EUR"))
    assert max(map(len, said.splitlines())) <= 80
    assert "…" not in said
    assert "2026-06-01" in said
    assert "loyal = no" in said


def test_where_nothing_was_left_to_chance_the_reason_stands_below():
    found = break_down(campaign(propensity=np.ones(3_000)), ["option", "depth"])
    assert option_headline(found.options) == (
        "Nothing can be told of what single options would earn; the reasons are below."
    )
    lines = "\n".join(breakdown_lines(found))
    assert "3,000 of 3,000 decisions were not left to chance" in lines
    assert "discount 0, discount 10 and 3 more: cannot tell: no decision was left to chance" in lines
    assert "discount 20: cannot tell: no decision was left to chance" in lines


def test_depths_for_different_customers_are_to_be_compared_with_care():
    rules = [{"when": "loyal", "forbid": {"discount": ["20"]}, "reason": "they buy anyway"}]
    made = log_of(catalogue(rules=rules), [4, 0, 2, 0], [True] * 4, loyal=[0, 1, 1, 1])
    lines = breakdown_lines(break_down(made, ["depth"]))
    assert any("0 in 100%, 10 in 100%, 20 in 25% of the decisions): compare with care" in line for line in lines)


def test_one_row_is_no_table_unless_it_was_asked_for():
    found = break_down(campaign(), ["group"])
    assert shown_curves(found, all_asked=False) == {}
    assert list(shown_curves(found, all_asked=True)) == ["group"]


def test_names_with_brackets_are_shown_as_they_are():
    given = catalogue(depths=("0", "10"), channels=("[red]mail", "sms"))
    made = log_of(given, np.arange(400) % 4, np.arange(400) % 3 == 0)
    assert "[red]mail" in text_of(*option_tables(break_down(made, ["option"]).options, "[bold]EUR"))


def test_a_log_of_one_customer_has_no_interval_and_is_said_in_the_singular():
    """One customer has no spread between customers."""
    found = break_down(campaign(customers=["anna"] * 3_000), ["option"])
    assert whole_line(found, "responses", binary=True) == (
        "Of 3,000 settled decisions of 1 customer 18% responded (?), as it happened."
    )

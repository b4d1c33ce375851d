"""Tables and sentences at a width, and rows as CSV and Markdown."""

import csv
import io

import pytest
from rich.console import Console
from rich.table import Table

from bandit.report.layout import fitted, verdict_text, wrapped
from bandit.report.tables import csv_text, markdown_text
from bandit.tabular import Tabular


class Rows(Tabular):
    def __init__(self, *rows):
        self.rows = list(rows)

    def to_rows(self):
        return self.rows


def printed(table, width):
    console = Console(file=io.StringIO(), width=width)
    for part in fitted(table, width):
        console.print(part, soft_wrap=True)
    return console.file.getvalue()


def prices():
    table = Table(title="prices of three goods, in pounds of silver and in bushels of wheat")
    table.add_column("good", overflow="fold")
    for heading in ("price in silver", "interval", "price in wheat"):
        table.add_column(heading, justify="right")
    table.add_row("a [b]plough[/b] of iron", "1.25", "1.00 to 1.50", "3")
    table.add_row("an ox", "12.50", "", "30")
    return table


def test_a_sentence_is_wrapped_between_words_with_its_own_indentation():
    assert wrapped("  one two three four five", 14) == "  one two\n  three four\n  five"
    assert wrapped("a word-with-hyphens", 8) == "a\nword-with-hyphens"


def test_a_command_is_not_wrapped():
    line = "  offer-bandit decide a/very/long/path/of/a/database.db CUSTOMER"
    assert wrapped(line, 20) == line


def test_a_verdict_goes_on_below_its_sign():
    assert verdict_text("+ thompson: better - it earns more", 20).plain == "+ thompson: better -\n  it earns more"


def test_a_table_that_fits_has_its_headings_broken_at_spaces():
    shown = printed(prices(), 70)
    assert "│ a plough of iron" in shown
    assert "price in silver" not in shown.split("pounds")[1].split("wheat\n", maxsplit=1)[1]
    assert max(map(len, shown.splitlines())) <= 70


def test_a_table_that_does_not_fit_becomes_a_record_a_row_and_its_title_is_wrapped():
    assert printed(prices(), 36).splitlines() == [
        "prices of three goods, in pounds of",
        "silver and in bushels of wheat",
        "good: a plough of iron",
        "  price in silver  1.25 (1.00 to",
        "                   1.50)",
        "  price in wheat   3",
        "",
        "good: an ox",
        "  price in silver  12.50",
        "  price in wheat   30",
    ]


def test_csv_quotes_text_and_leaves_numbers_as_they_are():
    rows = ({"name": 'a "b", c', "x": 0.1 + 0.2, "n": None}, {"name": "d\ne", "x": float("inf"), "n": True})
    text = csv_text([("t", Rows(*rows))])
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["name"], float(first["x"]), first["n"]) == ('a "b", c', 0.1 + 0.2, "")
    assert (second["name"], second["x"], second["n"]) == ("d\ne", "", "true")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1 to 5", "@x", "\tx"])
def test_csv_has_no_text_that_a_spreadsheet_runs(text):
    (row,) = csv.DictReader(io.StringIO(csv_text([("t", Rows({"name": text, "x": -1.5}))]), newline=""))
    assert row == {"name": f"'{text}", "x": "-1.5"}


def test_markdown_escapes_what_divides_cells_and_rounds_by_the_widths_of_intervals():
    """An interval of width 0.392 is that of a standard error of 0.1: two decimals. Other numbers have four figures."""
    row = {"name": "a|b\nc", "value": 1.23456, "low": 1.0, "high": 1.392, "weight": 3.14159, "n": 12_000, "ok": True}
    assert markdown_text([("t", Rows(row))]).splitlines() == [
        "| name | value | low | high | weight | n | ok |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
        "| a\\|b c | 1.23 | 1.00 | 1.39 | 3.142 | 12,000 | yes |",
    ]


def test_markdown_of_several_tables_has_a_heading_each():
    text = markdown_text([("one", Rows({"n": 1})), ("two", Rows())])
    assert text == "### one\n\n| n |\n| ---: |\n| 1 |\n\n### two\n\nnothing to show\n"

"""The report of an import names the counts, the kinds of fault and the first rows."""

from rich.console import Console

from bandit.logfiles import ImportReport, Rejection
from bandit.report.imports import import_json, import_tables, left_out_sentence

REPORT = ImportReport(
    n_rows=1_250,
    n_imported=1_200,
    n_repeated=40,
    n_refused=10,
    refused=(Rejection(3, 'the propensity "p" is blank'), Rejection(7, "[bold]not markup")),
    by_reason={"propensity is blank": 9, "unknown option": 1},
)


def shown(tables):
    """The tables as text."""
    console = Console(width=100)
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    return capture.get()


def test_the_tables_have_the_counts_the_kinds_and_the_first_rows():
    text = shown(import_tables(REPORT, show=1))
    assert "1,250" in text
    assert "1,200" in text
    assert "propensity is blank" in text
    assert "the first 1 of them" in text
    assert 'the propensity "p" is blank' in text
    assert "not markup" not in text


def test_what_a_file_says_is_not_taken_for_markup():
    assert "[bold]not markup" in shown(import_tables(REPORT, show=5))


def test_without_rejected_rows_there_are_only_counts():
    clean = ImportReport(5, 5, 0, 0, (), {})
    assert len(import_tables(clean, show=5)) == 1


def test_json_has_every_number_and_row():
    assert import_json(REPORT) == {
        "n_rows": 1_250,
        "n_imported": 1_200,
        "n_repeated": 40,
        "n_refused": 10,
        "by_reason": {"propensity is blank": 9, "unknown option": 1},
        "findings": [],
        "undeclared": [],
        "outside": [],
        "refused": [
            {"line": 3, "reason": 'the propensity "p" is blank'},
            {"line": 7, "reason": "[bold]not markup"},
        ],
        "left_out": {},
        "notices": [],
    }


def test_lines_left_out_are_counted_by_reason_and_are_no_rows():
    report = ImportReport(5, 5, 0, 0, (), {}, {"never shown": 2, "several slots": 1}, ("a word",))
    text = shown(import_tables(report, show=5))
    assert "lines left out" in text
    assert "never shown" in text
    assert left_out_sentence(report) == "3 lines are left out: never shown (2), several slots (1)"
    assert import_json(report)["left_out"] == {"never shown": 2, "several slots": 1}
    assert import_json(report)["notices"] == ["a word"]
    assert left_out_sentence(ImportReport(5, 5, 0, 0, (), {})) == ""

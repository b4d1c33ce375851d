"""What the commands print: at the width there is, in colour or not, and as CSV, Markdown or JSON."""

import csv
import io
import json
import re
from contextlib import redirect_stdout

import pytest

from bandit.cli import main
from tests.cli.conftest import FILES, run

COMPARE = ("evaluate", "offers.db", "--policy", "everyone", "--policy", "uniform", "--baseline", "rules:rules.toml")
SEGMENTS = (*COMPARE, "--by", "gender", "--by", "recency")
WIDTHS = (80, 100, 140)
SIGNS = {"+": "better", "-": "worse", "?": "cannot tell", "=": "no difference found", " ": "the baseline"}


def unwrapped(text):
    """The sentences before the first blank line, each on one line."""
    return re.sub(r"\n {2}(?=\S)(?!.*: the baseline)", " ", text.split("\n\n")[0]).splitlines()


@pytest.fixture(scope="module")
def printed(prepared):
    """What the comparison prints at each width, and its JSON document."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(prepared)
        patch.delenv("OFFER_BANDIT_KEY", raising=False)
        for width in WIDTHS:
            patch.setenv("COLUMNS", str(width))
            with redirect_stdout(io.StringIO()) as out:
                assert main(list(COMPARE)) == 0
            found[width] = out.getvalue()
        with redirect_stdout(io.StringIO()) as out:
            assert main([*COMPARE, "--json"]) == 0
        found["json"] = json.loads(out.getvalue())
    return found


def nothing_is_cut_off(text, width):
    return max(map(len, text.splitlines())) <= width and "…" not in text and "..." not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_terminal_and_nothing_is_cut_off(printed, width):
    assert nothing_is_cut_off(printed[width], width)


@pytest.mark.parametrize("width", [80, pytest.param(140, marks=pytest.mark.slow)])
def test_segments_and_details_are_not_cut_off_either(example, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    said = run(capsys, *SEGMENTS, "--details", "--all-estimators").out
    assert nothing_is_cut_off(said, width)
    assert "comparisons of segments can be told" in " ".join(said.split())


@pytest.mark.parametrize("width", WIDTHS)
def test_the_verdict_of_each_policy_comes_first_as_a_whole_sentence(printed, width):
    sentences = unwrapped(printed[width])
    policies = printed["json"]["policies"]
    assert len(sentences) == len(policies)
    for sentence, policy in zip(sentences, policies, strict=True):
        assert sentence.startswith(f"{sentence[0]} {policy['name']}: {policy['verdict']} - ")
        assert SIGNS[sentence[0]] == policy["verdict"]
        assert sentence.endswith(".")
        if policy["verdict"] in {"better", "worse", "no difference found"}:
            assert sentence.endswith(f"{policy['reason']}.")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_interval_shown_with_a_verdict_is_the_same_in_the_sentence_and_below(printed, width):
    verdicts, rest = printed[width].split("\n\n", maxsplit=1)
    intervals = re.findall(r"[+-][\d.]+ to [+-][\d.]+", " ".join(verdicts.split()))
    assert intervals
    assert re.findall(r"[+-][\d.]+ to [+-][\d.]+", rest) == intervals


def test_a_record_a_policy_stands_in_place_of_a_table_that_does_not_fit(printed):
    narrow = printed[80]
    assert "│" not in narrow
    assert re.search(r"\npolicy: uniform\n  verdict +. \w+.*\n  value +[\d.]+ \([\d.]+ to [\d.]+\)\n", narrow)
    assert "│ uniform " in printed[140]


def test_a_pipe_has_80_columns_unless_columns_says_otherwise(example, capsys, monkeypatch):
    """No stream of a test is a terminal; rich looks for one on stdin, stdout and stderr."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("os.get_terminal_size", lambda *_: (_ for _ in ()).throw(OSError))
    assert max(map(len, run(capsys, *COMPARE).out.splitlines())) <= 80
    monkeypatch.setenv("COLUMNS", "300")
    assert max(map(len, run(capsys, *COMPARE).out.splitlines())) > 100


def test_verdicts_are_in_colour_on_a_terminal_only_and_not_where_that_is_not_wanted(example, capsys, monkeypatch):
    assert "\x1b[" not in run(capsys, *COMPARE).out
    monkeypatch.setattr("rich.console.Console.is_terminal", property(lambda _: True))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.search(r"\x1b\[3[1-4]m. [^\x1b]*: (better|worse|cannot tell|no difference found)\x1b", _out(capsys))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[3\d", _out(capsys))


def _out(capsys):
    return run(capsys, *COMPARE).out


def test_csv_has_the_numbers_of_json_unrounded(example, capsys, printed):
    found = printed["json"]
    rows = list(csv.DictReader(io.StringIO(run(capsys, *COMPARE, "--format", "csv").out)))
    assert [row["policy"] for row in rows] == [each["name"] for each in found["policies"]]
    for row, each in zip(rows, found["policies"], strict=True):
        assert (row["verdict"], row["reason"]) == (each["verdict"], each["reason"])
        if each["together"] is not None:
            assert float(row["difference_low"]) == each["together"]["low"]
            assert float(row["value"]) == each["estimates"]["dr"]["value"]


def test_csv_of_several_tables_names_the_table_of_each_row(example, capsys):
    rows = list(csv.DictReader(io.StringIO(run(capsys, *SEGMENTS, "--format", "csv").out)))
    assert {row["table"] for row in rows} == {"policies", "segments"}
    assert {row["segment"] for row in rows if row["fact"] == "gender"} == {"f", "m"}


def test_markdown_is_a_table_with_the_same_number_of_cells_in_each_row(example, capsys):
    lines = run(capsys, *COMPARE, "--format", "md").out.splitlines()
    assert {line.count("|") for line in lines} == {lines[0].count("|")}
    assert set(lines[1]) <= set("| -:")


def test_json_is_the_same_by_either_option_and_two_formats_exclude_each_other(example, capsys, printed):
    assert run(capsys, *COMPARE, "--format", "json").json == printed["json"]
    both = run(capsys, *COMPARE, "--json", "--format", "csv")
    assert both.code == 2
    assert both.sentence == "--json and --format csv exclude each other; give one of them"
    unknown = run(capsys, *COMPARE, "--format", "xml")
    assert unknown.code == 2
    assert "choose from table, json, csv, md" in unknown.sentence


def test_a_log_of_several_policies_that_cannot_be_told_names_the_option_and_their_numbers(example, capsys):
    """Besides the imported decisions there is one by another policy."""
    assert run(capsys, "decide", "offers.db", "c", "--policy", "uniform", "--decision-id", "one").code == 0
    rare = ("evaluate", "offers.db", "--policy", "offer:discount=0,channel=sms,gift=none", "--baseline", "logged")
    few = (*rare, "--event", "visit")
    said = run(capsys, *few)
    assert "? " in said.out
    assert "cannot tell" in said.out
    assert "several writers: 2,000 imported, 1 by policy 2 (uniform). Judge those of one policy with" in said.out
    assert "--written-by ID" in said.out
    assert run(capsys, *few, "--json").json["writers"] == [
        {"policy_id": None, "kind": None, "decisions": 2_000},
        {"policy_id": 2, "kind": "uniform", "decisions": 1},
    ]
    assert "several writers" not in run(capsys, *rare, "--policy", "uniform", "--by", "gender").out.split("\n\n")[1]


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        (("plan", "catalogue.toml", "--groups", "policy=0.8,rules=0.2"), {"table", "design", "share_rules", "cost"}),
        (("status", "offers.db"), {"group", "customers", "decisions_today"}),
        (("rollout", "show", "offers.db"), {"arm", "customers", "policy_id"}),
        (("learn", "offers.db"), {"n", "n_skipped", "policy_id"}),
        (("decide", "offers.db", "c", "--decision-id", "d"), {"decision_id", "chosen", "discount", "probability"}),
        (("import", "new.db", "log.csv", *FILES), {"result", "reason", "rows"}),
        (("doctor",), {"section", "name", "value"}),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
def test_each_command_with_a_table_prints_it_as_csv(example, capsys, arguments, columns):
    said = run(capsys, *arguments, "--format", "csv")
    assert said.code == 0, said.err
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert rows
    assert columns <= rows[0].keys()
    assert None not in rows[0]


def test_a_result_without_rows_prints_nothing_and_watching_has_no_csv(example, capsys):
    assert run(capsys, "rollout", "history", "offers.db", "--format", "csv").out == ""
    refused = run(capsys, "status", "offers.db", "--watch", "--format", "csv")
    assert refused.code == 2
    assert refused.sentence == "--watch prints tables or JSON, not csv; leave one of them out"

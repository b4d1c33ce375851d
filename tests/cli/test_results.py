"""The command results: what a marketer reads, from a database and from a log file, and bad input."""

import pytest

from tests.cli.conftest import FILES, run


def test_the_overview_begins_with_the_whole_in_a_sentence(capsys, example):
    ran = run(capsys, "results", "offers.db")
    assert ran.code == 0, ran.err
    first, second, *rest = ran.out.splitlines()
    assert first.startswith("Of ")
    assert "settled decisions of" in first
    assert first.endswith("as it happened.")
    assert "log's mix of options" in second or "log's policy" in second or "Nothing can be told" in second
    said = "\n".join(rest)
    assert "by week, as it happened" in said
    assert "options: " in said
    assert "happened: what those who got the option earned" in said


def test_a_log_file_says_what_its_database_says(capsys, example):
    """The same rows, read without a database: all numbers of the options are the same."""
    stored = run(capsys, "results", "offers.db", "--by", "option", "--json").json
    read = run(capsys, "results", "log.csv", *FILES, "--by", "option", "--json").json
    assert stored["options"]["cells"] == read["options"]["cells"]
    assert stored["whole"]["value"] == read["whole"]["value"]
    assert {each["option"] for each in stored["catalogue"]["options"]} == {
        cell["option"] for cell in stored["options"]["cells"]
    }


def test_every_part_has_its_table_and_its_numbers(capsys, example):
    parts = ("day", "week", "group", "policy", "option", "depth")
    asked = [word for part in parts for word in ("--by", part)]
    said = run(capsys, "results", "offers.db", *asked, "--fact", "gender")
    assert said.code == 0, said.err
    for words in ("by day,", "by group,", "by policy,", "options by gender", "by depth, if all got it"):
        assert words in said.out
    found = run(capsys, "results", "offers.db", *asked, "--fact", "gender", "--json").json
    n = found["whole"]["n"]
    for part in ("day", "week", "group", "policy"):
        assert sum(point["n"] for point in found[part]["points"]) == n
    assert {cell["fact"] for cell in found["options"]["cells"]} == {"", "gender"}
    assert [point["rate"] for point in found["depth"]["points"]] == sorted(
        point["rate"] for point in found["depth"]["points"]
    )


@pytest.mark.slow
def test_calibration_has_its_table_and_its_slope(capsys, example):
    said = run(capsys, "results", "offers.db", "--by", "calibration")
    assert said.code == 0, said.err
    assert "P(convert), predicted for customers not learned from" in said.out
    assert "The slope of the calibration is" in said.out
    found = run(capsys, "results", "offers.db", "--by", "calibration", "--json").json["calibration"]
    assert sum(each["n"] for each in found["bins"]) == found["n"]


def test_at_80_columns_no_line_of_a_table_is_longer_and_no_interval_is_cut(capsys, example, monkeypatch):
    monkeypatch.setattr("bandit.cli.console._PIPED_WIDTH", 80, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    said = run(
        capsys, "results", "offers.db", "--fact", "gender", "--by", "week", "--by", "depth", "--by", "option"
    ).out
    assert max(map(len, said.splitlines())) <= 80
    assert "…" not in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--by", "month"), 'there is no part "month"; choose from day, week, group, policy, option, segment, depth'),
        (("--fact", "shoes"), 'there is no fact "shoes" to split by; declared are'),
        (("--by", "segment"), "segments are made by the values of a fact; name one, the catalogue declares"),
        (("--level", "95"), "level is 95"),
        (("--written-by", "9"), "no policy 9 has decided in this database"),
    ],
)
def test_bad_input_is_one_sentence(capsys, example, arguments, sentence):
    ran = run(capsys, "results", "offers.db", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.sentence


def test_a_missing_database_is_named(capsys, example):
    assert "there is no such database" in run(capsys, "results", "none.db").sentence

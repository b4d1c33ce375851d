"""The command `report`: one HTML file, the verdict in a sentence, and what it refuses."""

import re

from tests.cli.conftest import run


def report(capsys, *arguments):
    return run(capsys, "report", *arguments, "--quick", "--now", "2026-11-26T00:00:00+00:00")


def test_it_writes_the_file_and_says_the_verdict_and_the_path(capsys, example):
    ran = report(capsys, "offers.db", "--baseline", "rules:rules.toml", "-o", "r.html")
    assert ran.code == 0
    first, last = ran.out.splitlines()
    assert re.match(r"(better|worse|no difference found|cannot tell): ", first)
    assert last == "Written: r.html"
    text = (example / "r.html").read_text(encoding="utf-8")
    assert "offer-bandit report offers.db --baseline rules:rules.toml --seed 1" in text


def test_it_reads_a_log_file_too_and_prints_json(capsys, example):
    given = ("log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml", "--policy", "uniform", "--json")
    ran = report(capsys, *given)
    assert ran.code == 0
    assert ran.json["report"] == "report.html"
    assert ran.json["verdict"] in {"better", "worse", "no difference found", "cannot tell"}
    assert (example / "report.html").exists()


def test_it_never_replaces_a_database_or_what_is_not_a_report(capsys, example):
    before = (example / "offers.db").read_bytes()
    ran = report(capsys, "offers.db", "-o", "offers.db")
    assert ran.code == 2
    assert "ends in .html" in ran.sentence
    assert (example / "offers.db").read_bytes() == before
    (example / "mine.html").write_text("mine", encoding="utf-8")
    ran = report(capsys, "offers.db", "-o", "mine.html")
    assert ran.code == 2
    assert "is not HTML" in ran.sentence
    assert report(capsys, "offers.db", "-o", "no/r.html").code == 2


def test_bad_input_is_one_sentence(capsys, example):
    for given, said in (
        (("none.db",), "there is no such database"),
        (("offers.db", "--policy", "nonsense"), "is no policy"),
        (("offers.db", "--written-by", "99"), "no policy 99"),
        (("offers.db", "--since", "yesterday"), "is not an ISO 8601 time"),
        (("log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml", "--since", "2026-01-01"), "--since"),
    ):
        ran = report(capsys, *given)
        assert ran.code == 2, given
        assert said in ran.sentence
    assert not (example / "report.html").exists()

"""The command `why`: text, JSON and HTML, a list by customer, and what it says to bad input."""

import pytest

from bandit.store import Store
from tests.cli.conftest import FACTS, run


@pytest.fixture
def decided(example, capsys):
    """The id of a decision of the example's policy."""
    return run(capsys, "decide", "offers.db", "anna", *FACTS, "--policy", "thompson", "--json").json["decision_id"]


def test_a_decision_is_explained_in_words_within_80_columns(decided, capsys):
    found = run(capsys, "why", "offers.db", decided)
    assert found.code == 0
    assert max(map(len, found.out.splitlines())) <= 80
    first = " ".join(found.out.split())
    assert "was chosen" in first.split(".")[0]
    for words in ("eligible", "P(purchase)", "together", "with a probability of"):
        assert words in first


def test_json_has_the_reasons_whose_sum_is_the_lead(decided, capsys):
    found = run(capsys, "why", "offers.db", decided, "--json").json
    assert found["decision_id"] == decided
    assert found["chance"]["recomputed"] == found["chance"]["propensity"]
    lead = found["lead"]
    parts = sum(each["by_response"] + each["by_revenue"] for each in lead["contributions"])
    assert lead["base"] + parts == pytest.approx(lead["reward"]["value"], abs=1e-9)


def test_html_is_written_to_a_file(decided, capsys, example):
    found = run(capsys, "why", "offers.db", decided, "--html", "why.html")
    assert (found.code, found.out) == (0, "")
    assert "<h1>" in (example / "why.html").read_text(encoding="utf-8")
    both = run(capsys, "why", "offers.db", decided, "--html", "why.html", "--json")
    assert both.json["decision_id"] == decided
    nowhere = run(capsys, "why", "offers.db", decided, "--html", "no/why.html")
    assert nowhere.code == 2
    assert "cannot be written" in nowhere.sentence


def test_the_last_decisions_of_a_customer_are_listed(decided, capsys):
    run(capsys, "decide", "offers.db", "anna", *FACTS)
    found = run(capsys, "why", "offers.db", "--customer", "anna")
    assert found.out.startswith('The 2 decisions for "anna", the newest first:')
    assert decided in found.out
    one = run(capsys, "why", "offers.db", "--customer", "anna", "--last", "1", "--json").json
    assert (one["n"], len(one["decisions"])) == (2, 1)
    assert "The last 1 of 2 decisions" in run(capsys, "why", "offers.db", "--customer", "anna", "--last", "1").out


def test_no_key_is_needed_for_a_decision_and_nothing_is_written(decided, capsys, example, monkeypatch):
    before = (example / "offers.db").read_bytes()
    monkeypatch.setenv("OFFER_BANDIT_KEY", "another key")
    assert run(capsys, "why", "offers.db", decided).code == 0
    assert (example / "offers.db").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("offers.db", "nobody"), 'there is no decision "nobody" in offers.db'),
        (("offers.db",), "give either the id of a decision, or --customer NAME"),
        (("offers.db", "x", "--customer", "y"), "give either the id of a decision, or --customer NAME"),
        (("offers.db", "--customer", "nobody"), "there is no decision for this customer"),
        (("offers.db", "--customer", "y", "--html", "f"), "--html explains one decision"),
        (("offers.db", "x", "--level", "2"), "lies between 0 and 1; seen 2.0"),
        (("none.db", "x"), "there is no such database"),
    ],
)
def test_bad_input_is_one_sentence(example, capsys, arguments, words):
    found = run(capsys, "why", *arguments)
    assert found.code == 2
    assert words in found.sentence


def test_an_imported_decision_says_what_is_not_known(example, capsys):
    with Store.open(example / "offers.db", read_only=True) as store:
        imported = store.decisions.page("", 0, limit=1).decision_id[0]
    found = " ".join(run(capsys, "why", "offers.db", imported).out.split())
    assert "by another program: the log was imported, so its reasons are not known" in found
    assert "the policy that chose is not known" in found

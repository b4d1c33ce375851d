"""The command `why`: text, JSON and HTML, a list by customer, and what it says to bad input."""

import pytest

from bandit.store import Store
from tests.cli.conftest import FACTS, FILES, run


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
    monkeypatch.setenv("OFFER_BANDIT_KEY", "another key for our tests")
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
        (("offers.db", "x", "--level", "2"), "level is 2.0; give a share between 0 and 1"),
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


class TestImportance:
    def test_the_finding_comes_first_and_everything_fits_80_columns(self, example, capsys):
        found = run(capsys, "importance", "offers.db")
        assert found.code == 0
        lines = found.out.splitlines()
        assert max(map(len, lines)) <= 80
        assert "customers' facts" in lines[0]
        assert "The model is that of policy 1 after" in found.out

    def test_a_log_file_has_a_model_fitted_to_it(self, example, capsys):
        found = run(capsys, "importance", "log.csv", *FILES)
        assert found.code == 0
        assert "The model was fitted to this log." in found.out

    def test_json_has_the_facts_and_the_options(self, example, capsys):
        found = run(capsys, "importance", "offers.db", "--json").json
        assert found["facts"][0]["worth"]["value"] == max(each["worth"]["value"] for each in found["facts"])
        assert {"dimension", "option", "worth", "best_share"} <= set(found["options"][0])

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("offers.db", "--policy-id", "9"), "there is no policy 9"),
            (("log.csv", *FILES, "--policy-id", "1"), "a log file has none"),
            (("offers.db", "--level", "0"), "level is 0.0; give a share between 0 and 1"),
            (("offers.db", "--objective", "revenue", "--policy-id", "1"), "is of another catalogue or objective"),
        ],
    )
    def test_bad_input_is_one_sentence(self, example, capsys, arguments, words):
        found = run(capsys, "importance", *arguments)
        assert found.code == 2
        assert words in found.sentence

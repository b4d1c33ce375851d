"""The command audience: on a log file and on a database, as sentences, table and JSON, and bad input."""

import numpy as np
import pytest

from bandit.cli import choices
from bandit.evaluate.audience import OtherDimensions
from simulator.validation.audience_campaigns.world import PLANTED, draw_log
from tests.cli.conftest import run

CATALOGUE = """
currency = "EUR"
[objective]
kind = "profit"
event = "purchase"
margin = 0.5
window = "14d"
[context]
gender = { type = "categorical", values = ["f", "m"] }
member = { type = "boolean" }
[[dimensions]]
name = "campaign"
options = [{ name = "none" }, { name = "mens", contact_cost = 0.2 }, { name = "womens", contact_cost = 0.2 }]
"""
RULES = """
name = "today"
[[segments]]
when = 'gender == "m"'
offer = { campaign = "mens" }
[otherwise]
campaign = "womens"
"""
MAPPING = """
[columns]
customer = "who"
propensity = "p"
time = "at"
[context]
gender = "gender"
member = "member"
[offer]
campaign = { column = "campaign" }
[[outcomes]]
event = "purchase"
when = "bought"
revenue = "amount"
"""
FILES = ("--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
RULES_FILE = ("--baseline", "rules:rules.toml")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A planted campaign of 12,000 decisions, 90 % of them random, as CSV with its catalogue, mapping and rules."""
    folder = tmp_path_factory.mktemp("audience")
    whole = draw_log(PLANTED, 12_000, 0.9, np.random.default_rng(3)).whole
    facts = whole.contexts.columns
    names = np.array(["none", "mens", "womens"])[whole.offer]
    lines = ["who,at,gender,member,campaign,p,bought,amount"]
    lines += [
        f"{who},2026-03-{1 + row % 28:02d}T10:00:00,{'fm'[gender]},"
        f"{int(member)},{name},{p:.6f},{int(came)},{amount:.2f}"
        for row, (who, gender, member, name, p, came, amount) in enumerate(
            zip(
                whole.contexts.customers,
                facts["gender"],
                facts["member"],
                names,
                whole.propensity,
                whole.converted,
                whole.revenue,
                strict=True,
            )
        )
    ]
    (folder / "log.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "short.csv").write_text("\n".join(lines[:300]) + "\n", encoding="utf-8")
    for name, text in (("catalogue.toml", CATALOGUE), ("rules.toml", RULES), ("mapping.toml", MAPPING)):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder(written, monkeypatch):
    monkeypatch.chdir(written)
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    return written


def test_the_surprise_comes_first_as_a_sentence(capsys, folder):
    """81 % of those who buy when offered mens are women, to whom the rules never give it."""
    ran = run(capsys, "audience", "log.csv", *FILES, *RULES_FILE)
    assert ran.code == 0, ran.err
    said = " ".join(ran.out.split())
    assert said.startswith(
        "1 surprise against today: ! campaign mens: 0% of those to whom the rules give it are gender f;"
    )
    assert "EUR more (+" in said
    assert "Searched: " in said
    assert max(map(len, ran.out.split("audiences;")[1].split("rules: the")[0].splitlines())) <= 80


def test_details_show_every_segment(capsys, folder):
    """The women's campaign is searched, and nothing in it looks promising."""
    words = ("audience", "log.csv", *FILES, *RULES_FILE)
    short, long = run(capsys, *words).out, run(capsys, *words, "--details").out
    assert "campaign womens" in long
    assert "campaign womens" not in short
    assert "--details shows the" in " ".join(short.split())
    assert "--details" not in long


def test_json_has_every_row_and_the_seed(capsys, folder):
    """The rows in order, with the intervals of the announced level."""
    ran = run(capsys, "audience", "log.csv", *FILES, *RULES_FILE, "--json", "--seed", 5)
    found = ran.json
    first = found["rows"][0]
    assert (first["option"], first["segment"], first["verdict"]) == ("mens", "gender f", "surprise")
    assert first["share"]["low"] < 0.81 < first["share"]["high"]
    assert (found["level"], found["seed"], found["surprises"], found["left_out"]) == (0.98, 5, 1, 0)
    assert found["search"]["facts"] == ["gender", "member"]


def test_csv_has_a_line_for_every_row(capsys, folder):
    """The same table as the dataframe's."""
    words = ("audience", "short.csv", *FILES, *RULES_FILE)
    head, *lines = run(capsys, *words, "--format", "csv").out.splitlines()
    assert head.startswith("dimension,option,facts,segment,population,assumed,share,")
    assert len(lines) == len(run(capsys, *words, "--json").json["rows"])


def test_a_database_says_the_same_as_its_file(capsys, folder):
    """The same decisions, whose customers a database has under other names: other halves, the same surprise."""
    if not (folder / "offers.db").exists():
        assert run(capsys, "import", "offers.db", "log.csv", *FILES).code == 0
    found = run(capsys, "audience", "offers.db", *RULES_FILE, "--json").json
    assert found["rows"][0]["verdict"] == "surprise"
    assert found["n"] == 12_000


def test_without_the_fact_there_is_no_surprise_and_it_says_what_could_have_been_found(capsys, folder):
    """Membership tells nothing about who responds."""
    said = " ".join(run(capsys, "audience", "log.csv", *FILES, *RULES_FILE, "--by", "member").out.split())
    assert said.startswith("No surprise found against today.")
    assert "would have been found in four of five such logs" in said


def test_logged_choices_and_even_others_can_be_asked_for(capsys, folder):
    """Of one dimension "even" changes nothing."""
    logged = ("audience", "short.csv", *FILES, "--baseline", "logged", "--json")
    plain, even = run(capsys, *logged).json, run(capsys, *logged, "--others", "even").json
    assert plain["baseline"] == "logged"
    for name in ("share", "gain"):
        one, two = ([row[name]["value"] for row in each["rows"]] for each in (plain, even))
        assert one == pytest.approx(two)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--baseline", "best"), '"best" is no policy'),
        (("--baseline", "everyone"), "everyone names many"),
        ((*RULES_FILE, "--by", "shoe"), 'there is no fact "shoe"'),
        ((*RULES_FILE, "--others", "odd"), "choose from baseline, even"),
        ((*RULES_FILE, "--level", "2"), "level is 2"),
        ((*RULES_FILE, "--reward-model", "trees"), 'there is no reward model "trees"'),
        ((*RULES_FILE, "--propensities", "guessed"), "choose logged or estimated"),
        ((), "Missing option '--baseline'"),
    ],
)
def test_bad_input_is_one_sentence(capsys, folder, words, sentence):
    """What was seen and what to do, with exit code 2."""
    ran = run(capsys, "audience", "short.csv", *FILES, *words)
    assert ran.code == 2
    assert sentence in ran.sentence
    assert ran.out == ""


def test_a_log_file_without_a_catalogue_is_refused(capsys, folder):
    """A file has none of its own."""
    ran = run(capsys, "audience", "log.csv", *RULES_FILE)
    assert ran.code == 2
    assert "give one with --catalogue" in ran.sentence


def test_the_names_on_the_command_line_are_those_of_the_library():
    """Kept apart so that help is shown without loading it."""
    assert OtherDimensions.__args__ == choices.OTHER_DIMENSIONS

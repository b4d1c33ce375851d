"""The command incrementality: numbers by hand, what a marketer reads, and bad input."""

import pytest

import bandit
from tests.cli.conftest import run
from tests.evaluate.incremental_campaign import campaign
from tests.evaluate.test_incrementality_log import LOG, catalogue_with, write


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny(folder):
    """The log whose sums are known by hand, as a database."""
    write(folder / "offers.db", catalogue_with(), LOG)
    return folder


def test_the_numbers_are_those_by_hand(capsys, tiny):
    """Rules: 1 of 3; holdout: 2 of 4; 8.10 of the holdout's purchases would have been given away in 4 decisions."""
    ran = run(capsys, "incrementality", "offers.db", "--json")
    assert ran.code == 0, ran.err
    (rules,) = ran.json["groups"]
    assert rules["measures"][0]["added"]["value"] == pytest.approx(1000 / 3 - 500)
    assert rules["spending"]["wasted"]["value"] == pytest.approx(2_025)
    assert (ran.json["look"], ran.json["per_decisions"], ran.json["control"]["name"]) == ("daily", 1000, "holdout")
    once = run(capsys, "incrementality", "offers.db", "--once", "--group", "rules", "--level", "0.9", "--json").json
    assert (once["look"], once["level"]) == ("once", 0.9)
    said = run(capsys, "incrementality", "offers.db").out
    assert said.startswith('? rules: cannot tell - there are only 3 customers in "rules"; collect more decisions')
    assert "by option" not in said
    other = run(capsys, "incrementality", "offers.db", "--event", "visit", "--json").json
    assert other["control"]["purchases"] == 0


def test_a_marketer_reads_what_came_anyway_and_what_was_wasted(capsys, folder):
    """The rules give 20 % to loyal customers, of whom a quarter buy anyway."""
    campaign(folder / "offers.db", bandit.Uniform, seed=1)
    ran = run(capsys, "incrementality", "offers.db", "--once")
    assert ran.code == 0, ran.err
    for words in (
        "per 1,000 decisions; intervals of 95% for one look; money in EUR",
        "cost of incentives per 1,000 decisions in EUR; wasted: on purchases that come anyway",
        "policy by option: per 1,000 decisions with it; wasted EUR per 1,000 decisions of all",
        "discount 20",
        "+ policy: of 1,000 decisions ",
        " would have come anyway; the ",
        "came through its offers.",
        "whether its offers added any cannot be told (",
        "went to purchases that would have come anyway and",
        "for each added purchase.",
        'Measured on 7,200 settled decisions of 1,200 customers, against "holdout", who got 0 · none · none.',
        "Contact cost counts as spent on a purchase that comes anyway where there is one",
    ):
        assert words in " ".join(ran.out.split())
    tables = [line for line in ran.out.splitlines() if line and line[0] in "┏┃┡│├└"]
    assert max(map(len, tables)) <= 100
    last = run(capsys, "incrementality", "offers.db", "--since", "2026-01-10T00:00:00Z", "--group", "rules").out
    assert "? rules, discount 10: cannot tell - there are only " in last


def test_labels_without_a_declaration_have_no_options(capsys, folder):
    plain = bandit.Catalogue.from_dict({"dimensions": [{"name": "channel", "options": [{"name": "mail"}]}]})
    log = [(f"n{row}", "new", True, 20 * (row % 2)) for row in range(40)]
    log += [(f"h{row}", "holdout", True, 20 * (row % 4 == 0)) for row in range(60)]
    catalogue = bandit.Catalogue.from_dict(plain.to_dict() | {"context": {"loyal": {"type": "boolean"}}})
    write(folder / "offers.db", catalogue, log)
    said = run(capsys, "incrementality", "offers.db").out
    assert "Its incentives cost nothing." in said
    assert "new: nothing is said of what it wasted, nor of its options: the catalogue declares no group" in said
    assert "was not checked: no shares are known (--shares)." in said
    shares = ("--shares", "new=0.4,holdout=0.6")
    assert "not checked" not in run(capsys, "incrementality", "offers.db", *shares).out
    off = run(capsys, "incrementality", "offers.db", "--shares", "new=0.9,holdout=0.1").out
    assert "? new: cannot tell - the groups do not have the intended sizes" in off
    assert "fatal: the groups do not have the intended sizes" in off


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("offers.db", "--baseline", "rules"), 'the group "rules" served 2 different offers'),
        (("offers.db", "--baseline", "control"), 'there is no baseline "control"; the groups are policy, rules'),
        (("offers.db", "--group", "new"), 'there is no group "new"'),
        (("offers.db", "--shares", "policy"), 'the shares "policy" cannot be read'),
        (("offers.db", "--since", "monday"), "is not an ISO 8601 time"),
        (("offers.db", "--since", "2031-01-01"), "there are no settled decisions of the groups to compare"),
        (("offers.db", "--level", "95"), "level is 95"),
        (("log.csv",), "incrementality needs a database"),
        (("nothing.db",), "there is no such database"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(capsys, tiny, options, words):
    ran = run(capsys, "incrementality", *options)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.sentence


def test_without_a_holdout_the_sentence_says_what_to_do(capsys, folder):
    groups = {"policy": 0.5, "random": 0.5}
    write(folder / "offers.db", catalogue_with(groups=groups), [("a", "random", True, 0), ("b", "policy", True, 0)])
    ran = run(capsys, "incrementality", "offers.db")
    assert ran.code == 2
    assert ran.sentence.endswith(
        "there is no holdout to say what would have been bought anyway; declare one in [groups], or name a group that "
        "gave everyone one cheap offer with --baseline"
    )

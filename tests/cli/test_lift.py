"""The command lift: groups of an import and of an engine, as tables and as JSON, its gate, and bad input."""

import pytest

from bandit.catalogue import Catalogue
from tests.cli.conftest import run
from tests.conftest import SPRING
from tests.evaluate.test_lift_log import LOG, OPEN, catalogue_with, write

MAPPING = (
    '[columns]\ncustomer = "who"\npropensity = "p"\ngroup = "arm"\n'
    '[offer]\ndiscount = { column = "discount" }\nchannel = "email"\ngift = "none"\n'
    '[[outcomes]]\nevent = "purchase"\nwhen = "bought"\n'
)
TOML = """
[objective]
kind = "conversion"
[[dimensions]]
name = "discount"
options = [{ name = "0" }, { name = "10", rate = 0.10 }]
[[dimensions]]
name = "channel"
options = [{ name = "email" }, { name = "sms" }]
[[dimensions]]
name = "gift"
options = [{ name = "none" }]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny(folder):
    """The log whose sums are known by hand, as a database."""
    write(folder / "offers.db", catalogue_with(), [*LOG[:-2], OPEN], close=[8])
    return folder


@pytest.fixture
def imported(folder, capsys):
    """An import of 400 customers in three groups: "new" has 60 buyers of 100, "old" 30 of 200, "none" 15 of 100."""
    lines = ["who,discount,p,arm,bought"]
    arms = {"new": (100, 60), "old": (200, 30), "none": (100, 15)}
    for arm, (n, bought) in arms.items():
        lines += [f"{arm}-{row},0,0.5,{arm},{int(row < bought)}" for row in range(n)]
    (folder / "log.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    (folder / "catalogue.toml").write_text(TOML, encoding="utf-8")
    files = ("--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
    ran = run(capsys, "import", "offers.db", "log.csv", *files)
    assert ran.code == 0, ran.err
    return folder


def test_the_differences_are_those_by_hand(capsys, tiny):
    """Per decision 30 / 4, 3 and 1; per customer 30 / 3, 3 and 1.5; one decision was closed by hand."""
    ran = run(capsys, "lift", "offers.db", "--json")
    assert ran.code == 0, ran.err
    found = {(row["group"], row["baseline"], row["unit"]): row["once"]["value"] for row in ran.json["rows"]}
    assert found["policy", "rules", "decision"] == pytest.approx(4.5)
    assert found["policy", "rules", "customer"] == pytest.approx(7.0)
    assert found["holdout", "rules", "decision"] == pytest.approx(-2.0)
    assert (ran.json["baseline"], ran.json["look"], ran.json["several"], ran.json["open"]) == ("rules", "daily", 0, 0)
    one = run(capsys, "lift", "offers.db", "--baseline", "holdout", "--group", "policy", "--per", "customer", "--json")
    assert [(row["group"], row["baseline"]) for row in one.json["rows"]] == [("policy", "holdout")] * 2
    assert one.json["rows"][0]["unit"] == "customer"


def test_groups_of_an_import_are_compared_in_words(capsys, imported):
    """0.60 - 0.15 = 0.45 more conversions of the group with most customers; the third group has the same share."""
    ran = run(capsys, "lift", "offers.db", "--shares", "new=0.25,old=0.5,none=0.25")
    assert ran.code == 0, ran.err
    for words in (
        'groups: probability of "purchase"; intervals of 95% for one look',
        "new minus old",
        "new minus none",
        "differences of means; intervals of 95% at every look",
        "The intervals hold at every look: the 2 with old all together, the others together with all 3.",
        "Compared on 400 settled decisions of 400 customers.",
        "The groups have the sizes that were meant (p = 1).",
        "+ new against old: better - it earns 0.450 more per decision than old (95% interval +",
        "= none against old: no difference found - it may earn anything from -",
    ):
        assert words in ran.out
    assert ran.out.startswith("+ new against old: better - ")
    unchecked = run(capsys, "lift", "offers.db")
    assert "was not checked: no shares are known (--shares)." in unchecked.out
    off = run(capsys, "lift", "offers.db", "--shares", "new=0.5,old=0.25,none=0.25")
    assert "fatal: the groups do not have the intended sizes" in off.out
    assert "better" not in off.out


def test_the_gate_carries_the_verdict(capsys, imported):
    """Of several groups the highest code; that of one group where only it is asked for."""
    gate = ("lift", "offers.db", "--gate", "--json")
    assert run(capsys, *gate).code == 4
    assert run(capsys, *gate, "--group", "new").code == 0
    assert run(capsys, *gate, "--group", "old", "--baseline", "new").code == 3
    assert run(capsys, *gate, "--group", "none").code == 4
    assert run(capsys, *gate, "--shares", "new=0.5,old=0.25,none=0.25").code == 5
    assert run(capsys, "lift", "offers.db", "--json").code == 0


def test_one_look_is_narrower_and_the_objective_can_be_another(capsys, imported):
    daily, once = (run(capsys, "lift", "offers.db", "--json", *more).json for more in ((), ("--once",)))
    row = daily["rows"][0]
    assert row["once"]["high"] - row["once"]["low"] < row["anytime"]["high"] - row["anytime"]["low"]
    assert (daily["look"], once["look"]) == ("daily", "once")
    assert "at every look" in row["reason"]
    assert "at every look" not in once["rows"][0]["reason"]
    said = run(capsys, "lift", "offers.db", "--once").out
    assert "The intervals hold for one look, on a day that was fixed beforehand: the 2 with old" in said
    pair = run(capsys, "lift", "offers.db", "--group", "new").out
    assert "The interval holds at every look." in pair
    revenue = run(capsys, "lift", "offers.db", "--objective", "revenue", "--window", "1d", "--json").json
    assert {each["reward"] for each in revenue["groups"]} == {0.0}
    other = run(capsys, "lift", "offers.db", "--event", "visit", "--json").json
    assert {each["earning"] for each in other["groups"]} == {0}


def test_weeks_and_segments_have_tables(capsys, tiny):
    ran = run(capsys, "lift", "offers.db", "--weeks", "--by", "gender")
    for words in ("by segment: per decision minus rules", "gender = f", "by week", "2026-01-05", "2026-01-12"):
        assert words in ran.out
    plain = run(capsys, "lift", "offers.db", "--weeks", "--by", "gender", "--json").json
    assert [part["name"] for part in plain["segments"]] == ["gender = f", "gender = m"]
    since = run(capsys, "lift", "offers.db", "--since", "2026-01-12T00:00:00Z", "--json").json
    assert sum(group["decisions"] for group in since["groups"]) == 4


def test_what_was_left_out_is_said(capsys, folder):
    """The customer in two groups, and a group without a share."""
    write(folder / "offers.db", catalogue_with(), LOG)
    ran = run(capsys, "lift", "offers.db", "--shares", "policy=0.5,rules=0.5")
    assert "1 customer was left out: seen in several groups." in ran.out
    assert '3 decisions were left out: no share is known of the group "holdout".' in ran.out
    assert "doubt: 1 of 5 customers (20%) were in more than one group" in ran.out


def test_the_groups_of_the_catalogue_need_no_options(capsys, folder):
    """Every customer once, in its own group; the declared shares are checked."""
    groups = {"policy": 0.5, "random": 0.5, "salt": "here"}
    catalogue = Catalogue.from_dict(SPRING | {"groups": groups})
    write(folder / "offers.db", catalogue, [(f"c{row}", None, 20 * (row % 3), 0, "f") for row in range(200)])
    plain = run(capsys, "lift", "offers.db", "--json").json
    assert plain["baseline"] == "random"
    assert plain["sample_ratio"]["expected"] == {"policy": 100.0, "random": 100.0}
    assert sum(group["customers"] for group in plain["groups"]) == 200
    refused = run(capsys, "lift", "offers.db", "--shares", "policy=0.5,random=0.5")
    assert refused.code == 2
    assert refused.sentence == "the catalogue declares the shares of its groups; leave out the shares given"


def test_the_output_says_by_which_way_groups_were_compared_and_why(capsys, folder):
    """Where policy and random are served alike, weights leave no variance; labels of the caller have no weights."""
    catalogue = Catalogue.from_dict(SPRING | {"groups": {"policy": 0.5, "random": 0.5, "salt": "here"}})
    write(folder / "offers.db", catalogue, [(f"c{row}", None, 20 * (row % 3), 0, "f") for row in range(200)])
    ran = run(capsys, "lift", "offers.db")
    assert "differences by trajectory weights" in ran.out
    assert "Compared by trajectory weights, with 0.00 times the variance of means: the probability of every" in ran.out
    assert ran.out.count("policy minus random") == 1
    means = run(capsys, "lift", "offers.db", "--weights", "means")
    assert "differences of means" in means.out
    assert "Compared by differences of means.\n" in means.out
    plain = run(capsys, "lift", "offers.db", "--json").json
    assert plain["weights"]["way"] == "trajectory"
    assert {row["method"] for row in plain["rows"]} == {"means", "balanced"}
    write(folder / "labels.db", catalogue_with(), LOG)
    said = run(capsys, "lift", "labels.db").out
    assert "Compared by differences of means, not by weights: the catalogue declares no groups, so what" in said
    refused = run(capsys, "lift", "labels.db", "--weights", "trajectory")
    assert refused.code == 2
    assert refused.sentence.startswith("trajectory weights cannot be computed: the catalogue declares no groups")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("offers.db", "--weights", "balanced"), 'there is no way "balanced"; choose from auto, trajectory, means'),
        (("offers.db", "--baseline", "control"), 'there is no baseline "control"; the groups are holdout, policy'),
        (("offers.db", "--group", "new"), 'there is no group "new"'),
        (("offers.db", "--group", "rules"), "only the baseline"),
        (("offers.db", "--per", "visit"), 'there is no unit "visit"; choose from decision, customer'),
        (("offers.db", "--shares", "policy"), 'the shares "policy" cannot be read'),
        (("offers.db", "--since", "monday"), "is not an ISO 8601 time"),
        (("offers.db", "--since", "2031-01-01"), "there are no settled decisions of the groups to compare"),
        (("offers.db", "--window", "9999d"), "8 are still open"),
        (("offers.db", "--by", "shoe"), "shoe"),
        (("offers.db", "--level", "95"), "level"),
        (("offers.db", "--objective", "clicks"), 'there is no objective "clicks"'),
        (("log.csv",), "lift needs a database"),
        (("nothing.db",), "there is no such database"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(capsys, tiny, options, words):
    ran = run(capsys, "lift", *options)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.sentence


def test_one_group_alone_is_refused(capsys, folder):
    write(folder / "offers.db", catalogue_with(), [LOG[0], LOG[2]])
    ran = run(capsys, "lift", "offers.db")
    assert ran.code == 2
    assert ran.sentence.endswith(
        'lift compares groups, and all 2 settled decisions are of the group "policy"; declare [groups] in the '
        "catalogue, or import a column of groups"
    )

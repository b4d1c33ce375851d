"""The command plan with groups, as a person types it and as a program reads it."""

from pathlib import Path

import numpy as np
import pytest

from bandit.analysis.group_plan import plan_groups
from bandit.analysis.group_timing import CustomerTraffic, GroupReward, LiftTarget
from tests.analysis.test_group_variance import log_of
from tests.cli.conftest import run
from tests.evaluate.test_lift_log import catalogue_with, write

CONVERSION = (
    '[objective]\nkind = "conversion"\nwindow = "7d"\n[[dimensions]]\nname = "channel"\n'
    'options = [{ name = "email" }, { name = "sms" }, { name = "none" }]\n[fallback]\nchannel = "none"\n'
)
DECLARED = CONVERSION + "[groups]\npolicy = 0.8\nrandom = 0.2\n"
RARE = ("--response", "0.1", "--lift", "0.02", "--decisions-per-week", "7000")


@pytest.fixture(autouse=True)
def _there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    Path("yes.toml").write_text(CONVERSION, encoding="utf-8")
    Path("groups.toml").write_text(DECLARED, encoding="utf-8")


def test_a_marketer_reads_when_it_is_told_and_what_it_costs(capsys):
    """Variances 0.12 x 0.88 / 0.8 and 0.1 x 0.9 / 0.2 sum to 0.582: (2.8016 / 0.02)^2 x 0.582 = 11,421 decisions.

    In 28,000 the sum may be 28,000 (0.02 / 2.8016)^2 = 1.427: 0.1056 / s + 0.09 / (1 - s) = 1.427 has s = 0.931.
    """
    said = run(capsys, "plan", "groups.toml", *RARE, "--once")
    assert said.code == 0, said.err
    sentence = (
        "With policy 80%, random 20% a lift of 2 percentage points a decision over random is told with 80% probability "
        "after 12 days by one look on that day"
    )
    assert sentence in " ".join(said.out.split())
    assert "11,421" in said.out
    assert "The cheapest shares that tell it within 4 weeks with one look are policy 93.1%, random 6.9%" in said.out
    # The comparison of designs is still there, for the same difference.
    assert "and what is needed until 2 percentage points is detected" in " ".join(said.out.split())


@pytest.mark.slow
def test_json_is_the_plan_of_the_library(capsys):
    plain = run(capsys, "plan", "yes.toml", *RARE, "--groups", "policy=0.9,rules=0.06,holdout=0.04", "--json").json
    low, high = GroupReward(0.09, 0.1, 0.1), GroupReward(0.12 * 0.88, 0.1, 0.12)
    shares = {"policy": 0.9, "rules": 0.06, "holdout": 0.04}
    by_library = plan_groups(
        shares,
        {"policy": high, "rules": low, "holdout": low},
        CustomerTraffic(7_000.0),
        LiftTarget(0.02, comparisons=2),
    ).to_dict()
    assert [row["kind"] for row in plain["groups"]["shares"]] == [row["kind"] for row in by_library["shares"]]
    for mine, theirs in zip(plain["groups"]["pairs"], by_library["pairs"], strict=True):
        assert mine["daily"] == pytest.approx(theirs["daily"])
        assert mine["decisions"] == pytest.approx(theirs["decisions"])
    assert plain["asked"]["design"] == "log"
    without = run(capsys, "plan", "yes.toml", "--response", "0.1", "--json").json
    assert "groups" not in without


def test_a_lift_in_per_cent_is_a_share_of_the_value(capsys):
    """20 % of a response of 0.1; without one, a tenth."""
    shares = ("--groups", "policy=0.8,rules=0.2", "--once", "--json")
    found = run(capsys, "plan", "yes.toml", "--response", "0.1", "--lift", "20%", *shares).json["groups"]
    assert found["lift"] == pytest.approx(0.02)
    found = run(capsys, "plan", "yes.toml", "--response", "0.1", *shares).json["groups"]
    assert found["lift"] == pytest.approx(0.01)


def test_deviations_customers_and_one_comparison_are_used(capsys):
    asked = ("plan", "yes.toml", *RARE, "--groups", "policy=0.8,rules=0.1,random=0.1", "--json")
    found = run(capsys, *asked, "--deviations", "policy=0.5", "--customers", "30000", "--policy-only").json["groups"]
    assert found["rewards"]["policy"]["variance"] == pytest.approx(0.25)
    assert found["rewards"]["rules"]["variance"] == pytest.approx(0.09)
    assert (found["traffic"]["customers"], found["comparisons"]) == (30_000.0, 1)
    assert run(capsys, *asked).json["groups"]["comparisons"] == 2


@pytest.mark.slow
def test_from_a_log_each_group_has_its_own_variance_and_the_traffic_is_that_of_the_log(capsys):
    write("offers.db", catalogue_with(), log_of(np.random.default_rng(6)))
    write_catalogue()
    asked = ("plan", "catalogue.toml", "--from", "offers.db", "--groups", "policy=0.5,rules=0.4,holdout=0.1")
    found = run(capsys, *asked, "--lift", "20%", "--json")
    assert found.code == 0, found.err
    groups = found.json["groups"]
    assert set(found.json) == {"groups"}
    assert groups["traffic"]["decisions_per_week"] == pytest.approx(2_400 / (15 / 7))
    assert groups["traffic"]["visits"] == 4.0
    assert groups["rewards"]["policy"]["variance"] != groups["rewards"]["rules"]["variance"]
    said = run(capsys, *asked, "--decisions-per-week", "50000")
    assert "Measured on 2,400 settled decisions of 600 customers in 2.1 weeks in offers.db" in said.out
    assert "fewer than 30 customers in holdout" in said.out
    assert "Assumed: 12,500 new customers a week with 4 decisions each" in said.out


def write_catalogue():
    """Write the catalogue of the log as a file."""
    Path("catalogue.toml").write_text(
        '[objective]\nkind = "revenue"\nwindow = "7d"\n[context]\n'
        'gender = { type = "categorical", values = ["f", "m"] }\n'
        'recency = { type = "numeric" }\nloyal = { type = "boolean" }\n'
        + "".join(
            f'[[dimensions]]\nname = "{each.name}"\noptions = ['
            + ", ".join(f'{{ name = "{option.name}" }}' for option in each.options)
            + "]\n"
            for each in catalogue_with().dimensions
        ),
        encoding="utf-8",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--groups", "policy=0.8,rules=0.1"), "the shares of the groups sum to 0.9; give shares that sum to 1"),
        (("--groups", "policy=0.8,control=0.2"), 'there is no group "control"; the groups are policy, rules, random'),
        (("--groups", "policy=0.8,rules=many"), "cannot be read"),
        (("--groups", "policy=1"), "the policy has all customers"),
        (("--groups", "rules=1"), 'no group "policy"'),
        (("--groups", "policy=0.8,rules=0.2", "--lift", "0"), "the lift to tell is 0"),
        (("--groups", "policy=0.8,rules=0.2", "--lift", "big"), 'the lift "big" cannot be read'),
        (("--groups", "policy=0.8,rules=0.2", "--lift", "1", "--difference", "1"), "the same quantity"),
        (("--groups", "policy=0.8,rules=0.2", "--against", "holdout"), "the other groups with a share are rules"),
        (("--groups", "policy=0.8,rules=0.2", "--deviations", "rules=-1"), 'deviation of "rules" is -1'),
        (("--groups", "policy=0.8,rules=0.2", "--deviations", "holdout=1"), 'there is no group "holdout"'),
        (("--groups", "policy=0.8,rules=0.2", "--deviations", "rules"), "the deviations"),
        (("--groups", "policy=0.8,rules=0.2", "--customers", "1"), "customers is 1"),
        (("--groups", "policy=0.8,rules=0.2", "--decisions-per-week", "0"), "decisions a week is 0"),
        (("--groups", "policy=0.8,rules=0.2", "--from", "none.db"), "no such database"),
        (("--lift", "0.1"), "the catalogue declares none"),
        (("--against", "rules"), "--against is about groups"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_sentence(capsys, arguments, said):
    refused = run(capsys, "plan", "yes.toml", *arguments)
    assert refused.code == 2
    assert said in refused.sentence
    assert refused.out == ""

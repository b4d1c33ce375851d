"""The command plan, as a person types it and as a program reads it."""

from pathlib import Path

import pytest

from bandit.analysis.design_variance import live_variance, logged_variance
from bandit.analysis.response_model import ResponseModel
from bandit.analysis.sample_size import decisions_for_difference, width
from bandit.evaluate import evaluate
from bandit.policies import ConstantOffer, SegmentRules
from bandit.store import Store, StoreLog
from tests.cli.conftest import imported_example, run

EXPECTED = ("--response", "0.1", "--basket", "50", "--basket-sd", "20")


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A directory with a catalogue, rules, and offers.db with 2,000 decisions."""
    directory = tmp_path_factory.mktemp("plan")
    with imported_example(directory, 2_000):
        Path("yes.toml").write_text(
            '[objective]\nkind = "conversion"\n[[dimensions]]\nname = "channel"\n'
            'options = [{ name = "email" }, { name = "sms" }, { name = "app" }]\n',
            encoding="utf-8",
        )
    return directory


@pytest.fixture(autouse=True)
def _there(example, monkeypatch):
    monkeypatch.chdir(example)
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)


def test_plan_says_in_plain_words_after_how_many_weeks(capsys):
    """Conversion at 0.1 has the variance 0.09; 3 offers, a random share of a tenth: 0.09 (30 + 1 / 0.9333) = 2.7964.

    (1.96 + 0.8416)^2 x 2.7964 / 0.01^2 = 219,489 decisions, 22 weeks of 10,000.
    """
    said = run(capsys, "plan", "yes.toml", "--response", "0.1", "--difference", "0.01")
    assert said.code == 0
    sentence = (
        "With 10,000 decisions a week and 10% exploration you can detect a difference of 1 percentage point after 22 "
        "weeks."
    )
    assert sentence in said.out
    assert "219,489" in said.out
    assert "live, 50% on the policy" in said.out


def test_plan_in_json_is_the_formula(capsys):
    plain = run(capsys, "plan", "yes.toml", "--response", "0.1", "--explore", "0.3", "--weeks", "2", "--json").json
    response = ResponseModel(0.1, 1.0, 0.0)
    asked = plain["asked"]
    assert (asked["design"], asked["share"]) == ("log", 0.3)
    variance = logged_variance(response, 3, 0.3)
    assert asked["variance"] == pytest.approx(variance)
    assert asked["width"] == pytest.approx(width(variance, 20_000))
    # The default goal is a tenth of what a decision is worth.
    assert plain["goal"]["size"] == pytest.approx(0.01)
    assert asked["decisions"] == decisions_for_difference(variance, 0.01)
    live = plain["rows"][-1]
    assert (live["design"], live["variance"]) == ("live", pytest.approx(live_variance(response)))
    shares = [row["share"] for row in plain["rows"][:-1]]
    assert shares == sorted(shares)


def test_plan_takes_money_from_the_catalogue_and_the_cost_of_chance_where_it_is_known(capsys):
    said = run(capsys, "plan", "catalogue.toml", *EXPECTED, "--uniform-value", "0.5", "--width", "0.5")
    assert said.code == 0
    assert "the interval of the difference is narrower than 0.50 EUR after" in said.out
    assert "Until then exploration costs" in said.out
    plain = run(capsys, "plan", "catalogue.toml", *EXPECTED, "--uniform-value", "0.5", "--width", "0.5", "--json").json
    assert plain["asked"]["cost"] == pytest.approx(0.1 * (plain["value"] - 0.5))
    without = run(capsys, "plan", "catalogue.toml", *EXPECTED, "--json").json
    assert without["asked"]["cost"] is None


def test_plan_from_a_pilot_scales_the_width_that_evaluate_finds(capsys):
    """Four times the pilot's decisions: half its width, up to Student's t and the shape of the interval."""
    names = ("--policy", "offer:discount=10,channel=email,gift=none", "--baseline", "rules:rules.toml")
    with Store.open("offers.db", read_only=True) as store:
        catalogue = store.catalogues.latest()[1]
        ten = ConstantOffer(catalogue, {"discount": "10", "channel": "email", "gift": "none"}, "ten")
        rules = SegmentRules.from_toml(catalogue, "rules.toml")
        judged = evaluate(StoreLog(store, catalogue), [ten], rules, estimators=("dr",))
    error = judged.row("ten").against_baseline("dr").standard_error
    week = ("--decisions-per-week", "8000", "--weeks", "1")
    said = run(capsys, "plan", "catalogue.toml", "--from", "offers.db", *names, *week)
    assert "Taken from 2,000 decisions in offers.db." in said.out
    assert "as in the pilot" in said.out
    plain = run(capsys, "plan", "catalogue.toml", "--from", "offers.db", *names, *week, "--json").json
    assert plain["asked"]["width"] == pytest.approx(2 * 1.959964 * error / 2)
    assert [row["design"] for row in plain["rows"]] == ["pilot", "live"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.toml",), "none.toml"),
        (("yes.toml", "--width", "1", "--difference", "1"), "two goals"),
        (("yes.toml", "--explore", "0"), "exploration is 0"),
        (("yes.toml", "--response", "1.5"), "response rate is 1.5"),
        (("yes.toml", "--level", "95"), "level is 95"),
        (("yes.toml", "--width", "-1"), "width is -1"),
        (("catalogue.toml", "--basket", "1"), "worth"),
        (("yes.toml", "--policy", "uniform"), "--from LOG.db"),
        (("catalogue.toml", "--from", "none.db", "--policy", "uniform"), "no such database"),
        (("catalogue.toml", "--from", "offers.db"), "--policy"),
        (("catalogue.toml", "--from", "offers.db", "--policy", "everyone"), "names several"),
        (("catalogue.toml", "--from", "offers.db", "--policy", "uniform", "--baseline", "uniform"), "baseline itself"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_sentence(capsys, arguments, said):
    refused = run(capsys, "plan", *arguments)
    assert refused.code == 2
    assert said in refused.sentence
    assert refused.out == ""

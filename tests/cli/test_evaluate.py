"""The command evaluate."""

import pytest

from tests.cli.conftest import FILES, run


def test_evaluate_compares_with_the_baseline_and_splits_for_what_learns(example, capsys):
    arguments = ("evaluate", "offers.db", "--policy", "rules:rules.toml", "--policy", "thompson")
    said = run(capsys, *arguments, "--baseline", "rules:rules.toml")
    assert said.code == 0
    for words in ("segment rules", "thompson sampling", "minus", "as logged", "split by customer"):
        assert words in said.out
    plain = run(capsys, *arguments, "--baseline", "rules:rules.toml", "--json").json
    assert [each["name"] for each in plain["policies"]] == ["segment rules", "thompson sampling"]
    assert plain["baseline"] == "segment rules"
    assert plain["split"] == 0.5
    assert plain["learned_on"] + plain["n"] == 2_000
    assert set(plain["policies"][0]["estimates"]) == {"dr", "snips"}


def test_the_baseline_can_be_named_as_its_row_is(example, capsys):
    said = run(capsys, "evaluate", "offers.db", "--policy", "rules:rules.toml", "--baseline", "segment rules", "--json")
    assert [each["name"] for each in said.json["policies"]] == ["segment rules"]
    assert said.json["baseline"] == "segment rules"


def test_evaluate_can_keep_to_the_decisions_of_one_policy(example, capsys):
    made = run(capsys, "decide", "offers.db", "c", "--policy", "uniform", "--decision-id", "one", "--json")
    assert made.code == 0
    run(capsys, "record", "offers.db", "one", "closed")
    said = run(capsys, "evaluate", "offers.db", "--policy", "uniform", "--written-by", "2", "--json")
    assert said.json["n"] == 1
    unknown = run(capsys, "evaluate", "offers.db", "--policy", "uniform", "--written-by", "9")
    assert unknown.code == 2
    assert "no policy 9" in unknown.sentence


def test_evaluate_says_better_or_worse_for_all_policies_together(example, capsys):
    said = run(capsys, "evaluate", "offers.db", "--policy", "everyone", "--baseline", "logged", "--json")
    assert set(said.json["verdicts"]) == {each["name"] for each in said.json["policies"]}


def test_evaluate_judges_on_everything_where_nothing_learns(example, capsys):
    plain = run(capsys, "evaluate", "offers.db", "--policy", "everyone", "--baseline", "logged", "--json").json
    assert (plain["n"], plain["learned_on"], plain["split"]) == (2_000, 0, None)
    assert len(plain["policies"]) == 10


def test_evaluate_takes_another_model_of_rewards(example, capsys):
    """The doubly robust value moves a little, the weights of the log not at all."""
    arguments = ("evaluate", "offers.db", "--policy", "uniform", "--estimators", "dr,ips", "--json")
    plain, ridge = (run(capsys, *arguments, *more).json for more in ((), ("--reward-model", "ridge")))
    other = run(capsys, *arguments, "--reward-model", "vw").json
    assert ridge == plain
    one, two = (each["policies"][0]["estimates"] for each in (plain, other))
    assert two["ips"] == one["ips"]
    assert two["dr"]["value"] != one["dr"]["value"]
    assert two["dr"]["low"] < one["dr"]["value"] < two["dr"]["high"]
    refused = run(capsys, *arguments, "--reward-model", "forest")
    assert refused.code == 2
    assert "choose from ridge, vw" in refused.sentence


def test_evaluate_for_another_objective(example, capsys):
    """The mean of the log under "conversion" is its share of purchases."""
    bought = [line.split(",")[10] for line in (example / "log.csv").read_text(encoding="utf-8").splitlines()[1:]]
    said = run(capsys, "evaluate", "offers.db", "--policy", "uniform", "--objective", "conversion", "--json")
    assert said.json["realised"]["value"] == pytest.approx(bought.count("1") / 2_000)
    none = run(capsys, "evaluate", "offers.db", "--policy", "uniform", "--event", "visit", "--window", "1h", "--json")
    assert none.json["realised"]["value"] <= 0


def test_evaluate_shows_every_estimator_when_asked(example, capsys):
    said = run(capsys, "evaluate", "offers.db", "--policy", "uniform", "--baseline", "logged", "--all-estimators")
    assert said.code == 0
    for name in ("ips", "snips", "dm", "dr", "sndr", "switch-dr", "dr-os"):
        assert name in said.out


def test_evaluate_says_cannot_tell_instead_of_a_number(example, capsys):
    """30 rows of the log hardly ever show one given offer."""
    few = (example / "log.csv").read_text(encoding="utf-8").splitlines(keepends=True)[:31]
    (example / "few.csv").write_text("".join(few), encoding="utf-8")
    arguments = ("import", "few.db", "few.csv", *FILES)
    assert run(capsys, *arguments).code == 0
    said = run(capsys, "evaluate", "few.db", "--policy", "offer:discount=0,channel=sms,gift=none")
    assert "cannot tell" in said.out.split("as logged")[0]


def test_the_same_seed_gives_the_same_answer(example, capsys):
    arguments = ("evaluate", "offers.db", "--policy", "thompson", "--seed", "3", "--json")
    assert run(capsys, *arguments).out == run(capsys, *arguments).out

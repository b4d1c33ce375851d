"""Every command, as a person types it, and as a program reads it."""

import json
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import bandit
from bandit.cli import app, main
from bandit.cli.policies import parse_policies, parse_policy
from bandit.domain import MICROSECONDS
from bandit.errors import InputError
from bandit.store import Store
from simulator.simulation.command import simulate_campaign
from tests.cli.tools import run
from tests.conftest import SPRING

COMMANDS = (
    "init",
    "simulate",
    "import",
    "evaluate",
    "learn-offline",
    "plan",
    "export",
    "replay",
    "decide",
    "record",
    "learn",
    "fit",
    "half-life",
    "exploration",
    "verify",
    "rebuild",
    "backup",
    "erase",
    "retain",
    "export-customer",
    "doctor",
)
FACTS = ("--fact", "gender=f", "--fact", "recency=2.5", "--fact", "loyal=true")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A directory with the example and its log imported, and one learner that has learned it."""
    directory = tmp_path_factory.mktemp("example")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.delenv("OFFER_BANDIT_KEY", raising=False)
        assert main(["init"]) == 0
        head = Path("log.csv").read_text(encoding="utf-8").splitlines(keepends=True)[:2_001]
        Path("log.csv").write_text("".join(head), encoding="utf-8")
        arguments = ["import", "offers.db", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml"]
        assert main(arguments) == 0
        assert main(["learn", "offers.db", "--policy", "thompson"]) == 0
    return directory


@pytest.fixture
def example(prepared, tmp_path, monkeypatch):
    """A copy of it for one test, which is also the working directory."""
    shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)
    return tmp_path / "here"


def test_the_commands_that_init_prints_work_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = run(capsys, "init", "my example")
    assert said.code == 0
    commands = [line.strip() for line in said.out.splitlines() if line.startswith("  ")]
    change, *commands = commands
    assert shlex.split(change) == ["cd", "my example"]
    monkeypatch.chdir(tmp_path / "my example")
    assert len(commands) == 6
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "offer-bandit"
        assert run(capsys, *arguments).code == 0, command


def test_init_overwrites_only_when_forced(example, capsys):
    (example / "rules.toml").write_text("mine", encoding="utf-8")
    refused = run(capsys, "init")
    assert refused.code == 2
    assert "--force" in refused.sentence
    assert (example / "rules.toml").read_text(encoding="utf-8") == "mine"
    assert run(capsys, "init", "--force", "--json").json["files"][-1] == "log.csv"
    assert (example / "rules.toml").read_text(encoding="utf-8") != "mine"


def test_init_writes_another_log_for_another_seed_and_the_same_for_the_same(tmp_path, capsys):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(capsys, "init", tmp_path / name, "--seed", seed).code == 0
    log = {name: (tmp_path / name / "log.csv").read_bytes() for name in "abc"}
    assert log["a"] == log["b"] != log["c"]


def test_import_says_what_became_of_the_rows(example, capsys):
    text = (example / "log.csv").read_text(encoding="utf-8").splitlines(keepends=True)[:101]
    text[50] = text[50].replace(",customer-", ",,customer-")
    (example / "part.csv").write_text("".join(text), encoding="utf-8")
    arguments = ("import", "other.db", "part.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
    said = run(capsys, *arguments)
    assert said.code == 0
    assert "wrong number of fields" in said.out
    assert "customers are stored in the clear" in said.err
    again = run(capsys, *arguments, "--json")
    assert again.json == {
        "n_rows": 100,
        "n_imported": 0,
        "n_repeated": 99,
        "n_refused": 1,
        "by_reason": {"wrong number of fields": 1},
        "refused": [{"line": 51, "reason": "it has 13 fields where the header has 12"}],
    }


def test_import_takes_the_catalogue_that_the_database_knows(example, capsys):
    said = run(capsys, "import", "offers.db", "log.csv", "--mapping", "mapping.toml", "--json")
    assert (said.json["n_imported"], said.json["n_repeated"]) == (0, 2_000)


def test_a_key_in_the_environment_keeps_customers_hashed(example, capsys, monkeypatch):
    monkeypatch.setenv("OFFER_BANDIT_KEY", "secret")
    arguments = ("import", "keyed.db", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
    said = run(capsys, *arguments)
    assert said.code == 0
    assert said.err == ""
    with Store.open("keyed.db", customer_key=b"secret") as store:
        assert not any(str(who).startswith("customer") for who in store.decisions.page("purchase", 1).customer)
    monkeypatch.setenv("OFFER_BANDIT_KEY", "another")
    assert run(capsys, "verify", "keyed.db").code == 2


def test_evaluate_compares_with_the_baseline_and_splits_for_what_learns(example, capsys):
    arguments = ("evaluate", "offers.db", "--policy", "rules:rules.toml", "--policy", "thompson")
    said = run(capsys, *arguments, "--baseline", "rules:rules.toml")
    assert said.code == 0
    for words in ("segment rules", "thompson sampling", "minus segment rules", "as logged", "split by customer"):
        assert words in said.out
    plain = run(capsys, *arguments, "--baseline", "rules:rules.toml", "--json").json
    assert [each["name"] for each in plain["policies"]] == ["segment rules", "thompson sampling"]
    assert plain["baseline"] == "segment rules"
    assert plain["split"] == 0.5
    assert plain["learned_on"] + plain["n"] == 2_000
    assert set(plain["policies"][0]["estimates"]) == {"dr", "snips"}


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
    arguments = ("import", "few.db", "few.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
    assert run(capsys, *arguments).code == 0
    said = run(capsys, "evaluate", "few.db", "--policy", "offer:discount=0,channel=sms,gift=none")
    assert "cannot tell" in said.out.split("as logged")[0]


def test_the_same_seed_gives_the_same_answer(example, capsys):
    arguments = ("evaluate", "offers.db", "--policy", "thompson", "--seed", "3", "--json")
    assert run(capsys, *arguments).out == run(capsys, *arguments).out


def test_replay_runs_what_learns_through_the_log(example, capsys):
    arguments = ("replay", "offers.db", "--policy", "thompson", "--policy", "uniform")
    said = run(capsys, *arguments)
    assert said.code == 0
    assert "thompson sampling" in said.out
    plain = run(capsys, *arguments, "--json").json
    assert [each["name"] for each in plain["replays"]] == ["thompson sampling", "uniform"]
    assert 0 < plain["replays"][0]["accepted"] < 2_000


def test_decide_logs_what_it_prints(example, capsys):
    plain = run(capsys, "decide", "offers.db", "customer-1", *FACTS, "--json").json
    assert plain["policy"] == "thompson sampling"
    assert plain["top"][0]["probability"] >= plain["top"][1]["probability"]
    assert isinstance(plain["top"][0]["predicted_value"], float)
    with Store.open("offers.db") as store:
        stored = store.decisions.one(plain["decision_id"], "purchase", 1)
    assert stored.propensity[0] == plain["propensity"]
    assert json.loads(stored.context[0]) == {"gender": "f", "recency": 2.5, "loyal": True}


def test_decide_says_what_the_rules_removed(example, capsys):
    said = run(capsys, "decide", "offers.db", "customer-1", "--context", '{"loyal": false}')
    assert said.code == 0
    assert "the tote is for loyal customers" in said.out


def test_decide_is_reproducible_by_seed_and_id(example, capsys):
    arguments = ("decide", "offers.db", "customer-1", *FACTS, "--seed", "7", "--decision-id", "same", "--json")
    first = run(capsys, *arguments).json
    assert run(capsys, *arguments).json["propensity"] == first["propensity"]
    shutil.copy("offers.db", "copy.db")
    assert run(capsys, "decide", "copy.db", *arguments[2:]).json["offer"] == first["offer"]


def test_decide_starts_a_new_database_with_a_catalogue_and_a_policy(example, capsys):
    arguments = ("--catalogue", "catalogue.toml", "--policy", "rules:rules.toml", "--json")
    plain = run(capsys, "decide", "new.db", "anna", *arguments).json
    assert plain["offer"] == {"discount": "10", "channel": "email", "gift": "none"}
    assert plain["propensity"] == 1.0
    assert plain["top"][0]["predicted_value"] is None


def test_record_is_idempotent_and_can_correct(example, capsys):
    assert run(capsys, "decide", "offers.db", "anna", "--decision-id", "mine").code == 0
    recorded = ("record", "offers.db", "mine", "purchase", "--json")
    at = ("--time", "2027-01-31T18:00:00+01:00")
    assert run(capsys, *recorded, "--revenue", "52", *at).json == {
        "n_new": 1,
        "n_repeated": 0,
        "n_corrected": 0,
        "n_spooled": 0,
    }
    assert run(capsys, *recorded, "--revenue", "52").json["n_repeated"] == 1
    refused = run(capsys, *recorded, "--revenue", "50")
    assert refused.code == 2
    assert "--correct" in refused.sentence
    assert run(capsys, *recorded, "--revenue", "50", "--correct").json["n_corrected"] == 1
    assert "recorded" in run(capsys, "record", "offers.db", "mine", "closed").out
    with Store.open("offers.db") as store:
        events = store.decisions.events_of("mine")
    assert events.revenue[events.current].tolist()[:1] == [50.0]
    assert events.time.tolist()[0] == 1_801_414_800 * MICROSECONDS


def test_learn_takes_up_where_it_stood(example, capsys):
    said = run(capsys, "learn", "offers.db", "--json")
    assert said.json == {
        "n": 0,
        "n_restated": 0,
        "n_skipped": 0,
        "step": 1,
        "learner": True,
        "policy": "thompson sampling",
        "policy_id": 1,
    }
    run(capsys, "decide", "offers.db", "anna", "--decision-id", "mine")
    run(capsys, "record", "offers.db", "mine", "purchase", "--revenue", "52")
    assert run(capsys, "learn", "offers.db", "--policy-id", "1", "--json").json["n"] == 1
    assert "learns nothing" in run(capsys, "learn", "offers.db", "--policy", "uniform").out


def test_verify_finds_a_clean_log_clean_and_a_changed_one_not(example, capsys):
    assert run(capsys, "decide", "offers.db", "anna", *FACTS).code == 0
    clean = run(capsys, "verify", "offers.db", "--json")
    assert clean.code == 0
    assert clean.json == {"ok": True, "n_decisions": 2_001, "n_recomputed": 1, "problems": [], "notes": []}
    assert "No problem found" in run(capsys, "verify", "offers.db").out
    data = bytearray((example / "offers.db").read_bytes())
    data[8_192:9_000] = bytes(808)
    (example / "offers.db").write_bytes(bytes(data))
    broken = run(capsys, "verify", "offers.db")
    assert broken.code == 2
    assert broken.out + broken.err
    assert "Traceback" not in broken.out + broken.err


def test_doctor_describes_the_installation_and_a_database(example, capsys):
    alone = run(capsys, "doctor", "--json")
    assert alone.code == 0
    assert alone.json["installation"]["offer-bandit"] == bandit.__version__
    plain = run(capsys, "doctor", "offers.db", "--json").json
    assert plain["ok"] is True
    assert plain["database"]["decisions"] == 2_000
    assert plain["left to learn"] == {"policy 1 (thompson)": "outcomes: 0"}
    assert any("in the clear" in each for each in plain["notes"])
    assert "in the clear" in run(capsys, "doctor", "offers.db").out


def test_doctor_finds_the_security_linter_of_the_same_name(example, capsys, monkeypatch):
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "1.8.0" if name == "bandit" else version(name))
    said = run(capsys, "doctor", "--json")
    assert said.code == 2
    assert "pip uninstall bandit" in said.json["problems"][0]


class Found:
    """An entry point that is there."""

    @staticmethod
    def load():
        return simulate_campaign


def test_a_simulated_campaign_is_imported_as_it_stands(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [Found])
    out = tmp_path / "campaign"
    arguments = ("simulate", out, "--scenario", "tiny", "--customers", 50, "--decisions", 300, "--seed", 3)
    plain = run(capsys, *arguments, "--json")
    assert plain.code == 0
    assert plain.json["decisions"] == 300
    monkeypatch.chdir(out)
    again = run(capsys, *arguments)
    assert again.code == 2
    assert "already" in again.sentence
    imported = ("import", "o.db", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml", "--json")
    assert run(capsys, *imported).json["n_imported"] == 300
    said = run(capsys, "evaluate", "o.db", "--policy", "rules:rules.toml", "--baseline", "logged", "--json")
    assert said.json["policies"][0]["max_weight"] == pytest.approx(1.0)


def test_simulate_without_the_simulator_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [])
    said = run(capsys, "simulate", tmp_path / "campaign")
    assert said.code == 2
    assert "not installed" in said.sentence


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_with_an_example(command, capsys):
    said = run(capsys, command, "--help")
    assert said.code == 0
    assert f"offer-bandit {command} " in said.out.split("Example:")[1]
    assert "--json" in said.out


def test_every_command_is_there_and_help_lists_them(capsys):
    names = {command.name for command in app.registered_commands}
    assert names == set(COMMANDS)
    said = run(capsys)
    assert said.code == 0
    assert all(name in said.out for name in COMMANDS)
    assert run(capsys, "--version").out == f"offer-bandit {bandit.__version__}\n"


def test_our_own_fault_is_a_sentence_and_a_traceback_only_when_asked(example, capsys, monkeypatch):
    def fails(*_, **__):
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr("bandit.evaluate.evaluate", fails)
    said = run(capsys, "evaluate", "offers.db", "--policy", "uniform")
    assert said.code == 1
    assert "ZeroDivisionError: one two" in said.sentence
    assert "--debug" in said.sentence
    assert "Traceback" not in said.err
    assert "Traceback" in run(capsys, "evaluate", "offers.db", "--policy", "uniform", "--debug").err


def test_an_interruption_ends_with_its_own_code(example, capsys, monkeypatch):
    def stops(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bandit.evaluate.evaluate", stops)
    assert run(capsys, "evaluate", "offers.db", "--policy", "uniform").code == 130


def test_progress_is_shown_on_a_terminal_only(example, capsys, monkeypatch):
    arguments = ("evaluate", "offers.db", "--policy", "uniform", "--json")
    assert run(capsys, *arguments).err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("rich.console.Console.is_terminal", property(lambda _: True))
    said = run(capsys, *arguments)
    assert said.json["n"] == 2_000
    assert sys.stdout is not sys.stderr


def test_names_of_policies_are_told_apart():
    catalogue = bandit.Catalogue.from_dict(SPRING)
    offer = 'offer:{"discount": "10", "channel": "sms", "gift": "none"}'
    same = "offer:discount=10, channel=sms, gift=none"
    named, base = parse_policies(catalogue, ["vw", "vw:--cb_type dm --epsilon 0.1", offer, "vw"], same)
    assert list(named) == [
        "vowpal wabbit",
        "vowpal wabbit (vw:--cb_type dm --epsilon 0.1)",
        "everyone: 10 · sms · none",
    ]
    assert base == "everyone: 10 · sms · none"
    with pytest.raises(InputError, match="everyone names many"):
        parse_policies(catalogue, ["uniform"], "everyone")
    with pytest.raises(InputError, match="couples discount and gift"):
        parse_policies(catalogue, ["vw-slates"])
    free = bandit.Catalogue.from_dict({**SPRING, "rules": []})
    named = parse_policies(free, ["vw-slates", "vw-slates:--epsilon 0.1"])[0]
    assert [policy.spec()["args"] for policy in named.values()][1] == "--epsilon 0.1"


def test_the_sample_draws_only_eligible_offers_with_their_propensities(prepared):
    """Every row was imported, so no rule removes its offer; weights of the logging policy average to 1."""
    with Store.open(prepared / "offers.db", read_only=True) as store:
        columns = store.decisions.page("purchase", 1)
    assert len(columns) == 2_000
    assert np.unique(columns.propensity.round(6)).size <= 6


def test_settings_of_thompson_sampling_can_be_written_with_its_name(catalogue):
    policy = parse_policy(catalogue, "thompson:half_life=30d,width=0.25,personal=false")
    assert policy.spec() == bandit.ThompsonSampling(catalogue, half_life="30d", width=0.25, personal=False).spec()
    for text, words in (
        ("thompson:speed=3", "speed"),
        ("thompson:width=wide", "width"),
        ("thompson:half_life=soon", "half_life"),
    ):
        with pytest.raises(InputError, match=words):
            parse_policy(catalogue, text)

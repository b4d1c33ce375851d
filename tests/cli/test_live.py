"""The commands decide, record and learn."""

import json
import shutil

from bandit.domain import MICROSECONDS
from bandit.store import Store
from tests.cli.conftest import FACTS, run


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

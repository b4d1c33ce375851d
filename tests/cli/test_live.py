"""The commands decide, record and learn."""

import json
import shutil

import tomli_w

from bandit.domain import MICROSECONDS
from bandit.rollout import RolloutControl
from bandit.store import Store
from bandit.store.spool.file import Spool
from bandit.store.spool.records import spooled_decisions
from tests.cli.conftest import FACTS, run
from tests.conftest import SPRING
from tests.engine.test_rollout import with_rollout
from tests.store.rows import decisions


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


def test_an_event_of_a_decision_that_waits_in_a_spool_is_recorded(example, capsys):
    """The spool belongs to a process that goes on, and is left to it; the decision is written once."""
    with Store.open("offers.db") as store:
        spool = Spool(store.path, sync=False)
        rows = decisions(1, store.catalogues.get(1).n_offers, ["waits"], customers=["anna"])
        spool.append(spooled_decisions(rows, ["anna"], store.customers.check))
        before = store.counts().decisions
    receipt = run(capsys, "record", "offers.db", "waits", "purchase", "--json").json
    assert receipt["n_new"] == 1
    with Store.open("offers.db") as store:
        assert store.counts().decisions == before + 1
    assert len(spool) == 1
    spool.release()
    assert run(capsys, "record", "offers.db", "in no spool", "purchase").code == 2


def test_record_is_idempotent_and_can_correct(example, capsys):
    decided = ("--time", "2026-01-01T12:00:00+01:00")
    assert run(capsys, "decide", "offers.db", "anna", "--decision-id", "mine", *decided).code == 0
    recorded = ("record", "offers.db", "mine", "purchase", "--json")
    at = ("--time", "2026-01-31T18:00:00+01:00")
    receipt = run(capsys, *recorded, "--revenue", "52", *at).json
    assert [note["fault"] for note in receipt.pop("notes")] == ["late"]
    assert receipt == {"n_new": 1, "n_repeated": 0, "n_corrected": 0, "n_spooled": 0}
    assert run(capsys, *recorded, "--revenue", "52").json["n_repeated"] == 1
    refused = run(capsys, *recorded, "--revenue", "50")
    assert refused.code == 2
    assert "--correct" in refused.sentence
    assert run(capsys, *recorded, "--revenue", "50", "--correct").json["n_corrected"] == 1
    assert "recorded" in run(capsys, "record", "offers.db", "mine", "closed").out
    with Store.open("offers.db") as store:
        events = store.decisions.events_of("mine")
    assert events.revenue[events.current].tolist()[:1] == [50.0]
    assert events.time.tolist()[0] == 1_769_878_800 * MICROSECONDS


def test_learn_takes_up_where_it_stood(example, capsys):
    said = run(capsys, "learn", "offers.db", "--json")
    assert said.json == {
        "n": 0,
        "n_restated": 0,
        "n_skipped": 0,
        "step": 1,
        "learner": True,
        "n_uncounted": 0,
        "n_set_aside": 0,
        "policy": "thompson sampling",
        "policy_id": 1,
    }
    run(capsys, "decide", "offers.db", "anna", "--decision-id", "mine")
    run(capsys, "record", "offers.db", "mine", "purchase", "--revenue", "52")
    assert run(capsys, "learn", "offers.db", "--policy-id", "1", "--json").json["n"] == 1
    assert "learns nothing" in run(capsys, "learn", "offers.db", "--policy", "uniform").out


STICKY = """
name = "sticky"
[sticky]
for = "3d"
until = ["purchase"]
[objective]
activation = "shown"
[[dimensions]]
name = "gift"
options = [{ name = "none" }, { name = "tote" }]
"""


def test_decide_says_from_which_decision_an_offer_is_held_and_record_takes_the_new_id(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    (tmp_path / "catalogue.toml").write_text(STICKY, encoding="utf-8")
    new = ("--catalogue", "catalogue.toml", "--policy", "uniform", "--decision-id", "mail", "--json")
    first = run(capsys, "decide", "s.db", "anna", *new).json
    assert first["held_from"] is None
    again = run(capsys, "decide", "s.db", "anna", "--decision-id", "app")
    assert "held from decision" in again.out
    assert run(capsys, "decide", "s.db", "anna", "--decision-id", "app", "--json").json["held_from"] == "mail"
    assert run(capsys, "record", "s.db", "app", "shown").out == 'The event "shown" of the decision "app": recorded.\n'
    assert run(capsys, "record", "s.db", "app", "shown", "--json").json["n_repeated"] == 1
    with Store.open("s.db", customer_key=b"a key for our tests") as store:
        assert store.decisions.events_of("mail").event_id.tolist() == ["shown@app"]
    assert run(capsys, "verify", "s.db").code == 0


def test_commands_count_the_decisions_that_were_never_shown(tmp_path, monkeypatch, capsys):
    """Decided in 2024: "mail" was shown and "app" never was; a log of nothing that was shown cannot be used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    (tmp_path / "catalogue.toml").write_text(STICKY, encoding="utf-8")
    past = ("--time", "2024-01-01T00:00:00Z")
    new = ("--catalogue", "catalogue.toml", "--policy", "uniform", "--decision-id")
    run(capsys, "decide", "s.db", "anna", *new, "mail", *past)
    assert 'the event "shown" never came' in run(capsys, "evaluate", "s.db", "--policy", "uniform").sentence
    run(capsys, "decide", "s.db", "bert", "--decision-id", "app", *past)
    run(capsys, "record", "s.db", "mail", "shown", *past)
    said = run(capsys, "evaluate", "s.db", "--policy", "uniform", "--json").json
    assert (said["left_out"], said["open"], said["not_activated"]) == (0, 0, 1)
    assert run(capsys, "export", "s.db", "out.csv", "--json").json["not_activated"] == 1
    again = run(capsys, "export", "s.db", "more.csv").out
    assert '1 decision was left out: the event "shown" never came.' in again.replace("\n", " ")


def test_decide_says_what_served_the_customer_under_a_roll_out(tmp_path, monkeypatch, capsys):
    """All by the fallback once the policy is killed, with propensity 1."""
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "catalogue.toml").write_text(tomli_w.dumps(with_rollout(SPRING).to_dict()))
    new = ("decide", "offers.db", "anna", "--catalogue", "catalogue.toml", "--policy", "uniform")
    assert run(capsys, *new, "--json").json["arm"] in {"rules", "policy"}
    with Store.open(tmp_path / "offers.db", customer_key=b"a key for our tests") as store:
        RolloutControl(store, store.catalogues.latest()[1]).kill(author="Ann")
    killed = run(capsys, "decide", "offers.db", "anna")
    assert killed.code == 0
    assert "served by" in killed.out
    assert "fallback" in killed.out

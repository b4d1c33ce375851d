"""The command guardrails: its numbers, JSON, gate and bad input."""

import pytest

import bandit
from bandit.store import Store
from tests.cli.conftest import run
from tests.conftest import SPRING
from tests.store.rows import HOUR, decisions, events

GUARDRAILS = [
    {"event": "unsubscribe", "at_most": 0.1},
    {"event": "complaint", "at_most": 0.1, "action": "warn"},
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """100 decisions, one a second from 1970 on: 30 unsubscribed, 2 complained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)
    with Store.open("offers.db", durability="process") as store:
        number = store.catalogues.register(bandit.Catalogue.from_dict(SPRING | {"guardrails": GUARDRAILS}))
        policy = store.catalogues.register_policy(number, {"kind": "uniform"})
        ids = [f"d{row}" for row in range(100)]
        store.decision_writer.append(decisions(number, 10, ids, policy_id=policy))
        store.events.append(events(ids[:30], "unsubscribe", time=HOUR))
        store.events.append(events(ids[:2], "complaint", time=HOUR))
    return tmp_path


def test_it_shows_a_table_and_a_sentence_each(capsys, folder):
    ran = run(capsys, "guardrails", "offers.db")
    assert ran.code == 0
    for words in (
        "guardrails: the bounds hold at every look",
        '"unsubscribe" at most 0.1 is broken: 30 of 100 decisions had it (0.3); the rate is at least 0.1',
        '"complaint" at most 0.1 holds: 2 of 100 decisions had it (0.02); the rate is at least 0',
        "A broken guardrail stops the policy where an engine runs; it starts again only by hand.",
    ):
        assert words in ran.out


def test_the_json_has_every_number(capsys, folder):
    plain = run(capsys, "guardrails", "offers.db", "--json").json
    assert plain["broken"] is True
    first, second = plain["guardrails"]
    assert (first["guardrail"], first["event"], first["action"]) == (
        '"unsubscribe" at most 0.1',
        "unsubscribe",
        "stop",
    )
    assert (first["events"], first["decisions"], first["rate"], first["bound"]) == (30, 100, 0.3, 0.1)
    assert 0.1 < first["low"] < 0.3 < first["high"]
    assert (first["broken"], second["broken"], second["verdict"]) == (True, False, "holds")


def test_the_gate_is_3_where_one_is_broken(capsys, folder):
    """All 100 decisions; then the last ten only, of which none has an event; then from a restart by hand on."""
    assert run(capsys, "guardrails", "offers.db", "--gate").code == 3
    later = run(capsys, "guardrails", "offers.db", "--gate", "--since", "1970-01-01T00:01:30Z", "--json")
    assert later.code == 0
    assert [each["decisions"] for each in later.json["guardrails"]] == [10, 10]
    with Store.open("offers.db", durability="process") as store:
        store.rollout_changes.append(95_000_000, "anna", "resume", "", "{}")
    again = run(capsys, "guardrails", "offers.db", "--gate", "--json")
    assert again.code == 0
    assert [each["decisions"] for each in again.json["guardrails"]] == [5, 5]
    assert again.json["guardrails"][0]["since"] == 95_000_000


def test_it_only_reads(capsys, folder):
    before = (folder / "offers.db").read_bytes()
    assert run(capsys, "guardrails", "offers.db").code == 0
    assert (folder / "offers.db").read_bytes() == before


def test_bad_input_is_refused_in_one_sentence(capsys, folder):
    (folder / "other.toml").write_text('[[dimensions]]\nname = "d"\noptions = [{ name = "0" }]\n')
    for options, words in (
        (("nothing.db",), "there is no such database"),
        (("offers.db", "--since", "monday"), "is not an ISO 8601 time"),
        (("offers.db", "--catalogue", "other.toml"), "the catalogue declares no guardrails; add [[guardrails]]"),
    ):
        ran = run(capsys, "guardrails", *options)
        assert (ran.code, ran.out) == (2, "")
        assert words in ran.sentence

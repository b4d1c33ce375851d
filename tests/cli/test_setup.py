"""The commands init, simulate and import."""

import shlex
from importlib import metadata

import numpy as np
import pytest

from bandit.store import Store
from simulator.simulation.command import simulate_campaign
from tests.cli.conftest import FILES, run


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


def test_the_sample_draws_only_eligible_offers_with_their_propensities(prepared):
    """Every row was imported, so no rule removes its offer; weights of the logging policy average to 1."""
    with Store.open(prepared / "offers.db", read_only=True) as store:
        columns = store.decisions.page("purchase", 1)
    assert len(columns) == 2_000
    assert np.unique(columns.propensity.round(6)).size <= 6


def test_import_says_what_became_of_the_rows(example, capsys):
    text = (example / "log.csv").read_text(encoding="utf-8").splitlines(keepends=True)[:101]
    text[50] = text[50].replace(",customer-", ",,customer-")
    (example / "part.csv").write_text("".join(text), encoding="utf-8")
    arguments = ("import", "other.db", "part.csv", *FILES)
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
        "undeclared": [],
        "outside": [],
        "findings": [],
        "by_reason": {"wrong number of fields": 1},
        "refused": [{"line": 51, "reason": "it has 13 fields where the header has 12"}],
        "left_out": {},
        "notices": [],
    }


def test_import_takes_the_catalogue_that_the_database_knows(example, capsys):
    said = run(capsys, "import", "offers.db", "log.csv", "--mapping", "mapping.toml", "--json")
    assert (said.json["n_imported"], said.json["n_repeated"]) == (0, 2_000)


def test_a_key_in_the_environment_keeps_customers_hashed(example, capsys, monkeypatch):
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a secret of our own")
    arguments = ("import", "keyed.db", "log.csv", *FILES)
    said = run(capsys, *arguments)
    assert said.code == 0
    assert said.err == ""
    with Store.open("keyed.db", customer_key=b"a secret of our own") as store:
        assert not any(str(who).startswith("customer") for who in store.decisions.page("purchase", 1).customer)
    monkeypatch.setenv("OFFER_BANDIT_KEY", "another key for our tests")
    assert run(capsys, "verify", "keyed.db").code == 2


class InstalledSimulator:
    """The entry point of an installed simulator."""

    @staticmethod
    def load():
        return simulate_campaign


def test_a_simulated_campaign_is_imported_as_it_stands(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [InstalledSimulator])
    out = tmp_path / "campaign"
    arguments = ("simulate", out, "--scenario", "tiny", "--customers", 50, "--decisions", 300, "--seed", 3)
    plain = run(capsys, *arguments, "--json")
    assert plain.code == 0
    assert plain.json["decisions"] == 300
    monkeypatch.chdir(out)
    again = run(capsys, *arguments)
    assert again.code == 2
    assert "already" in again.sentence
    imported = ("import", "o.db", "log.csv", *FILES, "--json")
    assert run(capsys, *imported).json["n_imported"] == 300
    said = run(capsys, "evaluate", "o.db", "--policy", "rules:rules.toml", "--baseline", "logged", "--json")
    assert said.json["policies"][0]["max_weight"] == pytest.approx(1.0)


def test_simulate_without_the_simulator_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [])
    said = run(capsys, "simulate", tmp_path / "campaign")
    assert said.code == 2
    assert "not installed" in said.sentence

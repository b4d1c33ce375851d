"""The command simulate-live: a database like any other, and what it refuses."""

from importlib import metadata

import pytest
import tomli_w

from simulator.live.command import simulate_live
from simulator.live.plan import LivePlan, draw_population, with_groups
from tests.cli.conftest import run

SMALL = ("--scenario", "tiny", "--customers", 300, "--visits", 250, "--weeks", 2, "--seed", 4)


class InstalledLiveSimulator:
    """The entry point as an installed simulator offers it."""

    @staticmethod
    def load():
        return simulate_live


@pytest.fixture(autouse=True)
def installed(monkeypatch, tmp_path):
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [InstalledLiveSimulator])
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    monkeypatch.chdir(tmp_path)


def test_the_commands_for_a_log_read_what_it_wrote(capsys):
    said = run(capsys, "simulate-live", "live.db", *SMALL, "--pilot", 200, "--json")
    assert said.code == 0
    assert [look["weeks"] for look in said.json["looks"]] == [1, 2]
    pairs = [(each["group"], each["baseline"]) for each in said.json["looks"][-1]["true_lift"]]
    assert pairs == [("policy", "rules"), ("random", "rules"), ("policy", "random")]
    lift = run(capsys, "lift", "live.db", "--json").json
    assert sum(group["decisions"] for group in lift["groups"]) == 500
    assert lift["other_assignment"] == 200
    assert run(capsys, "verify", "live.db").code == 0
    rebuilt = run(capsys, "rebuild", "live.db")
    assert rebuilt.code == 0
    assert "the same as the stored state" in rebuilt.out


def test_for_people_it_ends_with_one_sentence(capsys):
    said = run(capsys, "simulate-live", "live.db", *SMALL, "--shares", "policy=0.5,rules=0.5", "--salt", "spring")
    assert said.code == 0
    assert "After 1 week, offer-bandit lift live.db says:" in said.out
    assert said.out.splitlines()[-1].startswith("After 2 weeks ")
    assert "random" not in said.out


def test_a_catalogue_of_the_scenario_with_groups_is_served(capsys, tmp_path):
    """The catalogue's own groups are compared; shares beside it are refused."""

    population = draw_population(LivePlan(scenario="tiny", customers=300, seed=4))
    content = with_groups(population, {"policy": 0.5, "random": 0.5}).to_dict()
    (tmp_path / "catalogue.toml").write_text(tomli_w.dumps(content), encoding="utf-8")
    given = ("--catalogue", "catalogue.toml")
    said = run(capsys, "simulate-live", "live.db", *SMALL, *given, "--json")
    assert [group["name"] for group in said.json["looks"][0]["lift"]["groups"]] == ["policy", "random"]
    refused = run(capsys, "simulate-live", "other.db", *SMALL, *given, "--shares", "policy=1")
    assert (refused.code, "leave out the shares" in refused.sentence) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scenario", "moon"), "scenarios are"),
        (("--shares", "policy=0.5,rules=0.1"), "must sum to 1"),
        (("--side-event", "unsubscribe"), "write EVENT=RATE"),
        (("--look", "9"), "the campaign has 2 weeks"),
        (("--policy", "nobody"), "is no policy"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_sentence_and_leaves_no_file(arguments, words, capsys, tmp_path):
    other = dict(zip(SMALL[::2], SMALL[1::2], strict=True)) | {arguments[0]: arguments[1]}
    said = run(capsys, "simulate-live", "live.db", *(part for pair in other.items() for part in pair))
    assert said.code == 2
    assert words in said.sentence
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_exists_is_left_alone(capsys, tmp_path):
    (tmp_path / "live.db").write_text("precious", encoding="utf-8")
    said = run(capsys, "simulate-live", "live.db", *SMALL)
    assert (said.code, "exists already" in said.sentence) == (2, True)
    assert (tmp_path / "live.db").read_text(encoding="utf-8") == "precious"


def test_without_the_simulator_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [])
    said = run(capsys, "simulate-live", "live.db")
    assert (said.code, "not installed" in said.sentence) == (2, True)

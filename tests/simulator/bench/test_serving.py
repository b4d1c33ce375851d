"""The benchmark of the service: what its check finds, and one short run."""

import json

import pytest

import bandit
from tests.conftest import SPRING

pytest.importorskip("fastapi")

from simulator.bench.serving.kills import check
from simulator.bench.serving.load_client import ClientReport
from simulator.bench.serving.serving_bench import ServingSettings, markdown, measure

KEY = b"a key for our tests"


@pytest.fixture
def seen(tmp_path):
    """A database with three decisions and an event, and what its one client was told."""
    catalogue = bandit.Catalogue.from_dict(SPRING)
    report = ClientReport(asked=["d0", "d1", "d2"], recorded=["e0"])
    with bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        for name in report.asked:
            made = engine.decide("a", {"loyal": True}, decision_id=name)
            report.decided[name] = json.dumps(dict(made.offer), sort_keys=True)
        engine.record("d0", "purchase", revenue=5.0, event_id="e0")
    return tmp_path / "offers.db", report


def test_what_was_acknowledged_and_is_there_is_sound(seen):
    path, report = seen
    found = check(path, KEY, [report], kills=0)
    assert (found.sound, found.decisions, found.events) == (True, 3, 1)
    assert "each is in the database once" in found.sentence


def test_what_is_not_as_it_was_acknowledged_is_found(seen):
    """The negative control: a decision and an event that are not there, another offer, one that nobody asked for."""
    path, report = seen
    report.decided |= {"d1": '{"discount": "nothing"}', "d9": report.decided["d0"]}
    report.recorded.append("e9")
    report.asked.remove("d2")
    found = check(path, KEY, [report], kills=0)
    assert not found.sound
    assert (found.lost, found.other_offer, found.lost_events, found.unasked) == (1, 1, 1, 1)
    assert "WRONG" in found.sentence


@pytest.mark.slow
def test_a_short_run_is_sound():
    settings = ServingSettings(clients=2, seconds=2.0, workers=2)
    found = measure(settings)
    assert found.check.sound
    assert [row.requests > 0 for row in found.rows] == [True] * 4
    assert markdown(found, settings).count("\n") == 7

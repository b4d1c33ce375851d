"""A database that an engine has written, with everything that the dashboard shows, and its rows as plain Python."""

import copy
import sqlite3
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pytest

import bandit
from bandit.governance.guardrails import GuardrailMonitor, last_restart
from tests.catalogue.test_groups import RULES
from tests.conftest import SPRING
from tests.engine.conftest import DAY, KEY, Clock, context, serve

GROUPS = {"policy": 0.6, "rules": {"share": 0.2, **RULES}, "random": 0.1, "holdout": {"share": 0.1}}
GUARDRAILS = [
    {"event": "unsubscribe", "at_most": 0.5, "action": "warn"},
    {"event": "unsubscribe", "against": "rules", "worse_by": 0.4, "action": "warn"},
]
LIVE = {"groups": GROUPS, "guardrails": GUARDRAILS, "rollout": {"mode": "ramp", "share": 0.5, "salt": "a"}}
STICKY = {"sticky": {"for": "1d"}}
UNUSED = {"name": "50", "rate": 0.50, "depth": 50}


def live_catalogue():
    """The catalogue of SPRING with groups, guardrails and a ramp, and an option that no customer may get."""
    mapping = copy.deepcopy(SPRING) | LIVE | STICKY
    mapping["dimensions"][0]["options"].append(UNUSED)
    mapping["rules"].append({"forbid": {"discount": ["50"]}, "when": "recency < 1000", "reason": "never yet"})
    return bandit.Catalogue.from_dict(mapping)


@dataclass(frozen=True)
class Recorded:
    """The database, its decisions and events as dictionaries, and what the guardrails' own code counts."""

    path: object
    decisions: list
    events: list
    arms: dict
    guardrails: tuple

    def outcome(self, decision):
        """(converted, revenue) by hand: current events within 7 days; a return of everything is no conversion."""
        corrected = {event["corrects"] for event in self.events}
        counted = [
            event
            for event in self.events
            if event["seq"] == decision["seq"]
            and event["id"] not in corrected
            and event["time"] <= decision["time"] + 7 * DAY
        ]
        amounts = [event["revenue"] for event in counted if event["revenue"] is not None]
        bought = any(event["event"] == "purchase" for event in counted)
        returned = any(amount < 0 for amount in amounts) and sum(amounts) <= 1e-6
        return bought and not returned, sum(amounts)

    def results(self, key):
        """{key: (decisions, conversions, revenue)} over all decisions."""
        sums = defaultdict(lambda: [0, 0, 0.0])
        for decision in self.decisions:
            converted, revenue = self.outcome(decision)
            for place, amount in enumerate((1, converted, revenue)):
                sums[key(decision)][place] += amount
        return {name: tuple(values) for name, values in sums.items()}


def _story(path):
    """Two weeks: three batches, a return, a correction, a late event, a repeat, a fault, a kill and a restart."""
    clock, rng = Clock(), np.random.default_rng(3)
    catalogue = live_catalogue()
    settings = {"seed": 7, "customer_key": KEY, "clock": clock, "durability": "process"}
    with bandit.Engine.open(path, catalogue, bandit.ThompsonSampling(catalogue), **settings) as engine:
        serve(engine, clock, 120, rng, "a")
        for row in range(0, 40, 4):
            engine.record(f"a{row}", "unsubscribe")
        engine.record("a41", "purchase", event_id="first", revenue=30.0)
        engine.record("a41", "purchase", event_id="back", revenue=-30.0)
        engine.record("a42", "purchase", event_id="order", revenue=10.0)
        engine.record("a42", "purchase", event_id="order", revenue=25.0, correct=True)
        engine.decide("customer-1", context(81), decision_id="again")
        clock.now += 8 * DAY
        engine.record("a43", "purchase", event_id="late", revenue=99.0)
        engine.learn()
        serve(engine, clock, 80, rng, "b")
        clock.now += 2 * DAY
        engine.rollout.kill(author="anna", reason="a <b>test</b>")
        for row in range(6):
            engine.decide(f"killed-{row}", context(row), group="policy", decision_id=f"k{row}")
        engine.rollout.resume(author="anna", reason="over")
        clock.now += DAY
        serve(engine, clock, 40, rng, "c")
        for row in range(20):
            engine.record(f"c{row}", "unsubscribe")
        engine.learner.policy._learning.belief.main.model.weights.mean[3] = np.nan
        engine.policy._samples = {}
        engine.rollout.set_mode("full", author="anna")
        for row in range(3):
            engine.decide(f"faulty-{row}", context(row), group="policy", decision_id=f"f{row}")
        store = engine.store
        return GuardrailMonitor(store, catalogue).check(since=last_restart(store), now=clock.now)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("dashboard") / "offers.db"
    guardrails = _story(path)
    raw = sqlite3.connect(path)
    raw.row_factory = sqlite3.Row
    decisions = [
        dict(row)
        for row in raw.execute(
            "SELECT d.*, f.options FROM decisions d JOIN offers f USING (catalogue_id, offer) ORDER BY seq"
        )
    ]
    events = [dict(row) for row in raw.execute("SELECT * FROM events ORDER BY id")]
    arms = dict(raw.execute("SELECT seq, arm FROM decision_arms").fetchall())
    raw.close()
    return Recorded(path, decisions, events, arms, guardrails)

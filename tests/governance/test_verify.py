"""Verification recomputes every decision and finds what was altered."""

import sqlite3

import numpy as np
import pytest

import bandit
from tests.engine.conftest import DAY, context, serve


@pytest.mark.parametrize("kind", ["uniform", "rules", "constant", "thompson", "vw"])
def test_verify_recomputes_every_decision(open_engine, clock, catalogue, kind):
    nothing = {"discount": "0", "channel": "email", "gift": "none"}
    policy = {
        "uniform": lambda: bandit.Uniform(catalogue),
        "rules": lambda: bandit.SegmentRules.from_dict(catalogue, {"otherwise": nothing, "exploration": 0.3}),
        "constant": lambda: bandit.ConstantOffer(catalogue, nothing),
        "thompson": lambda: bandit.ThompsonSampling(catalogue),
        "vw": lambda: bandit.VowpalWabbit(catalogue),
    }[kind]()
    engine = open_engine(policy)
    rng = np.random.default_rng(1)
    for number in range(3):
        serve(engine, clock, 50, rng, prefix=f"{number}-")
        engine.decide("c", context(number))
        clock.now += 8 * DAY
        engine.learn()
    verified = engine.verify()
    assert verified.problems == ()
    assert verified.n_recomputed == verified.n_decisions == 153


def test_verify_finds_what_was_altered(open_engine, clock, tmp_path):
    engine = open_engine()
    serve(engine, clock, 40, np.random.default_rng(1))
    engine.close()
    alter(tmp_path / "offers.db", "UPDATE decisions SET propensity = 0.5 WHERE decision_id = 'd3'")
    assert any('"d3"' in problem for problem in open_engine().verify().problems)


def alter(path, statement):
    """Change a database behind the engine's back."""
    raw = sqlite3.connect(path)
    guards = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in guards:
        raw.execute(f'DROP TRIGGER "{name}"')
    raw.execute(statement)
    for _, text in guards:
        raw.execute(text)
    raw.commit()
    raw.close()


def learned_twice(open_engine, clock):
    engine = open_engine()
    for number in range(2):
        serve(engine, clock, 60, np.random.default_rng(number), prefix=f"{number}-")
        clock.now += 8 * DAY
        engine.learn()
    engine.close()


def test_verify_tells_another_machines_arithmetic_from_another_state(open_engine, clock, tmp_path):
    """A hash that differs at step 1 alone is rounding, as the newest state shows: a note, and no problem."""
    learned_twice(open_engine, clock)
    with open_engine() as engine:  # so much more that another state is written
        serve(engine, clock, 240, np.random.default_rng(2), prefix="2-")
        clock.now += 8 * DAY
        engine.learn()
        assert engine.learner.history.newest_snapshot().step == 3
    alter(tmp_path / "offers.db", "UPDATE policy_steps SET state_hash = 'f' WHERE step = 1")
    verified = open_engine().verify()
    assert verified.problems == ()
    assert "last digits" in verified.notes[0]


def test_verify_finds_an_outcome_that_was_altered_after_it_was_learned(open_engine, clock, tmp_path):
    learned_twice(open_engine, clock)
    alter(tmp_path / "offers.db", "UPDATE learned SET converted = 1 - converted, revenue = 80.0 WHERE seq % 3 = 0")
    engine = open_engine()
    assert any("not the one logged" in problem for problem in engine.verify().problems)
    assert not engine.rebuild().same

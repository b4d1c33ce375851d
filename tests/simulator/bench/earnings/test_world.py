"""Worlds of the comparison: the same for every contestant, and independent of each other."""

from dataclasses import replace

import numpy as np

from simulator.bench.earnings.contestants import ENGINE
from simulator.bench.earnings.world import FIRST_DECISIONS, TournamentWorld, WorldSpec, windows
from simulator.market.crossings import Crossings
from simulator.scenarios import SCENARIOS


def spec(name="tiny", draw=0, customers=150, visits=800):
    return WorldSpec.of(name, 7, draw, customers, visits)


def test_a_specification_always_draws_the_same_world():
    one, again = TournamentWorld.draw(spec()), TournamentWorld.draw(spec())
    assert np.array_equal(one.visits.times, again.visits.times)
    assert np.array_equal(one.noise.buys, again.noise.buys)
    assert np.array_equal(one.population.market.score_offset, again.population.market.score_offset)


def test_worlds_and_their_parts_have_no_seed_in_common():
    things = [
        tuple(where.sequence(of).generate_state(2).tolist())
        for where in (spec(), spec(draw=1), spec("null"), replace(spec(), seed=8))
        for of in ("market", "population", "visits", "noise", ENGINE)
    ]
    assert len(set(things)) == len(things)


def test_a_specification_takes_the_size_that_its_scenario_recommends():
    assert (WorldSpec.of("loyalty", 1, 0).customers, WorldSpec.of("loyalty", 1, 0).visits) == (400, 20_000)


def test_results_stay_valid_unless_a_number_of_their_scenario_changes(monkeypatch):
    """A field that has its default, as a new one has in old scenarios, does not enter; any other value does."""
    before = spec().stamp
    tiny = SCENARIOS["tiny"]
    for changes, same in (
        ({"crossings": Crossings()}, True),
        ({"crossings": Crossings(even=True)}, False),
        ({"base_rate": tiny.base_rate + 1e-9}, False),
        ({"dimensions": (replace(tiny.dimensions[0], crossed=0.1), *tiny.dimensions[1:])}, False),
    ):
        changed = replace(tiny, **changes)
        monkeypatch.setattr("simulator.bench.earnings.world.scenario", lambda _, made=changed: made)
        assert (spec().stamp == before) == same


def test_windows_are_all_visits_the_last_quarter_and_the_first_two_thousand():
    assert windows(20_000) == {
        "all": slice(0, 20_000),
        "last": slice(15_000, 20_000),
        "first": slice(0, FIRST_DECISIONS),
    }
    assert windows(800) == {"all": slice(0, 800), "last": slice(600, 800), "first": slice(0, 800)}

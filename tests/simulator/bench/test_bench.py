"""The side-by-side benchmark: one scale for all, results that are kept, adapters that obey the policy protocol."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from bandit.domain import Policy
from bandit.errors import InputError, OfferBanditError
from simulator.bench import __main__ as command
from simulator.bench.earnings.cells import (
    CLAIRVOYANT,
    FACTS_CLAIRVOYANT,
    REFERENCES,
    UNIFORM,
    TournamentCell,
    append,
    read,
    valid,
)
from simulator.bench.earnings.contestants import CHANCE, CONTESTANTS, ENGINE, named
from simulator.bench.earnings.picture import draw
from simulator.bench.earnings.play import play, references
from simulator.bench.earnings.summary import Mean, markdown, rows
from simulator.bench.earnings.tournament import (
    EARNED_CELLS,
    EARNED_NUMBERS,
    EARNED_PICTURE,
    EARNED_TABLE,
    REFERENCE_TASK,
    Tournament,
)
from simulator.bench.earnings.world import FIRST_DECISIONS, TournamentWorld, WorldSpec, windows
from simulator.bench.speed import speed
from simulator.bench.speed.fixtures import OPTIONS_BY_OFFERS, ProblemSize, SpeedFixture

PEERS = ("bayesianbandits", "mabwiser", "gittins", "pybandits")

SILENT = Console(quiet=True)


def spec(name="tiny", draw=0, customers=150, visits=800):
    return WorldSpec.of(name, 7, draw, customers, visits)


def cell(contestant, all_, draw=0, **more):
    """A cell of the place above that is worth so much in every window."""
    where = spec(draw=draw)
    given = {"all": all_, "last": all_, "first": all_} | more
    return TournamentCell(
        scenario=where.scenario,
        seed=where.seed,
        draw=where.draw,
        customers=where.customers,
        visits=where.visits,
        stamp=where.stamp,
        contestant=contestant,
        **given,
    )


def tournament(folder, contestants=(CHANCE,), specs=None, **more):
    chosen, absent = named(list(contestants))
    return Tournament(specs or (spec(),), chosen, absent, folder, **more)


# -- the stage ---------------------------------------------------------------------------------------------------------


def test_a_place_is_always_the_same_world():
    one, again = TournamentWorld.draw(spec()), TournamentWorld.draw(spec())
    assert np.array_equal(one.visits.times, again.visits.times)
    assert np.array_equal(one.noise.buys, again.noise.buys)
    assert np.array_equal(one.population.market.score_offset, again.population.market.score_offset)


def test_places_and_the_things_of_a_place_have_no_seed_in_common():
    things = [
        tuple(where.sequence(of).generate_state(2).tolist())
        for where in (spec(), spec(draw=1), spec("null"), replace(spec(), seed=8))
        for of in ("market", "population", "visits", "noise", ENGINE)
    ]
    assert len(set(things)) == len(things)


def test_a_place_takes_the_size_that_its_scenario_recommends():
    assert (WorldSpec.of("loyalty", 1, 0).customers, WorldSpec.of("loyalty", 1, 0).visits) == (400, 20_000)


def test_windows_are_all_visits_the_last_quarter_and_the_first_two_thousand():
    assert windows(20_000) == {
        "all": slice(0, 20_000),
        "last": slice(15_000, 20_000),
        "first": slice(0, FIRST_DECISIONS),
    }
    assert windows(800) == {"all": slice(0, 800), "last": slice(600, 800), "first": slice(0, 800)}


# -- playing -----------------------------------------------------------------------------------------------------------


def test_uniform_choice_plays_to_a_share_of_nothing_and_the_engine_to_no_more_than_the_clairvoyant():
    """Uniform choice that is played differs from its exact value by the luck of its draws only.

    Its share has a standard error below .1 here, from 800 draws of six offers; the clairvoyant bounds every policy.
    """
    cells = [*references(spec()), play(spec(), CHANCE), play(spec(), ENGINE)]
    worth = {each.contestant: each.all for each in cells}
    way = worth[FACTS_CLAIRVOYANT] - worth[UNIFORM]
    assert abs(worth[CHANCE] - worth[UNIFORM]) < 0.3 * way
    assert worth[CHANCE] < worth[ENGINE] <= worth[CLAIRVOYANT]
    assert cells[-1].fault == ""
    assert cells[-1].learn > 0


def test_a_contestant_plays_a_place_the_same_way_again():
    one, again = play(spec(visits=300), ENGINE), play(spec(visits=300), ENGINE)
    assert (one.all, one.last, one.realised) == (again.all, again.last, again.realised)


def test_a_contestant_that_fails_leaves_a_cell_that_says_why(monkeypatch):
    def opened(*_):
        raise RuntimeError("no cards left")

    monkeypatch.setattr(
        "simulator.bench.earnings.play.CONTESTANTS", {CHANCE: replace(CONTESTANTS[CHANCE], open=opened)}
    )
    failed = play(spec(visits=200), CHANCE)
    assert failed.fault == "RuntimeError: no cards left"
    (row,) = [each for each in rows([*references(spec(visits=200)), failed]) if each.contestant == CHANCE]
    assert row.faults == ("RuntimeError: no cards left",)


@pytest.mark.parametrize("name", PEERS[:3])
def test_a_peer_learns_the_strong_tastes_of_the_tiny_market(name):
    """Each earns more than uniform choice in the last quarter of 2,000 decisions over six offers.

    gittins keeps a diagonal model and is only asked to play without a fault.
    """
    pytest.importorskip(name)
    where = spec(customers=400, visits=2_000)
    played = play(where, name)
    known = {each.contestant: each for each in references(where)}
    assert played.fault == ""
    assert played.decide > 0
    assert played.learn > 0
    assert played.all <= known[CLAIRVOYANT].all
    if name != "gittins":
        assert played.last > known[UNIFORM].last


@pytest.mark.parametrize("name", PEERS)
def test_an_adapter_obeys_the_protocol_and_keeps_to_what_is_eligible(name, tmp_path):
    pytest.importorskip(name)
    world = TournamentWorld.draw(spec(visits=50))
    contexts = world.population.contexts(world.visits.customers, world.visits.times)
    eligible = np.zeros((50, 6), dtype=np.bool_)
    eligible[:, [1, 4]] = True
    with CONTESTANTS[name].open(world.population.market.catalogue, 3, tmp_path) as policy:
        assert isinstance(policy, Policy)
        shares = policy.probabilities(contexts, eligible, np.random.default_rng(0))
        with pytest.raises(OfferBanditError):
            policy.dumps()
    assert np.array_equal(shares.sum(axis=1), np.ones(50))
    assert not shares[~eligible].any()


def test_who_is_not_installed_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setattr("simulator.bench.earnings.contestants.find_spec", lambda _name: None)
    chosen, absent = named(None)
    assert [each.name for each in chosen] == [ENGINE]
    assert absent["gittins"] == "gittins is not installed; `make bench` makes an environment that has it"


def test_a_contestant_nobody_knows_is_refused_by_name():
    with pytest.raises(InputError, tournament='"oracle" is not a contestant'):
        named(["oracle"])


# -- results -----------------------------------------------------------------------------------------------------------


def test_results_are_read_as_they_were_written_and_the_last_of_a_key_counts(tmp_path):
    path = tmp_path / EARNED_CELLS
    append(path, [cell("a", 1.0), cell("b", 2.0)])
    append(path, [cell("a", 3.0)])
    assert {key[1]: each.all for key, each in read(path).items()} == {"a": 3.0, "b": 2.0}


def test_a_line_that_is_no_result_is_refused_with_its_number(tmp_path):
    path = tmp_path / EARNED_CELLS
    append(path, [cell("a", 1.0)])
    path.write_text(path.read_text() + '{"scenario": "tiny"}\n')
    with pytest.raises(InputError, tournament="line 2"):
        read(path)


def test_results_of_a_scenario_that_was_changed_since_do_not_count():
    now, before = cell("a", 1.0), cell("b", 1.0, draw=1)
    stale = replace(before, stamp=before.stamp + 1)
    assert [each.contestant for each in valid({one.key: one for one in (now, stale)}).values()] == ["a"]


def test_a_run_is_resumed_where_it_was_left_and_extended(tmp_path):
    first = tournament(tmp_path)
    assert first.tasks() == [(spec(), REFERENCE_TASK), (spec(), CHANCE)]
    first.run(SILENT)
    assert first.tasks() == []
    more = tournament(tmp_path, (CHANCE, ENGINE), (spec(), spec(draw=1)))
    assert more.tasks() == [
        (spec(), ENGINE),
        (spec(draw=1), REFERENCE_TASK),
        (spec(draw=1), CHANCE),
        (spec(draw=1), ENGINE),
    ]
    assert tournament(tmp_path, again=True).tasks() == [(spec(), CHANCE)]


def test_what_failed_is_played_again(tmp_path):
    append(
        tmp_path / EARNED_CELLS, [*references(spec()), replace(cell(CHANCE, 0.0), fault="RuntimeError: no cards left")]
    )
    assert tournament(tmp_path).tasks() == [(spec(), CHANCE)]


def test_two_processes_play_what_one_plays(tmp_path):
    specs = (spec(visits=200), spec(draw=1, visits=200))
    alone, together = tournament(tmp_path / "one", specs=specs), tournament(tmp_path / "two", specs=specs, processes=2)
    values = [{(row.contestant, row.all.value) for row in each.run(SILENT)} for each in (alone, together)]
    assert values[0] == values[1]


# -- tables ------------------------------------------------------------------------------------------------------------


def references_worth(draw=0, **values):
    """Uniform 1, rule 1.8, facts-clairvoyant 2, clairvoyant 2.5 unless said otherwise."""
    worth = dict(zip(REFERENCES, (1.0, 1.8, 2.0, 2.5), strict=True)) | values
    return [cell(name, value, draw=draw) for name, value in worth.items()]


def test_a_share_is_the_way_from_uniform_to_the_facts_clairvoyant():
    """(1.5 - 1) / (2 - 1) = .5 and (1.7 - 1) / 1 = .7: mean .6, standard error .1414 / sqrt(2) = .1.

    Regret of the first 800 decisions: .5 x 800 = 400 and .3 x 800 = 240, mean 320.
    """
    table = rows([*references_worth(), cell("x", 1.5), *references_worth(1), cell("x", 1.7, draw=1)])
    found = {row.contestant: row for row in table}
    assert found["x"].all.value == pytest.approx(0.6)
    assert found["x"].all.error == pytest.approx(0.1)
    assert found["x"].regret.value == pytest.approx(320.0)
    assert found[UNIFORM].all.value == 0.0
    assert found[FACTS_CLAIRVOYANT].last.value == 1.0
    assert table[0].contestant == CLAIRVOYANT


def test_where_nothing_can_be_gained_the_difference_to_uniform_is_told_in_money():
    flat = references_worth(**dict.fromkeys(REFERENCES, 1.0))
    (row,) = [each for each in rows([*flat, cell("x", 0.9, error=0.02)]) if each.contestant == "x"]
    assert row.money
    assert row.all.value == pytest.approx(-0.1)
    assert "money above uniform" in markdown(rows([*flat, cell("x", 0.9, error=0.02)]), {}, "")


def test_one_draw_has_no_spread():
    assert math.isnan(Mean.of([0.5]).error)
    assert Mean.of([0.5]).text(2) == "0.50"
    assert Mean.of([-0.0001, -0.0001]).text(2) == "0.00 ± 0.00"


def test_the_table_names_every_contestant_and_who_is_missing():
    text = markdown(rows([*references_worth(), cell(ENGINE, 1.9), cell("vw", 1.5)]), {"pybandits": "too slow"}, "One.")
    assert "| tiny | 0.900 |" in text
    assert "- pybandits did not play: too slow." in text
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    blocks = [pair for pair in pairwise(widths) if pair[0] != pair[1]]
    assert len(blocks) == 1  # from the short table to the scenario's, and nowhere else


def test_a_picture_is_drawn_where_there_is_something_to_gain(tmp_path):
    draw(rows([*references_worth(), cell(ENGINE, 1.9), cell("vw", 1.5)]), tmp_path / EARNED_PICTURE)
    assert (tmp_path / EARNED_PICTURE).read_bytes().startswith(b"\x89PNG")


def test_the_command_writes_table_numbers_and_picture(tmp_path, capsys):
    size = ["--scenarios", "tiny", "--seeds", "1", "--visits", "200", "--customers", "100"]
    assert command.main([*size, "--only", "chance", "--out", str(tmp_path)]) == 0
    assert "## tiny" in capsys.readouterr().out
    assert {EARNED_TABLE, EARNED_NUMBERS, EARNED_PICTURE, EARNED_CELLS} <= {path.name for path in tmp_path.iterdir()}
    assert {row["contestant"] for row in json.loads((tmp_path / EARNED_NUMBERS).read_text())} == {*REFERENCES, CHANCE}


def test_the_command_refuses_a_scenario_that_is_none(tmp_path, capsys):
    assert command.main(["--scenarios", "mars", "--only", "chance", "--out", str(tmp_path)]) == 2
    assert '"mars" is not a scenario' in capsys.readouterr().err


# -- speed -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offers", OPTIONS_BY_OFFERS)
def test_a_size_has_as_many_offers_as_its_levers_make(offers):
    assert math.prod(OPTIONS_BY_OFFERS[offers]) == offers


def test_a_size_without_levers_is_refused():
    with pytest.raises(InputError, tournament="7 offers are not among the sizes"):
        SpeedFixture(ProblemSize(7, 2), 1)


def test_the_speed_table_times_every_contestant_beside_vowpal_wabbit():
    timings = speed.measure(ProblemSize(6, 3), seconds=0.3)
    assert {timing.beside for timing in timings} == {speed.VW_PREDICT, speed.VW_LEARN}
    assert all(timing.median > 0 and timing.calls >= 3 for timing in timings)
    assert all(timing.calls >= speed.TIMING_ROUNDS for timing in timings if timing.median * 512 < 1e5)
    assert speed.markdown(timings).count("\n") == len(timings) + 2
    assert speed.table(timings).row_count == len(timings)

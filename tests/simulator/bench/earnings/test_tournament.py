"""The comparison of earnings: one scale for all contestants, results that are kept, tables."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from rich.console import Console

from bandit.errors import InputError
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
from simulator.bench.earnings.contestants import CONTESTANTS, ENGINE, RANDOM_CONTESTANT, named
from simulator.bench.earnings.picture import draw
from simulator.bench.earnings.play import play, references
from simulator.bench.earnings.summary import Mean, markdown, rows
from simulator.bench.earnings.tournament import (
    EARNED_CELLS,
    EARNED_PICTURE,
    REFERENCE_TASK,
    Tournament,
)
from simulator.bench.earnings.world import WorldSpec

pytestmark = pytest.mark.slow

SILENT = Console(quiet=True)


def spec(name="tiny", draw=0, customers=150, visits=800):
    return WorldSpec.of(name, 7, draw, customers, visits)


def cell(contestant, all_, draw=0, **more):
    """A cell of the world above with one value in every window."""
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


def tournament(folder, contestants=(RANDOM_CONTESTANT,), specs=None, **more):
    chosen, absent = named(list(contestants))
    return Tournament(specs or (spec(),), chosen, absent, folder, **more)


# -- playing -----------------------------------------------------------------------------------------------------------


def test_uniform_choice_earns_its_exact_value_and_the_engine_at_most_the_clairvoyants():
    """Uniform choice by draws differs from its exact value by the noise of its draws only.

    Its share has a standard error below .1 here, from 800 draws of six offers; the clairvoyant bounds every policy.
    """
    cells = [*references(spec()), play(spec(), RANDOM_CONTESTANT), play(spec(), ENGINE)]
    worth = {each.contestant: each.all for each in cells}
    way = worth[FACTS_CLAIRVOYANT] - worth[UNIFORM]
    assert abs(worth[RANDOM_CONTESTANT] - worth[UNIFORM]) < 0.3 * way
    assert worth[RANDOM_CONTESTANT] < worth[ENGINE] <= worth[CLAIRVOYANT]
    assert cells[-1].fault == ""
    assert cells[-1].learn > 0


def test_a_contestant_has_the_same_result_in_the_same_world():
    one, again = play(spec(visits=300), ENGINE), play(spec(visits=300), ENGINE)
    assert (one.all, one.last, one.realised) == (again.all, again.last, again.realised)


def test_a_contestant_that_fails_leaves_a_cell_that_says_why(monkeypatch):
    def opened(*_):
        raise RuntimeError("no memory left")

    failing = replace(CONTESTANTS[RANDOM_CONTESTANT], open=opened)
    monkeypatch.setattr("simulator.bench.earnings.play.contestant_of", lambda _: failing)
    failed = play(spec(visits=200), RANDOM_CONTESTANT)
    assert failed.fault == "RuntimeError: no memory left"
    (row,) = [each for each in rows([*references(spec(visits=200)), failed]) if each.contestant == RANDOM_CONTESTANT]
    assert row.faults == ("RuntimeError: no memory left",)


def test_a_contestant_that_is_not_installed_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setattr("simulator.bench.earnings.contestants.find_spec", lambda _name: None)
    chosen, absent = named(None)
    assert [each.name for each in chosen] == [ENGINE]
    assert absent["gittins"] == "gittins is not installed; `make bench` makes an environment that has it"


def test_an_unknown_contestant_is_refused_by_name():
    with pytest.raises(InputError, match='"oracle" is not a contestant'):
        named(["oracle"])


# -- results -----------------------------------------------------------------------------------------------------------


def test_results_are_read_as_they_were_written_and_the_last_of_a_key_counts(tmp_path):
    path = tmp_path / EARNED_CELLS
    append(path, [cell("a", 1.0), cell("b", 2.0)])
    append(path, [cell("a", 3.0)])
    assert {key[1]: each.all for key, each in read(path).items()} == {"a": 3.0, "b": 2.0}


def test_a_line_that_is_not_a_result_is_refused_with_its_number(tmp_path):
    path = tmp_path / EARNED_CELLS
    append(path, [cell("a", 1.0)])
    path.write_text(path.read_text() + '{"scenario": "tiny"}\n')
    with pytest.raises(InputError, match="line 2"):
        read(path)


def test_results_of_a_scenario_that_was_changed_since_do_not_count():
    now, before = cell("a", 1.0), cell("b", 1.0, draw=1)
    stale = replace(before, stamp=before.stamp + 1)
    assert [each.contestant for each in valid({one.key: one for one in (now, stale)}).values()] == ["a"]


def test_a_run_is_resumed_where_it_was_left_and_extended(tmp_path):
    first = tournament(tmp_path)
    assert first.tasks() == [(spec(), REFERENCE_TASK), (spec(), RANDOM_CONTESTANT)]
    first.run(SILENT)
    assert first.tasks() == []
    more = tournament(tmp_path, (RANDOM_CONTESTANT, ENGINE), (spec(), spec(draw=1)))
    assert more.tasks() == [
        (spec(), ENGINE),
        (spec(draw=1), REFERENCE_TASK),
        (spec(draw=1), RANDOM_CONTESTANT),
        (spec(draw=1), ENGINE),
    ]
    assert tournament(tmp_path, again=True).tasks() == [(spec(), RANDOM_CONTESTANT)]


def test_what_failed_is_run_again(tmp_path):
    append(
        tmp_path / EARNED_CELLS,
        [*references(spec()), replace(cell(RANDOM_CONTESTANT, 0.0), fault="RuntimeError: no memory left")],
    )
    assert tournament(tmp_path).tasks() == [(spec(), RANDOM_CONTESTANT)]


def test_two_processes_have_the_results_of_one(tmp_path):
    specs = (spec(visits=200), spec(draw=1, visits=200))
    alone, together = tournament(tmp_path / "one", specs=specs), tournament(tmp_path / "two", specs=specs, processes=2)
    values = [{(row.contestant, row.all.value) for row in each.run(SILENT)} for each in (alone, together)]
    assert values[0] == values[1]


# -- tables ------------------------------------------------------------------------------------------------------------


def references_worth(draw=0, **values):
    """Uniform 1, rule 1.8, facts-clairvoyant 2, clairvoyant 2.5 unless said otherwise."""
    worth = dict(zip(REFERENCES, (1.0, 1.8, 2.0, 2.5), strict=True)) | values
    return [cell(name, value, draw=draw) for name, value in worth.items()]


def test_a_share_is_the_gain_from_uniform_to_the_facts_clairvoyant():
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


def test_where_nothing_can_be_gained_the_difference_to_uniform_is_in_money():
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
    assert "- pybandits was left out: too slow." in text
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    blocks = [pair for pair in pairwise(widths) if pair[0] != pair[1]]
    assert len(blocks) == 1  # from the short table to the scenario's, and nowhere else


def test_the_short_table_has_other_versions_beside_the_engine_and_never_as_a_peer():
    """vw leads the peers over all and mabwiser in the first 2,000: each is named where it leads."""
    other = "engine 0.4.0-4a97e8c"
    peers = [cell("vw", 1.5, first=1.1), cell("mabwiser", 1.4, first=1.3)]
    text = markdown(rows([*references_worth(), cell(ENGINE, 1.9), cell(other, 1.95), *peers]), {}, "")
    head, line = (next(row for row in text.splitlines() if row.startswith(start)) for start in ("| scenario", "| tiny"))
    assert head.startswith(f"| scenario | engine | last quarter | first 2,000 | {other} | last quarter |")
    want = "| tiny | 0.900 | 0.900 | 0.900 | 0.950 | 0.950 | 0.950 | vw | 0.500 | 0.500 | 0.300 (mabwiser) | 0.800 |"
    assert line.startswith(want)
    assert head.count("|") == line.count("|")


def test_a_picture_is_drawn_where_there_is_something_to_gain(tmp_path):
    draw(rows([*references_worth(), cell(ENGINE, 1.9), cell("vw", 1.5)]), tmp_path / EARNED_PICTURE)
    assert (tmp_path / EARNED_PICTURE).read_bytes().startswith(b"\x89PNG")

"""The command `python -m simulator.bench`: files, exit codes and messages."""

import json

import pytest

from simulator.bench import __main__ as command
from simulator.bench.commands import BENCH_COMMANDS
from simulator.bench.earnings.cells import REFERENCES
from simulator.bench.earnings.contestants import RANDOM_CONTESTANT
from simulator.bench.earnings.tournament import EARNED_CELLS, EARNED_NUMBERS, EARNED_PICTURE, EARNED_TABLE
from simulator.bench.options import bench_parser


def test_the_command_writes_table_numbers_and_picture(tmp_path, capsys):
    size = ["--scenarios", "tiny", "--seeds", "1", "--visits", "200", "--customers", "100"]
    assert command.main([*size, "--only", "chance", "--out", str(tmp_path)]) == 0
    assert "## tiny" in capsys.readouterr().out
    assert {EARNED_TABLE, EARNED_NUMBERS, EARNED_PICTURE, EARNED_CELLS} <= {path.name for path in tmp_path.iterdir()}
    assert {row["contestant"] for row in json.loads((tmp_path / EARNED_NUMBERS).read_text())} == {
        *REFERENCES,
        RANDOM_CONTESTANT,
    }


def test_the_methods_command_resumes_where_it_was_left(tmp_path, capsys):
    size = ["--scenarios", "tiny", "--seeds", "2", "--runs", "1", "--visits", "100", "--customers", "50", "--seed", "3"]
    arms = ["--arm", 'base={"methods": []}', "--arm", 'wide={"methods": [], "width": 1.0}']
    assert command.main(["methods", *size, *arms, "--out", str(tmp_path)]) == 0
    assert "4 of 4 runs to make" in capsys.readouterr().out
    assert command.main(["methods", *size, *arms, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "0 of 4 runs to make" in printed
    assert "| wide |" in printed
    assert {row["arm"] for row in json.loads((tmp_path / "methods.json").read_text())} == {"base", "wide"}
    assert command.main(["methods", *size, "--arm", "wide", "--out", str(tmp_path)]) == 2
    assert "an arm is NAME=JSON" in capsys.readouterr().err


def test_an_unknown_scenario_is_refused(tmp_path, capsys):
    assert command.main(["--scenarios", "mars", "--only", "chance", "--out", str(tmp_path)]) == 2
    assert '"mars" is not a scenario' in capsys.readouterr().err


@pytest.mark.parametrize("name", BENCH_COMMANDS)
def test_every_command_writes_to_a_folder_and_every_random_one_has_a_seed(name, tmp_path):
    """Starting the command line draws nothing at random."""
    seed = [] if name == "start" else ["--seed", "5"]
    given = bench_parser().parse_args([name, *seed, "--out", str(tmp_path)])
    assert (given.command, given.seed, given.out) == (name, 5 if seed else 1, tmp_path)

"""A command imports only what it needs, so that it starts quickly."""

from typing import get_args

import pytest

from bandit.analysis.exploration_cost import PeriodUnit
from bandit.analysis.half_life import CANDIDATE_HALF_LIVES, PREQUENTIAL_BLOCK
from bandit.cli import choices
from bandit.cli.app import app
from bandit.evaluate.breakdown import BREAKDOWN_PARTS
from bandit.logfiles import EXPORT_FORMATS
from bandit.ope import DEFAULT_INTERVAL, ESTIMATORS, IntervalKind
from bandit.rollout.control import MODES
from tests.test_lazy import HEAVY, loaded_after

RUN = "from bandit.cli import main; main({!r})"
OURS = tuple(name for name in HEAVY if name not in loaded_after("import typer", *HEAVY))
"""What the project could load: older versions of typer load rich by themselves."""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], []])
def test_version_and_help_load_no_library(arguments):
    assert loaded_after(RUN.format(arguments), *OURS, "bandit.store", "bandit.catalogue") == []


def test_the_help_of_a_command_loads_no_library():
    calls = "; ".join(f"main([{command.name!r}, '--help'])" for command in app.registered_commands)
    for group in app.registered_groups:
        inner = group.typer_instance.registered_commands
        name = group.typer_instance.info.name
        calls += "; " + "; ".join(f"main([{name!r}, {command.name!r}, '--help'])" for command in inner)
    assert loaded_after(f"from bandit.cli import main; {calls}", *OURS, "bandit.store", "bandit.catalogue") == []


def test_doctor_without_a_database_opens_no_store():
    assert loaded_after(RUN.format(["doctor"]), "scipy", "vowpalwabbit", "sqlite_utils", "bandit.store") == []


def test_the_names_that_help_lists_are_those_that_are_there():
    assert set(choices.INTERVAL_KINDS) == set(get_args(IntervalKind))
    assert choices.INTERVAL_KINDS[0] == DEFAULT_INTERVAL
    assert tuple(ESTIMATORS) == choices.ESTIMATOR_NAMES
    assert choices.EXPORT_FORMAT_NAMES == EXPORT_FORMATS
    assert get_args(PeriodUnit) == choices.EXPLORATION_PERIODS
    assert choices.ROLLOUT_MODES == MODES
    assert choices.RESULT_PARTS == BREAKDOWN_PARTS
    assert (choices.HALF_LIVES, choices.HALF_LIFE_BLOCK) == (CANDIDATE_HALF_LIVES, PREQUENTIAL_BLOCK)

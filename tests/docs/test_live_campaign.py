"""The worked campaign: its catalogue is that of the scenario, and its commands run as they stand there."""

import re
import shlex
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from bandit import Catalogue
from simulator.live.command import simulate_live
from simulator.scenarios import scenario
from tests.cli.conftest import run
from tests.docs.pages import blocks, commands

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "live_campaign"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
VERDICTS = {"+ ", "- ", "? ", "= ", "  "}
SIZES = {"--customers": "200", "--visits": "150", "--pilot": "200"}
"""Sizes that a test has time for, in place of those of the page."""


class InstalledLiveSimulator:
    """The entry point as an installed simulator offers it."""

    @staticmethod
    def load():
        return simulate_live


def commands_of_the_page():
    """Each command of the page with the beginning of what it prints there, before the first number.

    Verdicts, which depend on the sizes, are passed over: they begin with a sign and go on below it.
    """
    for block in blocks(PAGE):
        if block.language == "console":
            for command, _, printed in commands(block):
                first = next((line for line in printed if line and line[:2] not in VERDICTS), "")
                yield shlex.split(command), re.split(r"\d", first)[0].strip()


def smaller(arguments):
    """The arguments with small sizes."""
    return [SIZES.get(before, each) for before, each in zip(["", *arguments], arguments, strict=False)]


def test_the_catalogue_has_the_offers_and_facts_of_the_scenario_it_is_simulated_with():
    ours = Catalogue.from_toml(FOLDER / "catalogue.toml").to_dict()
    theirs = Catalogue.from_dict(scenario("retail").catalogue()).to_dict()
    assert all(ours[key] == theirs[key] for key in ("dimensions", "objective", "fallback", "currency"))
    assert list(ours["context"]) == list(theirs["context"])
    assert {"groups", "rollout", "guardrails", "sticky"} <= ours.keys()


@pytest.mark.slow
def test_the_commands_run_in_order_and_begin_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [InstalledLiveSimulator])
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    shutil.copytree(FOLDER, tmp_path / "campaign")
    monkeypatch.chdir(tmp_path / "campaign")
    ran = []
    for (program, *arguments), beginning in commands_of_the_page():
        if program == "export":
            continue
        assert program == "offer-bandit"
        said = run(capsys, *smaller(arguments))
        assert said.code == 0, (arguments, said.err)
        assert beginning in said.out, arguments
        ran.append(arguments[0])
    assert ran[:5] == ["plan", "simulate-live", "lift", "incrementality", "guardrails"]
    assert ran[-2:] == ["verify", "rebuild"]


@pytest.mark.parametrize("size", SIZES)
def test_a_size_of_the_page_is_made_smaller(size):
    assert smaller(["simulate-live", "live.db", size, "9000"]) == ["simulate-live", "live.db", size, SIZES[size]]

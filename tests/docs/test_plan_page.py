"""The page on plan: its options are those of the command."""

import re
from pathlib import Path

from tests.cli.conftest import run

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "plan.md").read_text(encoding="utf-8")


def test_its_options_are_those_of_the_command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    there = run(capsys, "plan", "--help").out
    named = set(re.findall(r"(--[a-z][a-z-]+)", PAGE))
    assert named
    assert not [each for each in named if each not in there]

"""The page on plan: its example runs as it stands there, and its options are those of the command."""

import re
from pathlib import Path

from tests.cli.conftest import run

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "plan.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(example, "plan.md", "exec"), {})  # noqa: S102 - it is our own page
    kinds = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert kinds == ["planned", "compared", "compared", "compared", "fastest", "cheapest"]


def test_its_options_are_those_of_the_command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    there = run(capsys, "plan", "--help").out
    named = set(re.findall(r"(--[a-z][a-z-]+)", PAGE))
    assert named
    assert not [each for each in named if each not in there]

"""The README is short, and names commands that there are."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
MOST_BYTES = 6_000


def test_the_readme_is_read_in_a_minute():
    assert len(README.read_bytes()) < MOST_BYTES


def test_every_command_it_names_is_there():
    from bandit.cli.app import app  # noqa: PLC0415 - only this test needs typer

    commands = {command.name or command.callback.__name__.rstrip("_") for command in app.registered_commands}
    commands |= {group.typer_instance.info.name for group in app.registered_groups}
    named = set(re.findall(r"offer-bandit ([a-z][\w-]+)", README.read_text(encoding="utf-8")))
    assert {"init", "evaluate", "report"} <= named <= commands

"""The README names every command, and no other."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def test_every_command_it_names_is_there():
    from bandit.cli.app import app  # noqa: PLC0415 - only this test needs typer

    named = set(re.findall(r"^    offer-bandit ([\w-]+)", README.read_text(encoding="utf-8"), flags=re.MULTILINE))
    commands = {command.name or command.callback.__name__.rstrip("_") for command in app.registered_commands}
    assert named == commands | {group.typer_instance.info.name for group in app.registered_groups}

"""The README's example runs as it stands there."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for tests")
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102 - it is our own page
    assert "discount" in capsys.readouterr().out
    assert (tmp_path / "offers.db").exists()


def test_every_command_it_names_is_there():
    from bandit.cli.app import app  # noqa: PLC0415 - only this test needs typer

    named = set(re.findall(r"^    offer-bandit ([\w-]+)", README.read_text(encoding="utf-8"), flags=re.MULTILINE))
    commands = {command.name or command.callback.__name__.rstrip("_") for command in app.registered_commands}
    assert named == commands | {group.typer_instance.info.name for group in app.registered_groups}

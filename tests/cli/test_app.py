"""The application: its commands and their help, exit codes, and progress."""

import os
import subprocess
import sys

import pytest

import bandit
from bandit.cli import app
from tests.cli.conftest import run

COMMANDS = (
    "init",
    "simulate",
    "simulate-live",
    "import",
    "mappings",
    "evaluate",
    "learn-offline",
    "audience",
    "why",
    "importance",
    "plan",
    "report",
    "results",
    "lift",
    "incrementality",
    "status",
    "dashboard",
    "kill",
    "guardrails",
    "export",
    "replay",
    "decide",
    "record",
    "learn",
    "table",
    "serve",
    "fit",
    "half-life",
    "exploration",
    "verify",
    "anchor",
    "rebuild",
    "backup",
    "erase",
    "retain",
    "export-customer",
    "rotate-key",
    "doctor",
)

ROLLOUT = ("show", "set", "challenge", "promote", "rollback", "resume", "history", "report")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_with_an_example(command, capsys):
    said = run(capsys, command, "--help")
    assert said.code == 0
    assert f"offer-bandit {command} " in said.out.split("Example:")[1]
    assert "--json" in said.out


@pytest.mark.parametrize("command", ROLLOUT)
def test_help_of_the_roll_out_teaches_with_an_example(command, capsys):
    said = run(capsys, "rollout", command, "--help")
    assert said.code == 0
    assert f"offer-bandit rollout {command} " in said.out.split("Example:")[1]
    assert "--json" in said.out


def test_the_commands_of_the_roll_out_are_listed(capsys):
    group = next(each.typer_instance for each in app.registered_groups if each.typer_instance.info.name == "rollout")
    assert {command.name for command in group.registered_commands} == set(ROLLOUT)
    said = run(capsys, "rollout")
    assert said.code == 0
    assert all(name in said.out for name in ROLLOUT)


def test_help_lists_every_command_under_a_group_with_its_whole_sentence(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = run(capsys, "--help").out
    for group in ("Start:", "Judge before going live:", "Serve and learn:", "Watch live:", "Look closer:"):
        assert f"\n{group}\n" in said
    assert "..." not in said.split("Start:")[1]
    assert max(map(len, said.splitlines())) <= 80
    judged = said.split("Judge before going live:")[1].split("Serve and learn:")[0]
    assert [line.split()[0] for line in judged.splitlines() if line.startswith("  ") and line[2] != " "] == [
        "evaluate",
        "learn-offline",
        "replay",
        "plan",
    ]


@pytest.mark.parametrize("command", [(), ("evaluate",), ("learn-offline",), ("replay",), ("fit",), ("learn",)])
def test_help_says_which_of_the_commands_that_sound_alike_one_wants(command, capsys):
    said = run(capsys, *command, "--help").out.split("Which one do I want?")[1]
    assert all(f"  {name} " in said for name in ("evaluate", "learn-offline", "replay", "fit", "learn"))


def test_the_help_of_a_command_has_its_options_in_panels(capsys):
    said = run(capsys, "evaluate", "--help").out
    panels = [line.rstrip(":") for line in said.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert panels == ["Arguments", "Policies", "Log", "Estimation", "Output"]
    assert said.index("--baseline") < said.index("\nLog:") < said.index("--window") < said.index("\nEstimation:")
    assert said.index("\nOutput:") < said.index("--format NAME")


def test_the_shell_completes_the_names_of_commands():
    """The script that a shell installs calls the program with these variables."""
    asked = {"_OFFER_BANDIT_COMPLETE": "complete_bash", "COMP_WORDS": "offer-bandit half", "COMP_CWORD": "1"}
    code = "from bandit.cli import main; main()"
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | asked
    )
    assert done.stdout.split() == ["half-life"]


def test_every_command_is_there_and_help_lists_them(capsys):
    names = {command.name for command in app.registered_commands}
    assert names == set(COMMANDS)
    said = run(capsys)
    assert said.code == 0
    assert all(name in said.out for name in COMMANDS)
    assert run(capsys, "--version").out == f"offer-bandit {bandit.__version__}\n"


def test_a_process_builds_the_tree_of_commands_once(capsys, monkeypatch):
    """The signatures of some fifty commands are read for it."""

    def builds(_):
        raise AssertionError("built again")

    assert run(capsys, "--version").code == 0
    monkeypatch.setattr("typer.main.get_command", builds)
    assert run(capsys, "--version").code == 0


def test_our_own_fault_is_a_sentence_and_a_traceback_only_when_asked(example, capsys, monkeypatch):
    def fails(*_, **__):
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr("bandit.evaluate.evaluate", fails)
    said = run(capsys, "evaluate", "offers.db", "--policy", "uniform")
    assert said.code == 1
    assert "ZeroDivisionError: one two" in said.sentence
    assert "--debug" in said.sentence
    assert "Traceback" not in said.err
    assert "Traceback" in run(capsys, "evaluate", "offers.db", "--policy", "uniform", "--debug").err


def test_an_interruption_ends_with_its_own_code(example, capsys, monkeypatch):
    def stops(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bandit.evaluate.evaluate", stops)
    assert run(capsys, "evaluate", "offers.db", "--policy", "uniform").code == 130


def test_progress_is_shown_on_a_terminal_only(example, capsys, monkeypatch):
    arguments = ("evaluate", "offers.db", "--policy", "uniform", "--json")
    assert run(capsys, *arguments).err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("rich.console.Console.is_terminal", property(lambda _: True))
    said = run(capsys, *arguments)
    assert said.json["n"] == 2_000
    assert sys.stdout is not sys.stderr

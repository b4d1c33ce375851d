"""The command-line application: its commands, and how an error becomes one sentence and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated

import typer

from bandit._version import __version__
from bandit.cli import (
    audience,
    catalogue,
    chain,
    dashboard,
    evaluate,
    export,
    guardrails,
    incrementality,
    key_rotation,
    learn_offline,
    lift,
    live,
    live_simulation,
    maintenance,
    mappings,
    plan,
    privacy,
    reasons,
    replay,
    report,
    results,
    rollout,
    serve,
    setup,
    status,
    table,
    tuning,
)
from bandit.cli.console import note
from bandit.cli.help import CONTEXT_SETTINGS, PanelCommand, PanelGroup
from bandit.errors import InputError, StoreError
from bandit.printable import from_here

DONE, INTERNAL_ERROR, BAD_INPUT, STOPPED = 0, 1, 2, 130

WHICH_COMMAND = """\b
Which one do I want?
  evaluate       compare policies on a log, before any customer sees them
  learn-offline  learn a policy from a log and judge it, in one go
  replay         see what a policy would have earned while it learned
  fit            start a live database with what a log taught
  learn          learn the new outcomes of a live database"""
"""What the commands that sound alike are for."""

app = typer.Typer(
    name="offer-bandit",
    cls=PanelGroup,
    context_settings=CONTEXT_SETTINGS,
    help="Learn which combination of incentives earns most for each customer, and test it on logged data.",
    epilog=f"{WHICH_COMMAND}\n\n\b\nStart with a working example:\n  offer-bandit init example",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_COMMANDS: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("init", setup.init, "offer-bandit init example"),
    (
        "simulate",
        setup.simulate,
        "offer-bandit simulate campaign --scenario retail --customers 4000 --decisions 20000 --seed 7",
    ),
    (
        "simulate-live",
        live_simulation.simulate_live,
        "offer-bandit simulate-live live.db --scenario retail --pilot 20000 --weeks 4 --seed 7",
    ),
    (
        "import",
        setup.import_,
        "offer-bandit import offers.db log.csv --catalogue catalogue.toml --mapping mapping.toml",
    ),
    ("mappings", mappings.mappings, "offer-bandit mappings segment events.jsonl --catalogue catalogue.toml"),
    (
        "evaluate",
        evaluate.evaluate,
        "offer-bandit evaluate offers.db --policy everyone --policy thompson --baseline rules:rules.toml",
    ),
    ("audience", audience.audience, "offer-bandit audience offers.db --baseline rules:rules.toml"),
    (
        "plan",
        plan.plan,
        "offer-bandit plan catalogue.toml --decisions-per-week 40000 --explore 0.1 --response 0.15 --basket 60",
    ),
    ("results", results.results, "offer-bandit results offers.db --by option --fact gender"),
    ("lift", lift.lift, "offer-bandit lift offers.db --weeks"),
    ("incrementality", incrementality.incrementality, "offer-bandit incrementality offers.db"),
    ("report", report.report, "offer-bandit report offers.db --baseline rules:rules.toml -o report.html"),
    ("status", status.status, "offer-bandit status offers.db --watch"),
    ("dashboard", dashboard.dashboard, "offer-bandit dashboard offers.db --serve"),
    ("kill", rollout.kill, 'offer-bandit kill offers.db --by anna --reason "the coupons do not work"'),
    ("guardrails", guardrails.guardrails, "offer-bandit guardrails offers.db"),
    ("export", export.export, "offer-bandit export offers.db log.parquet"),
    (
        "learn-offline",
        learn_offline.learn_offline,
        "offer-bandit learn-offline campaign.db --policy thompson --baseline rules:rules.toml --into offers.db",
    ),
    ("replay", replay.replay, "offer-bandit replay offers.db --policy thompson --policy vw --seed 7"),
    (
        "decide",
        live.decide,
        """offer-bandit decide offers.db customer-42 --policy thompson --context '{"gender": "f", "recency": 1.4}'""",
    ),
    ("record", live.record, "offer-bandit record offers.db DECISION_ID purchase --revenue 52.00"),
    ("learn", live.learn, "offer-bandit learn offers.db --policy thompson"),
    ("table", table.table, "offer-bandit table offers.db -o table.json --baseline rules:rules.toml"),
    ("serve", serve.serve, "offer-bandit serve offers.db --workers 2 --learn-every 10s --token-file token"),
    ("why", reasons.why, "offer-bandit why offers.db DECISION_ID"),
    ("importance", reasons.importance, "offer-bandit importance offers.db"),
    ("fit", tuning.fit, "offer-bandit fit campaign.db --into offers.db --half-life 90d"),
    ("half-life", tuning.half_life, "offer-bandit half-life offers.db --candidates 14d,30d,90d,never"),
    ("exploration", tuning.exploration, "offer-bandit exploration offers.db --by week"),
    ("verify", maintenance.verify, "offer-bandit verify offers.db"),
    ("anchor", chain.anchor, "offer-bandit anchor offers.db >> anchors.txt"),
    ("rebuild", maintenance.rebuild, "offer-bandit rebuild offers.db"),
    ("backup", maintenance.backup, "offer-bandit backup offers.db offers-2026-11-22.db"),
    ("erase", privacy.erase, "offer-bandit erase offers.db customer-42 --yes"),
    ("retain", privacy.retain, "offer-bandit retain offers.db --days 400 --dry-run"),
    ("export-customer", privacy.export_customer, "offer-bandit export-customer offers.db customer-42 --out 42.json"),
    ("rotate-key", key_rotation.rotate_key, "offer-bandit rotate-key offers.db --make"),
    ("doctor", maintenance.doctor, "offer-bandit doctor offers.db"),
)
_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Start", ("init", "simulate", "simulate-live", "import", "mappings")),
    ("Judge before going live", ("evaluate", "learn-offline", "replay", "plan")),
    ("Serve and learn", ("decide", "record", "learn", "serve", "fit", "table", "catalogue", "rollout", "kill")),
    ("Watch live", ("status", "lift", "incrementality", "guardrails")),
    ("Show and explain", ("report", "results", "audience", "why", "importance", "dashboard")),
    ("Look closer", ("half-life", "exploration")),
    (
        "Keep and care",
        (
            "export",
            "verify",
            "anchor",
            "rebuild",
            "backup",
            "doctor",
            "erase",
            "retain",
            "export-customer",
            "rotate-key",
        ),
    ),
)
"""The groups in which the help lists the commands; each command is in one of them."""


def _add_commands() -> None:
    """Add every command to the application, in the order and under the groups of `_GROUPS`."""
    subcommands = {"rollout": rollout.rollout, "catalogue": catalogue.catalogue}
    declared = {name: (function, example) for name, function, example in _COMMANDS}
    for group, names in _GROUPS:
        for name in names:
            if name in subcommands:
                app.add_typer(subcommands[name], rich_help_panel=group)
                continue
            function, example = declared.pop(name)
            which = f"\n\n{WHICH_COMMAND}" if f"\n  {name} " in WHICH_COMMAND else ""
            app.command(
                name,
                cls=PanelCommand,
                context_settings=CONTEXT_SETTINGS,
                epilog=f"\b\nExample:\n  {example}{which}",
                rich_help_panel=group,
            )(function)
    if declared:
        raise LookupError(f"these commands are in no group of the help: {', '.join(declared)}")


_add_commands()


def _print_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"offer-bandit {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback prints
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[  # noqa: ARG001 - `main` reads it, so that it may stand anywhere
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Print the help if no command is given."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 bad input, 1 an internal error, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _as_note
        try:
            return _run(given)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of stdout has closed it
            return DONE
        except (KeyboardInterrupt, typer.Abort):
            note("stopped; unfinished work was not written")
            return STOPPED
        except Exception as fault:  # noqa: BLE001 - the last place where an error can become a sentence
            if debug:
                traceback.print_exc()
            return _explain(fault)


def _run(arguments: list[str]) -> int:
    """Run one command, flush what it printed, and return its exit code."""
    code = int(_command_line()(arguments, prog_name="offer-bandit", standalone_mode=False) or 0)
    sys.stdout.flush()
    return code


@cache
def _command_line() -> Callable[..., int | None]:
    """Build what parses the arguments, once in a process: that reads the signatures of all commands."""
    parse_and_run: Callable[..., int | None] = typer.main.get_command(app).main
    return parse_and_run


def _is_damage(fault: Exception) -> bool:
    """Say whether an error arose while stored values were read."""
    from bandit.store.corruption import is_damage

    return is_damage(fault)


def _explain(fault: Exception) -> int:
    """Print one sentence on stderr and return the exit code."""
    if isinstance(fault, (InputError, StoreError)):
        note(_one_line(from_here(str(fault))))
        return BAD_INPUT
    if _is_damage(fault):
        note("a stored value cannot be read as it was written, so the database is damaged; restore it from a backup")
        return BAD_INPUT
    format_message = getattr(fault, "format_message", None)
    if callable(format_message):  # an error of usage, from the click that typer brings
        context = getattr(fault, "ctx", None)
        where = getattr(context, "command_path", "offer-bandit")
        note(f"{_one_line(str(format_message()))} (see `{where} --help`)")
        return BAD_INPUT
    note(
        f"an internal error: {type(fault).__name__}: {_one_line(str(fault))}; please run the command again with "
        f"--debug and report its output, together with that of `offer-bandit doctor` (version {__version__})"
    )
    return INTERNAL_ERROR


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _as_note(message: Warning | str, *_: object, **__: object) -> None:
    note(f"note: {from_here(str(message))}")

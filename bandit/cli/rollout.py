"""The commands of the roll-out: what serves whom, changes of it, and what it has shown; and kill, for emergencies."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, cast

import typer

from bandit.cli.choices import ROLLOUT_MODES
from bandit.cli.console import OUTPUT_FORMATS, output_format, progress, show, show_json, show_plain
from bandit.cli.evaluation_options import one_of
from bandit.cli.help import CONTEXT_SETTINGS, PanelCommand, PanelGroup
from bandit.cli.options import AsJson, Database, Format, Level
from bandit.errors import InputError
from bandit.printable import from_here

if TYPE_CHECKING:
    from bandit.catalogue.live_schema import RolloutMode
    from bandit.rollout import RolloutChange, RolloutControl, RolloutState
    from bandit.store import Store

rollout = typer.Typer(
    name="rollout",
    help="Take a policy from shadow to all customers, with challengers, and back.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    cls=PanelGroup,
    context_settings=CONTEXT_SETTINGS,
)


@rollout.callback()
def start_rollout(context: typer.Context) -> None:
    """Print the help if no command is given."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")


By: TypeAlias = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who makes the change; default: the login name.")
]
Reason: TypeAlias = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, in a sentence; it stays in the history.")
]


def show_state(db: Database, as_json: AsJson = False, format_name: Format = None) -> None:
    """Show what serves whom: the mode, the live policies, and who halted them."""
    from bandit.cli.databases import reading_without_key

    style = output_format(as_json, format_name)
    with reading_without_key(db) as store:
        control = _control(store)
        latest = control.latest()
        _show_state(store, control.state, latest, style=style)


def set_mode(
    db: Database,
    mode: Annotated[str, typer.Option("--mode", metavar="MODE", help=f"One of {', '.join(ROLLOUT_MODES)}.")],
    share: Annotated[
        float | None,
        typer.Option("--share", metavar="SHARE", help="The share of the customers whom the policy serves, for ramp."),
    ] = None,
    by: By = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Set the mode: shadow, apprentice, ramp with its share of the customers, or full.

    In shadow and as an apprentice, the rules serve everybody (the fallback, where the catalogue has no rules). In a
    ramp the policy serves a share of the customers: with a larger share it keeps those that it has.
    """
    known = cast("RolloutMode", one_of(mode, ROLLOUT_MODES, "mode"))
    _change(db, lambda control, _: control.set_mode(known, share, author=_author(by), reason=reason), as_json=as_json)


def challenge(
    db: Database,
    policy: Annotated[
        int, typer.Option("--policy", metavar="N", help="The challenger, by its number in the database (see doctor).")
    ],
    share: Annotated[
        float,
        typer.Option("--share", metavar="SHARE", help="Its share of the policies' customers; 0 takes it out again."),
    ],
    champion: Annotated[
        int | None,
        typer.Option(
            "--champion",
            metavar="N",
            help="The policy that is live now; default: the champion, else the newest policy that joined by itself.",
        ),
    ] = None,
    by: By = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Serve a share of the policies' customers by a challenger; the champion has the rest.

    \b
    A fresh candidate, learned from the log of the database itself, becomes one with two commands:
      offer-bandit learn-offline offers.db --policy thompson --into offers.db
      offer-bandit rollout challenge offers.db --policy 2 --share 0.1
    """  # noqa: D301 - click reads the backspace

    def change(control: RolloutControl, store: Store) -> RolloutChange:
        first = champion
        if first is None and control.state.champion is None:
            first = _live_policy(store, policy)
        return control.challenge(policy, share, champion=first, author=_author(by), reason=reason)

    _change(db, change, as_json=as_json)


def promote(
    db: Database,
    policy: Annotated[
        int | None,
        typer.Option("--policy", metavar="N", help="The policy to promote; default: the only challenger."),
    ] = None,
    by: By = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make a challenger the champion and the only live policy; without challengers, roll the policy out in full."""
    _change(db, lambda control, _: control.promote(policy, author=_author(by), reason=reason), as_json=as_json)


def rollback(db: Database, by: By = None, reason: Reason = "", as_json: AsJson = False) -> None:
    """Return to the state before the last change; given again, to the one before that."""
    _change(db, lambda control, _: control.rollback(author=_author(by), reason=reason), declare=False, as_json=as_json)


def resume(db: Database, by: By = None, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let the policies serve again after a kill or a guardrail, in the mode in which they were."""
    _change(db, lambda control, _: control.resume(author=_author(by), reason=reason), declare=False, as_json=as_json)


def history(db: Database, as_json: AsJson = False, format_name: Format = None) -> None:
    """List every change of the roll-out: who, when, what and why."""
    from bandit.cli.databases import reading_without_key
    from bandit.report.rollout import history_rows, history_table

    style = output_format(as_json, format_name)
    with reading_without_key(db) as store:
        changes = _control(store).history()
    if show_plain(
        style, lambda: [_change_json(each) for each in changes], lambda: [("changes", history_rows(changes))]
    ):
        return
    show([history_table(changes)] if changes else [], [] if changes else ["The roll-out was never changed."])


def report(db: Database, level: Level = 0.95, as_json: AsJson = False, format_name: Format = None) -> None:
    """Report what the roll-out has shown: the policy in shadow, and the arms against each other.

    In shadow: how often the policy would have made the offer that was served, and what it would earn, estimated from
    the rules' traffic. In a ramp and with challengers: what each arm earned since the assignment of customers last
    changed, and the differences. The intervals of differences hold at every look; a customer counts once.
    """
    from bandit.cli.databases import catalogue_for, reading_without_key
    from bandit.clock import now
    from bandit.evaluate.rollout_report import rollout_report
    from bandit.report.evaluations import unit_of
    from bandit.report.rollout import rollout_report_lines, rollout_report_tables, rollout_report_verdicts

    style = output_format(as_json, format_name)
    with reading_without_key(db) as store:
        catalogue = catalogue_for(store, None)
        with progress("reading") as shown:
            found = rollout_report(store, catalogue, now=now(), level=level, progress=shown)
    if show_plain(style, found.to_dict, lambda: [("comparisons", found)]):
        return
    unit = unit_of(catalogue.objective, catalogue.currency)
    verdicts = rollout_report_verdicts(found)
    show(rollout_report_tables(found, unit), rollout_report_lines(found), verdicts=verdicts)


def kill(db: Database, by: By = None, reason: Reason = "", as_json: AsJson = False) -> None:
    """Serve the fallback to everybody, now: in every process, from its next decision on.

    Asks nothing, for emergencies. Processes look for it ten times a second. `offer-bandit rollout resume` ends it.
    """
    _change(
        db,
        lambda control, _: control.kill(author=_author(by), reason=reason),
        declare=False,
        as_json=as_json,
        lines=[
            "Every process serves the fallback from its next decision on, within a second.",
            "To end it:",
            f"  offer-bandit rollout resume {shlex.quote(str(db))}",
        ],
    )


COMMANDS_OF_ROLLOUT: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("show", show_state, "offer-bandit rollout show offers.db"),
    ("set", set_mode, 'offer-bandit rollout set offers.db --mode ramp --share 0.1 --by anna --reason "shadow is well"'),
    ("challenge", challenge, "offer-bandit rollout challenge offers.db --policy 2 --share 0.1"),
    ("promote", promote, "offer-bandit rollout promote offers.db"),
    ("rollback", rollback, "offer-bandit rollout rollback offers.db"),
    ("resume", resume, "offer-bandit rollout resume offers.db"),
    ("history", history, "offer-bandit rollout history offers.db"),
    ("report", report, "offer-bandit rollout report offers.db"),
)
for _name, _function, _example in COMMANDS_OF_ROLLOUT:
    rollout.command(_name, cls=PanelCommand, context_settings=CONTEXT_SETTINGS, epilog=f"\b\nExample:\n  {_example}")(
        _function
    )


# -- inside ------------------------------------------------------------------------------------------------------------


def _change(
    db: Path,
    change: Callable[[RolloutControl, Store], RolloutChange],
    *,
    declare: bool = True,
    as_json: bool,
    lines: list[str] | None = None,
) -> None:
    """Make a change of the roll-out, after what the catalogue declares if `declare`, and print it and the new state."""
    from bandit.cli.databases import writing_without_key
    from bandit.report.rollout import change_words

    with writing_without_key(db) as store:
        control = _control(store)
        with store.transaction():
            if declare:
                control.declare()
            made = change(control, store)
        if as_json:
            show_json(_change_json(made))
            return
        _show_state(store, made.state, None, [f"Change {made.id}: {change_words(made)}.", *(lines or [])])


def _live_policy(store: Store, challenger: int) -> int:
    """Return the policy that is live where the roll-out names none; InputError where it is not plain which."""
    from bandit.engine.default_policy import default_policy

    live = store.decisions.newest_policy()
    known = {row.id for row in store.catalogues.policies()}
    found = live if live in known else default_policy(store)
    if found is None or found == challenger:
        raise InputError(
            f"{store.path}: it is not plain which policy is live beside policy {challenger}; name it with --champion"
        )
    return found


def _control(store: Store) -> RolloutControl:
    from bandit.cli.databases import catalogue_for
    from bandit.rollout import RolloutControl

    return RolloutControl(store, catalogue_for(store, None))


def _show_state(
    store: Store,
    state: RolloutState,
    latest: RolloutChange | None,
    lines: list[str] | None = None,
    *,
    style: str = OUTPUT_FORMATS[0],
) -> None:
    """Print a state: what serves whom, by which policies, and the newest change."""
    from bandit.report.rollout import change_words, state_rows, state_table, state_words

    specs = {row.id: row.spec for row in store.catalogues.policies()}
    known = {
        each.policy_id: (str(specs.get(each.policy_id, {}).get("kind")), store.ledger.latest_step(each.policy_id))
        for each in state.policies
    }

    def document() -> dict[str, object]:
        live = [
            asdict(each) | dict(zip(("kind", "step"), known[each.policy_id], strict=True)) for each in state.policies
        ]
        last = None if latest is None else _change_json(latest)
        arms = [asdict(each) for each in state.arms]
        return asdict(state) | {"policies": live, "arms": arms, "words": state_words(state), "change": last}

    if show_plain(style, document, lambda: [("arms", state_rows(state, known))]):
        return
    said = [f"{state_words(state)}."]
    if latest is not None:
        said.append(f"Last change, number {latest.id}: {change_words(latest)}.")
    if state.halted is not None and lines is None:
        said += ["To end it:", f"  offer-bandit rollout resume {shlex.quote(from_here(str(store.path)))}"]
    show([state_table(state, known)], [*said, *(lines or [])])


def _change_json(change: RolloutChange) -> dict[str, object]:
    """Return a change as plain JSON values."""
    from bandit.report.times import iso_second

    return asdict(change) | {"time": iso_second(change.time)}


def _author(given: str | None) -> str:
    """Return who makes a change: the name given, or the login name."""
    import getpass

    if given is not None:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name, as in containers
        raise InputError("the login name is not known; say who makes the change with --by NAME") from None

"""The command that simulates a live campaign with groups whose truth is known: simulate-live."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, cast

import typer

from bandit.cli.choices import ONE_POLICY_FORMS
from bandit.cli.console import progress, show, show_json
from bandit.cli.evaluation_options import parse_shares
from bandit.cli.options import AsJson, Seed
from bandit.cli.setup import installed_command

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class LiveSimulation:
    """The options of `simulate-live`, as given on the command line."""

    catalogue: Path | None
    scenario: str
    customers: int
    visits: int
    weeks: int
    looks: Sequence[int]
    shares: Mapping[str, float] | None
    salt: str
    policy: str
    pilot: int
    side_events: Sequence[str]
    seed: int


class SimulateLive(Protocol):
    """The signature of the entry point "simulate-live"."""

    def __call__(
        self, path: Path, wanted: LiveSimulation, progress: Callable[[int, int], None] | None
    ) -> tuple[Mapping[str, object], Sequence[tuple[Sequence[Table], Sequence[str]]]]:
        """Serve the campaign from a new database; return plain JSON values, and tables with the lines below them."""
        ...


def simulate_live(
    db: Annotated[Path, typer.Argument(metavar="NEW.db", help="The database to create; it is kept.")],
    catalogue: Annotated[
        Path | None,
        typer.Option(
            "--catalogue",
            metavar="FILE",
            help="A catalogue (TOML) of the scenario's offers and facts, with [groups]; default: the scenario's own.",
        ),
    ] = None,
    scenario: Annotated[str, typer.Option(help="The scenario to simulate, such as retail, drift or tiny.")] = "retail",
    customers: Annotated[int, typer.Option(min=1, help="Customers in the market.")] = 4_000,
    visits: Annotated[int, typer.Option(min=1, help="Decisions per week.")] = 5_000,
    weeks: Annotated[int, typer.Option(min=1, help="Weeks of decisions.")] = 4,
    look: Annotated[
        list[int] | None,
        typer.Option(metavar="WEEK", min=1, help="Compare after this week; can be repeated. Default: halfway, end."),
    ] = None,
    shares: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES",
            help='Without --catalogue: the shares of the groups; default: "policy=0.85,rules=0.1,random=0.05".',
        ),
    ] = None,
    salt: Annotated[str, typer.Option(help="Without --catalogue: the salt that deals customers to groups.")] = "",
    policy: Annotated[
        str, typer.Option(metavar="POLICY", help=f"The policy that learns. One of {ONE_POLICY_FORMS}.")
    ] = "thompson",
    pilot: Annotated[
        int,
        typer.Option(min=0, help="Decisions under today's rules, logged before, that the policy has learned."),
    ] = 0,
    side_event: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVENT=RATE",
            help="An event beside purchases and its rate per decision, in one group with EVENT@GROUP=RATE; can be "
            "repeated.",
        ),
    ] = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Simulate a live campaign with groups, and show what lift says beside the truth.

    An engine serves simulated customers for some weeks in a new database: each customer is in a group, as the catalogue
    declares, purchases come after their delay, and the policy learns every day. After half of the weeks and at the end
    the groups are compared as `offer-bandit lift` compares them at that time, on the decisions whose window is over.
    Beside each difference stands the true one, which the simulator knows.

    The database has a log like any other: lift, verify, rebuild and doctor read it. With a pilot the log begins with
    decisions under today's rules, which lift leaves out. The same options, seed and customer key give the same output.
    """
    from bandit.cli.databases import all_or_nothing

    wanted = LiveSimulation(
        catalogue=catalogue,
        scenario=scenario,
        customers=customers,
        visits=visits,
        weeks=weeks,
        looks=look or (),
        shares=None if shares is None else parse_shares(shares),
        salt=salt,
        policy=policy,
        pilot=pilot,
        side_events=side_event or (),
        seed=seed,
    )
    campaign = cast("SimulateLive", installed_command("simulate-live"))
    with all_or_nothing(db), progress("simulating") as report:
        found, parts = campaign(db, wanted, report)
    if as_json:
        show_json(found)
        return
    for tables, lines in parts:
        show(tables, lines)

"""Arguments and options shared by several commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from bandit.cli.choices import ONE_POLICY_FORMS, POLICY_FORMS
from bandit.cli.help import ESTIMATION, LOG, OUTPUT, POLICIES

Database: TypeAlias = Annotated[Path, typer.Argument(metavar="DB", help="The database: one SQLite file.")]
AsJson: TypeAlias = Annotated[
    bool,
    typer.Option("--json", help="Print JSON on stdout instead of tables.", rich_help_panel=OUTPUT),
]
Format: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="table, json (as --json), csv (numbers not rounded) or md; default: table.",
        rich_help_panel=OUTPUT,
    ),
]
Details: TypeAlias = Annotated[
    bool,
    typer.Option("--details", help="Show also weights, effective decisions and every finding.", rich_help_panel=OUTPUT),
]
CatalogueFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--catalogue",
        metavar="FILE",
        help="The catalogue (TOML); default: the newest in the database.",
        rich_help_panel=LOG,
    ),
]
Policies: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--policy",
        metavar="POLICY",
        help=f"A policy; can be repeated. One of {POLICY_FORMS} (each offer as a policy of its own).",
        rich_help_panel=POLICIES,
    ),
]
OnePolicy: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="POLICY",
        help=f"One of {ONE_POLICY_FORMS}; default: the champion, else the newest in the database.",
        rich_help_panel=POLICIES,
    ),
]
PolicyId: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--policy-id",
        metavar="N",
        help="A policy by its number in the database.",
        rich_help_panel=POLICIES,
    ),
]
Seed: TypeAlias = Annotated[
    int, typer.Option("--seed", min=0, help="Seed of the random numbers.", rich_help_panel=ESTIMATION)
]
Level: TypeAlias = Annotated[
    float, typer.Option("--level", help="Confidence level of the intervals.", rich_help_panel=ESTIMATION)
]
Objective: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--objective",
        metavar="KIND",
        help="conversion, revenue, profit or reward; default: the catalogue's.",
        rich_help_panel=LOG,
    ),
]
Event: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--event",
        metavar="NAME",
        help="The event that counts as a conversion; default: the catalogue's.",
        rich_help_panel=LOG,
    ),
]
Window: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="DURATION",
        help='Time after a decision in which events count, such as "7d"; default: the catalogue\'s.',
        rich_help_panel=LOG,
    ),
]
WrittenBy: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="ID",
        help="Use only the decisions of this policy, by its number (see doctor).",
        rich_help_panel=LOG,
    ),
]
MappingFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--mapping",
        metavar="FILE",
        help="The mapping of a log file's columns (TOML), or one that ships (see `mappings`); not needed for an "
        "export.",
        rich_help_panel=LOG,
    ),
]
Cluster: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="WHERE",
        help="Where a dataset is computed: off, local[:N] (N processes) or a Dask scheduler's address, such as "
        "tcp://10.0.0.5:8786; default: local for a million decisions and more.",
        rich_help_panel=LOG,
    ),
]


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which log to read, as given on the command line: the file, its catalogue and objective, one policy or all."""

    path: Path
    catalogue: Path | None
    mapping: Path | None
    objective: str | None
    event: str | None
    window: str | None
    written_by: int | None
    cluster: str | None = None

"""The command that writes a report as one HTML file: report."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.console import note, progress, show, show_json
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Cluster,
    Event,
    Level,
    LogOptions,
    MappingFile,
    Objective,
    Seed,
    Window,
    WrittenBy,
)
from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.cli.logs import Opened
    from bandit.report.html import ReportContents, ReportOptions, ReportSource


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """The options of `report`, as given on the command line."""

    log: LogOptions
    out: Path
    policies: tuple[str, ...]
    baseline: str | None
    by: tuple[str, ...]
    since: str | None
    now: str | None
    folds: int | None
    quick: bool
    verify: bool
    title: str
    level: float
    seed: int

    def arguments(self) -> str:
        """Return the options that other commands need to read the same log."""
        named = (("--catalogue", self.log.catalogue), ("--mapping", self.log.mapping))
        return " ".join(f"{name} {shlex.quote(str(value))}" for name, value in named if value is not None)

    def command(self, now: str) -> str:
        """Return the command line that makes the same report again."""
        log = self.log
        named: list[tuple[str, object]] = [
            ("--catalogue", log.catalogue), ("--mapping", log.mapping), ("--objective", log.objective),
            ("--event", log.event), ("--window", log.window), ("--written-by", log.written_by),
            *(("--policy", each) for each in self.policies), ("--baseline", self.baseline),
            *(("--by", each) for each in self.by), ("--since", self.since), ("--folds", self.folds),
            ("--title", self.title or None), ("--level", None if self.level == 0.95 else self.level),
            ("--seed", self.seed), ("--now", now),
        ]  # fmt: skip
        words = ["offer-bandit", "report", str(log.path)]
        for name, value in named:
            words += [] if value is None else [name, str(value)]
        words += ["--quick"] * self.quick + ["--verify"] * self.verify + ["-o", str(self.out)]
        return shlex.join(words)


def report(
    db: Annotated[
        Path, typer.Argument(metavar="DB", help="A database, a log file (Parquet, CSV, dsjson) or a dataset.")
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE.html", help="Where to write; an older report is replaced.")
    ] = Path("report.html"),
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="POLICY",
            help="A policy to judge, as in `evaluate`; can be repeated; default: thompson, learned from this log.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help="Today's rules, such as rules:rules.toml; default: those of the catalogue's groups, else logged.",
        ),
    ] = None,
    catalogue: CatalogueFile = None,
    mapping: MappingFile = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="FACT", help="A fact whose segments are shown; can be repeated; default: all that fit."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="ISO", help="Use only the decisions from this time on; default: all.")
    ] = None,
    written_by: WrittenBy = None,
    cluster: Cluster = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2, metavar="N", help="Folds by which policies learn; default: 5, for more than 50,000 decisions 2."
        ),
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="The report's title; default: the log's name.")] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="A first look: two folds, and no search that takes long.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Also compute every decision of the database again, which takes long.")
    ] = False,
    now: Annotated[
        str | None,
        typer.Option(metavar="ISO", help="The time of the report, to make it again as it was; default: the clock's."),
    ] = None,
    level: Level = 0.95,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Write a report for people: one HTML file that needs no network, for a screen, a phone and paper.

    It begins with the verdict: what the policy earns more than today's rules, how sure that is, and what to do next.
    Then charts, each with one sentence and its numbers. With live groups the verdict is about their lift, else about
    the best policy judged from the log. What cannot be told is grey, and says why.

    Most of the time is spent on policies that learn: each learns the log once for every fold. For 200,000 decisions
    that is a minute or two; --quick is a first look.
    """
    request = ReportRequest(
        log=LogOptions(db, catalogue, mapping, objective, event, window, written_by, cluster),
        out=out,
        policies=tuple(policy or ()),
        baseline=baseline,
        by=tuple(by or ()),
        since=since,
        now=now,
        folds=folds,
        quick=quick,
        verify=verify,
        title=title,
        level=level,
        seed=seed,
    )
    contents = _write(request)
    _tell(request, contents, as_json=as_json)


def _write(request: ReportRequest) -> ReportContents:
    """Write the report and return what it shows."""
    from bandit.cli.clusters import part_runner
    from bandit.cli.live import parse_moment
    from bandit.cli.logs import opened
    from bandit.clock import now as clock
    from bandit.report.html import write_report
    from bandit.report.html.document import check_report_path

    check_report_path(request.out)
    moment = parse_moment(request.now) or clock()
    with opened(request.log, "report on") as found:
        source = _source(request, found, moment)
        with part_runner(found.log, request.log.cluster) as runner, progress("reporting") as shown:
            options = replace(_options(request, source, moment), runner=runner)
            return write_report(request.out, source, options, shown)


def _source(request: ReportRequest, found: Opened, moment: int) -> ReportSource:
    from bandit.cli.live import parse_moment
    from bandit.cli.logs import unused
    from bandit.report.html import ReportSource
    from bandit.report.html.database import database_source
    from bandit.store import StoreLog

    name, since = str(request.log.path), parse_moment(request.since)
    if found.store is None:
        if since is not None:
            raise InputError(f"{name}: --since is for databases; leave out the earlier rows of the file instead")
        return ReportSource(
            name,
            found.log,
            found.catalogue,
            left_out=tuple(unused(found.log, counted_in=True)),
            arguments=request.arguments(),
        )
    source = database_source(
        found.store, found.catalogue, now=moment, written_by=request.log.written_by, since=since, name=name
    )
    for sentence in source.left_out:
        note(f"note: {sentence}")
    left = unused(source.log, counted_in=True) if isinstance(source.log, StoreLog) else []
    return replace(source, left_out=(*source.left_out, *left), arguments=request.arguments())


def _options(request: ReportRequest, source: ReportSource, moment: int) -> ReportOptions:
    from bandit.cli.live import parse_moment
    from bandit.cli.policies import parse_policies
    from bandit.report.html import ReportOptions
    from bandit.report.times import iso_second

    texts = request.policies or ("thompson",)
    named, base = parse_policies(source.catalogue, texts, request.baseline)
    return ReportOptions(
        now=moment,
        policies=named,
        baseline=base,
        by=request.by,
        since=parse_moment(request.since),
        level=request.level,
        seed=request.seed,
        folds=request.folds,
        quick=request.quick,
        verify=request.verify,
        title=request.title,
        command=request.command(iso_second(moment)),
    )


def _tell(request: ReportRequest, contents: ReportContents, *, as_json: bool) -> None:
    """Print the verdict in one sentence, and where the report is."""
    from bandit.report.html.verdict_card import verdict_card

    card = verdict_card(contents)
    if as_json:
        show_json({"verdict": card.verdict, "sentence": card.sentence, "report": str(request.out)})
        return
    show([], [f"{card.verdict}: {card.headline}. {card.sentence}", f"Written: {request.out}"])

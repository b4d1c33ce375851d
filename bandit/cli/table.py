"""The command that distils a policy to a table: table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.console import note, progress, show, show_json
from bandit.cli.help import ESTIMATION, OUTPUT
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Database,
    Event,
    Level,
    LogOptions,
    MappingFile,
    Objective,
    OnePolicy,
    PolicyId,
    Seed,
    Window,
    WrittenBy,
)
from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.analysis.policy_table import DistilledTable, DistilOptions
    from bandit.cli.logs import Opened
    from bandit.domain import Log, Policy, Progress
    from bandit.evaluate.stand_in import StandInValue
    from bandit.policies.table_file import TableSource

DEFAULT_TABLE_POLICY = "thompson"
"""The policy that is learned from a log where neither a database nor the caller names one."""


@dataclass(frozen=True, slots=True)
class TableRequest:
    """The options of `table`, as given on the command line."""

    out: Path
    policy: str | None
    policy_id: int | None
    baseline: str
    distil: DistilOptions
    as_of: str | None
    value: bool
    folds: int
    level: float
    seed: int
    written_by: int | None


def table(
    db: Database,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The file to write: .json, or .csv.")],
    policy: OnePolicy = None,
    policy_id: PolicyId = None,
    rows: Annotated[int, typer.Option(min=1, metavar="N", help="Most rows of the table.")] = 12,
    by: Annotated[
        str, typer.Option(metavar="FACTS", help="Facts to tell customers apart by, with commas; default: all.")
    ] = "",
    min_customers: Annotated[
        int, typer.Option(min=1, metavar="N", help="Fewest customers of the sample in a row.")
    ] = 50,
    least: Annotated[
        float, typer.Option(metavar="P", help="Smallest probability of an offer that is kept in a row.")
    ] = 0.002,
    explore: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Share of each row to spread evenly, so that answers can be learned from."),
    ] = 0.0,
    baseline: Annotated[
        str,
        typer.Option(metavar="POLICY", help='What the value kept is measured above; "logged" is what the log earned.'),
    ] = "logged",
    value: Annotated[
        bool, typer.Option("--value/--no-value", help="Estimate what the table keeps.", rich_help_panel=ESTIMATION)
    ] = True,
    folds: Annotated[
        int, typer.Option(min=2, help="Parts of the customers to cross-fit over.", rich_help_panel=ESTIMATION)
    ] = 2,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="ISO", help="The policy and the log as they were at this time; default: now."),
    ] = None,
    import_mapping: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write a mapping by which a client's file of decisions made from the table is imported.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    catalogue: CatalogueFile = None,
    mapping: MappingFile = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    written_by: WrittenBy = None,
    level: Level = 0.95,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Distil a policy to a small table for e-mail tools and clients that cannot call: segments, and offers in each.

    A tree over the declared facts splits the customers of the log so that little of the policy's own expected value is
    lost; a row gives everybody in it the mean probabilities of the policy. An offer that a rule of the catalogue may
    take away from somebody in a row is not in that row. The last row is for everybody else, as where a fact is missing.

    A client draws from its row by a hash, in three lines that the file states; decisions made so come back by `import`
    with their exact propensities (--import-mapping). The policy is the one of the database, with what it has learned;
    with --policy, or for a log file (Parquet, CSV, dsjson; with --catalogue and --mapping), it learns from the log
    first. What the table keeps of the policy's value is estimated on customers that neither has learned from.
    """
    from bandit.analysis.policy_table import DistilOptions
    from bandit.cli.evaluation_options import split_names
    from bandit.cli.logs import left_out_json, opened
    from bandit.ope.estimate import check_level

    check_level(level)
    if out.suffix not in {".json", ".csv"}:
        raise InputError(f"{out}: a table is written as .json, or as .csv for a spreadsheet; give one of these endings")
    distil = DistilOptions(rows, split_names(by), min_customers, least, explore)
    asked = TableRequest(out, policy, policy_id, baseline, distil, as_of, value, folds, level, seed, written_by)
    options = LogOptions(db, catalogue, mapping, objective, event, window, written_by)
    with opened(options, "make a table of") as found:
        made, kept, source = _make(asked, found)
        _write(asked, made, import_mapping, found)
        if as_json:
            document = made.to_dict() | {"policy": source, "file": str(out), "seed": seed}
            document |= {"value": None if kept is None else kept.to_dict()} | left_out_json(found.log)
            show_json(document)
            return
        _show(asked, found, made, kept, source)


def _make(asked: TableRequest, found: Opened) -> tuple[DistilledTable, StandInValue | None, str]:
    """Return the table, what it keeps of the policy's value, and where the policy is from."""
    import numpy as np

    from bandit.analysis.policy_table import distil
    from bandit.cli.live import parse_moment
    from bandit.cli.policies import parse_policy
    from bandit.clock import now
    from bandit.evaluate import LOGGED
    from bandit.evaluate.stand_in import stand_in_value
    from bandit.report.times import iso_minute

    moment = parse_moment(asked.as_of)
    log = found.log if moment is None else _log_before(found, moment, asked.written_by)
    policy, source, words = _policy(asked, found, log, moment)
    made_at = iso_minute(now() if moment is None else moment)

    def table_of(one: Policy, part: Log, report: Progress | None = None) -> DistilledTable:
        return distil(
            part,
            one,
            found.catalogue,
            source,
            made_at,
            options=asked.distil,
            rng=np.random.default_rng(asked.seed),
            progress=report,
        )

    with progress("making the table") as report:
        made = table_of(policy, log, report)
    if not asked.value:
        return made, None, words
    baseline = LOGGED if asked.baseline == LOGGED else parse_policy(found.catalogue, asked.baseline)
    with progress("estimating what it keeps") as report:
        kept = stand_in_value(
            log,
            policy,
            lambda one, part: table_of(one, part).table,
            baseline=baseline,
            catalogue=found.catalogue,
            rng=np.random.default_rng(asked.seed),
            folds=asked.folds,
            level=asked.level,
            progress=report,
        )
    return made, kept, words


def _log_before(found: Opened, moment: int, written_by: int | None) -> Log:
    """Return the decisions before a moment whose outcomes are settled by now; InputError without any."""
    from bandit.cli.logs import require_rows
    from bandit.clock import now
    from bandit.store import StoreLog, Where

    if found.store is None:
        raise InputError("--as-of needs a database, which has the states of a policy; leave it out for a log file")
    settled = now() - found.catalogue.objective.window
    where = Where(policy_id=written_by, settled_before=settled, before_time=moment)
    log = StoreLog(found.store, found.catalogue, where=where)
    require_rows(str(found.store.path), log, "make a table of before this time")
    return log


def _policy(asked: TableRequest, found: Opened, log: Log, moment: int | None) -> tuple[Policy, TableSource, str]:
    """Return the policy to distil, how the table names it, and where it is from, in words."""
    from bandit.cli.policies import parse_policy
    from bandit.engine.default_policy import default_policy
    from bandit.evaluate import teach
    from bandit.policies.table_file import TableSource

    if asked.policy is not None and asked.policy_id is not None:
        raise InputError("--policy and --policy-id both name the policy; give one of them")
    if asked.policy_id is not None and found.store is None:
        raise InputError("--policy-id names a policy of a database; give a log file's policy by --policy")
    number = asked.policy_id
    if number is None and asked.policy is None and found.store is not None:
        number = default_policy(found.store)
    if number is not None:
        return _stored(found, number, moment)
    text = asked.policy or DEFAULT_TABLE_POLICY
    policy = parse_policy(found.catalogue, text)
    source = TableSource(str(policy.spec()["kind"]), policy.name)
    if not policy.learns:
        return policy, source, f"{policy.name}, which learns nothing"
    with progress("learning from the log") as report:
        teach(policy, log, 65_536, report)
    return policy, source, f"{policy.name}, learned from the {log.n:,} decisions of this log"


def _stored(found: Opened, number: int, moment: int | None) -> tuple[Policy, TableSource, str]:
    """Return a policy of the database with what it has learned, up to a moment."""
    from bandit.learning import StateWalk
    from bandit.policies.table_file import TableSource
    from bandit.printable import counted
    from bandit.store import Where

    store = found.store
    assert store is not None  # noqa: S101 - the caller has looked
    rows = {row.id: row for row in store.catalogues.policies()}
    if number not in rows:
        raise InputError(f"{store.path}: there is no policy {number}; known are {', '.join(map(str, rows)) or 'none'}")
    if store.catalogues.get(rows[number].catalogue_id).version != found.catalogue.version:
        raise InputError(
            f"{store.path}: policy {number} is of another catalogue or objective than the log is read by; name a "
            "policy of this one with --policy-id, or one that learns from the log, such as --policy thompson"
        )
    step = store.ledger.latest_step(number) or 0
    if moment is not None:
        objective, last = found.catalogue.objective, store.decisions.last_seq_until(moment)
        made = store.decisions.page(
            objective.event,
            objective.window,
            after_seq=max(last - 65_536, 0),
            through_seq=last,
            where=Where(policy_id=number, before_time=moment),
        )
        if not len(made.seq):
            raise InputError(f"{store.path}: policy {number} has not decided before this time; leave --as-of out")
        step = int(made.policy_step.max())
    walk = StateWalk(store, number)
    walk.skip_to_snapshot(step)
    policy = walk.move_to(step)
    source = TableSource(str(policy.spec()["kind"]), policy.name, number, walk.step)
    return policy, source, f"policy {number} ({policy.name}) after {counted(walk.step, 'step')} of learning"


def _write(asked: TableRequest, made: DistilledTable, import_mapping: Path | None, found: Opened) -> None:
    """Write the files; InputError where that cannot be done."""
    from bandit.cli.table_files import mapping_text, table_csv

    content = made.table.to_bytes() if asked.out.suffix == ".json" else table_csv(made).encode()
    files = {asked.out: content}
    if import_mapping is not None:
        if asked.out.suffix != ".json":
            raise InputError("--import-mapping names the table's file, which must be .json; write that one too")
        files[import_mapping] = mapping_text(asked.out, import_mapping, found.catalogue).encode()
    for path, each in files.items():
        try:
            path.write_bytes(each)
        except OSError as fault:
            raise InputError(f"{path}: cannot be written: {fault.strerror}; choose another place") from fault


def _show(asked: TableRequest, found: Opened, made: DistilledTable, kept: StandInValue | None, source: str) -> None:
    from bandit.cli.logs import unused
    from bandit.report.evaluations import unit_of
    from bandit.report.policy_table import (
        kept_sentence,
        left_out_sentence_of,
        policy_table_table,
        told_apart_sentence,
    )

    unit = unit_of(found.catalogue.objective, found.catalogue.currency)
    first = [] if kept is None else [kept_sentence(kept, made.table.document.policy.name, unit), ""]
    show([], first)
    below = [told_apart_sentence(made), left_out_sentence_of(made), f"The policy is {source}."]
    show([policy_table_table(made)], [*(each for each in below if each), *unused(found.log)])
    note(f"Written to {asked.out}: table {made.table.document.id}.")

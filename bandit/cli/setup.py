"""The commands that create example data and import logs: init, simulate, import."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from importlib import metadata, resources
from pathlib import Path
from typing import Annotated, Protocol, cast

import typer

from bandit.cli.console import note, output_format, progress, show, show_json, show_plain
from bandit.cli.options import AsJson, CatalogueFile, Database, Format, Seed
from bandit.errors import InputError, LogFileError

COMMANDS = "offer_bandit.commands"
"""The entry-point group in which other packages offer commands."""

NEXT = (
    "offer-bandit import offers.db log.csv --catalogue catalogue.toml --mapping mapping.toml",
    "offer-bandit evaluate offers.db --policy rules:rules.toml --policy thompson --baseline rules:rules.toml",
    "offer-bandit learn offers.db --policy thompson",
    "offer-bandit decide offers.db customer-42 --fact gender=f --fact recency=2.5 --decision-id first",
    "offer-bandit record offers.db first purchase --revenue 52",
    "offer-bandit verify offers.db",
)
"""The commands that `init` prints, to be run in the directory of the example."""


WITHOUT_PROPENSITIES = (
    "Propensities are unknown: policies can learn from these decisions, `evaluate` has to estimate how probable each "
    "offer was from the facts in the log, and `replay` and `half-life --even` refuse them."
)


class SimulateCampaign(Protocol):
    """The signature of the entry point "simulate"."""

    def __call__(
        self,
        scenario: str,
        customers: int,
        decisions: int,
        seed: int,
        out: Path,
        progress: Callable[[int, int], None] | None,
    ) -> Mapping[str, object]:
        """Write a campaign below `out` and return what was written, as plain JSON values."""
        ...


def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write the files.")] = Path(),
    log: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Your own log (CSV, gzipped CSV, Parquet) to draft the files for."),
    ] = None,
    outcome: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help='With --from: what says whether it came to anything; "COLUMN=WORD" for other words.'
        ),
    ] = None,
    revenue: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="With --from: the money that came of it.")
    ] = None,
    offer: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="With --from: what was offered; can be repeated.")
    ] = None,
    customer: Annotated[str | None, typer.Option(metavar="COLUMN", help="With --from: the customer.")] = None,
    time: Annotated[str | None, typer.Option(metavar="COLUMN", help="With --from: when it was offered.")] = None,
    time_format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="With --from: how times are written, such as %d.%m.%Y.")
    ] = None,
    propensity: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help='With --from: how probable the offer was: a column, "1/3", or "unknown".'),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="With --from: the share of the revenue that is earned, for profit.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(metavar="CODE", help="With --from: the currency, such as EUR.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="OPTION", help="With --from: what everybody gets today, to compare with.")
    ] = None,
    no_evaluate: Annotated[bool, typer.Option("--no-evaluate", help="With --from: only write the files.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Write a working example, or draft the files for a log of your own with --from.

    The example is a catalogue, segment rules, a small synthetic log, and its mapping. With --from, a file that was
    never seen before is looked at: which columns are the offer, the outcome, facts, time and customer, and how numbers
    and dates are written. A catalogue, a mapping and rules are drafted, with every guess and its reason as a comment,
    and policies are evaluated for the first time. What cannot be guessed is asked for by the name of the option that
    says it.
    """
    from bandit.logfiles import DraftOptions

    said = DraftOptions(
        outcome=outcome,
        revenue=revenue,
        offers=tuple(offer or ()),
        customer=customer,
        time=time,
        time_format=time_format,
        propensity=propensity,
        margin=margin,
        currency=currency,
        baseline=baseline,
    )
    if log is not None:
        from bandit.cli.draft import DraftRequest, draft_files

        draft_files(DraftRequest(log, directory, force, not no_evaluate, seed, as_json), said)
        return
    if said != DraftOptions() or no_evaluate:
        raise InputError("init writes its own example without --from; name your log by --from FILE")
    _write_example(directory, force=force, seed=seed, as_json=as_json)


def _write_example(directory: Path, *, force: bool, seed: int, as_json: bool) -> None:
    """Write the example and print the next commands; InputError where its files are there already."""
    import numpy as np

    from bandit.catalogue import Catalogue
    from bandit.cli.sample import sample_log
    from bandit.policies import SegmentRules

    templates = resources.files("bandit") / "examples"
    texts = {name: (templates / name).read_text(encoding="utf-8") for name in _TEMPLATES}
    existing = [name for name in (*texts, "log.csv") if (directory / name).exists()]
    if existing and not force:
        raise InputError(
            f"{directory}: has {', '.join(existing)} already; choose another directory, or overwrite with --force"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (directory / name).write_text(text, encoding="utf-8")
        catalogue = Catalogue.from_toml(directory / "catalogue.toml")
        rules = SegmentRules.from_toml(catalogue, directory / "rules.toml")
        log = sample_log(catalogue, rules, np.random.default_rng(seed))
        (directory / "log.csv").write_text(log, encoding="utf-8")
    except OSError as fault:
        raise InputError(f"{directory}: cannot be written: {fault.strerror}; choose another directory") from fault
    commands = [*([] if directory == Path() else [f"cd {shlex.quote(str(directory))}"]), *NEXT]
    if as_json:
        show_json({"directory": str(directory), "files": [*texts, "log.csv"], "next": commands})
        return
    show(
        [], [f"Written to {directory}: {', '.join([*texts, 'log.csv'])}.", "Next:", *(f"  {line}" for line in commands)]
    )


_TEMPLATES = ("catalogue.toml", "rules.toml", "mapping.toml")


def simulate(
    out: Annotated[Path, typer.Argument(help="The directory to write to.")],
    scenario: Annotated[str, typer.Option(help="The scenario to simulate, such as retail, drift or tiny.")] = "retail",
    customers: Annotated[int, typer.Option(min=1, help="Customers in the market.")] = 4_000,
    decisions: Annotated[int, typer.Option(min=1, help="Decisions to log.")] = 20_000,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Write a simulated campaign with its catalogue, segment rules and mapping, ready for import."""
    campaign = cast("SimulateCampaign", installed_command("simulate"))
    with progress("simulating") as report:
        written = campaign(scenario, customers, decisions, seed, out, report)
    if as_json:
        show_json(dict(written))
        return
    show([], [f"{name}: {value}" for name, value in written.items()])


def installed_command(name: str) -> object:
    """Return the function that another package offers for a command; InputError if there is none."""
    found = list(metadata.entry_points(group=COMMANDS, name=name))
    if not found:
        raise InputError(f"{name} needs the simulator, which is not installed; reinstall offer-bandit")
    return found[0].load()


def import_(
    db: Database,
    log: Annotated[Path, typer.Argument(help="The log: CSV, gzipped CSV, Parquet or dsjson.")],
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping",
            metavar="FILE",
            help="What each column of the log means (TOML), or a mapping that ships, such as segment (see "
            "`mappings`); default: the layout of `export`.",
        ),
    ] = None,
    catalogue: CatalogueFile = None,
    strict: Annotated[bool, typer.Option("--strict", help="Import nothing if any row is rejected.")] = False,
    accept_refused: Annotated[
        bool,
        typer.Option(
            "--accept-refused",
            help="Import what can be read, even if rows are rejected because of their outcome or ids have lost digits; "
            "later results say so.",
        ),
    ] = False,
    as_new: Annotated[
        bool,
        typer.Option(
            "--as-new", help="Take all rows as new decisions, even if they look like rows that are in the log already."
        ),
    ] = False,
    list_refused: Annotated[int, typer.Option("--list", min=0, help="How many rejected rows to list.")] = 20,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Import a logged campaign; importing it again, or a longer export of it, adds only what is new.

    Rows that cannot be used are rejected, counted and listed; a malformed file is rejected as a whole, and so is one
    whose rows are rejected because of what came of them. `offer-bandit init` writes a mapping to start from. If the
    probabilities with which offers were chosen were not recorded, set propensity = "unknown" under [columns].
    """
    from bandit.catalogue import Catalogue
    from bandit.cli.databases import all_or_nothing, catalogue_for, opening
    from bandit.cli.datasets import is_dataset
    from bandit.cli.logs import say_notices
    from bandit.cli.mappings import is_shipped, mapping_file, mapping_of
    from bandit.logfiles import UNKNOWN_PROPENSITY, export_mapping, import_log
    from bandit.printable import as_sentence
    from bandit.report.imports import import_json, import_lines, import_tables
    from bandit.report.undeclared import undeclared_lines
    from bandit.store.customer_key import KEY_VARIABLE

    style = output_format(as_json, format_name)
    read = None if mapping is None or is_shipped(mapping) else mapping_file(mapping)
    given = None if catalogue is None else Catalogue.from_toml(catalogue)
    if given is None and not db.exists():
        raise InputError(f"{db}: there is no such database, so the import needs --catalogue")
    if is_dataset(log):
        raise InputError(
            f"{log}: is a folder or an address, and import reads log files; a dataset is read as it is, for example "
            f"with `offer-bandit evaluate {log}`"
        )
    if not log.is_file():
        raise LogFileError(f"{log}: there is no such file; check the path of the log")
    with all_or_nothing(db), opening(db) as store:
        with store.transaction(), progress("importing") as report:
            known = catalogue_for(store, None) if given is None else given
            if read is None:
                read = export_mapping(log, known) if mapping is None else mapping_of(mapping, log, known)
            result = import_log(
                store,
                known,
                read,
                log,
                progress=report,
                strict=strict,
                max_listed=max(list_refused, 1),
                accept_refused=accept_refused,
                as_new=as_new,
            )
            say_notices(known)
            _require_some(
                result.n_imported + result.n_repeated, result.refused[0].reason if result.refused else "", log
            )
        if store.customers.in_clear:
            note(f"note: customers are stored in the clear in {db}; set {KEY_VARIABLE} to store a keyed hash instead")
    further = {} if read.propensities_known else {"propensities": UNKNOWN_PROPENSITY}
    if show_plain(style, lambda: import_json(result) | further, lambda: [("import", result)]):
        return
    lines = [] if result.event_rows is None else result.event_rows.sentences()
    lines += [as_sentence(finding.sentence) for finding in result.findings]
    lines += [*(f"note: {notice}." for notice in result.notices), *import_lines(result)]
    lines += undeclared_lines(result.undeclared)
    show(import_tables(result, list_refused), lines + ([] if read.propensities_known else [WITHOUT_PROPENSITIES]))


def _require_some(n: int, reason: str, log: Path) -> None:
    if n == 0:
        raise LogFileError(f"{log}: every row is refused, the first because {reason}; correct the mapping or the log")

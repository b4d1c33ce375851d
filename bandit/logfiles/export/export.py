"""The export of a database's decisions to one file, written completely or not at all."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, get_args

import tomli_w

from bandit.domain import Progress
from bandit.errors import InputError
from bandit.logfiles.export.dsjson import DsjsonFile
from bandit.logfiles.export.rows import ExportedLog, ExportRows
from bandit.logfiles.export.table_files import CsvFile, ParquetFile
from bandit.logfiles.mapping.layout import ExportLayout
from bandit.logfiles.sources.dsjson_event import EXPORT_PROPERTY
from bandit.store.database_file import create_private, keep_mode

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.store import Store

ExportFormat: TypeAlias = Literal["parquet", "csv", "csv.gz", "dsjson"]
"""The format of an exported file."""

EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
"""Every format in which a log can be exported."""


class _ExportFile(Protocol):
    """A file being written."""

    def write(self, rows: ExportRows) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The result of an export: `n` decisions were written to `path`, in `n_bytes`.

    `left_out` decisions were not, since the catalogue does not have their offer, nor `still_open` ones, whose outcome
    window is not over, nor `not_activated` ones, on which the event `activation` of the objective was never recorded
    (None where it has none). `weighted` says whether some stand for more or less than one decision, so that there is a
    column with weights. Where a decision was imported without its propensity, `propensities_known` is false and
    its propensity is blank.
    """

    path: Path
    format: ExportFormat
    n: int
    left_out: int
    still_open: int
    n_bytes: int
    propensities_known: bool
    activation: str | None = None
    not_activated: int = 0
    weighted: bool = False


def format_of(path: Path, name: str | None = None) -> ExportFormat:
    """Return the format named, or the one that the file's name ends in; InputError where there is no such format."""
    if name is not None:
        found = next((each for each in EXPORT_FORMATS if each == name), None)
        if found is None:
            raise InputError(f'there is no format "{name}"; choose from {", ".join(EXPORT_FORMATS)}')
        return found
    found = next((each for each in EXPORT_FORMATS if path.name.lower().endswith(f".{each}")), None)
    if found is None:
        raise InputError(
            f"{path}: its name ends in no known format; name one of {', '.join(EXPORT_FORMATS)} with --format"
        )
    return found


def export(
    store: Store,
    catalogue: Catalogue,
    path: str | Path,
    format: str | None = None,  # noqa: A002 - its usual name
    *,
    include_open: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write the decisions with their outcomes, numbered and rewarded by `catalogue`, to a file.

    Decisions that are still open are left out unless `include_open`. Customers are written as they are stored. The
    file is written under another name beside it and renamed when it is complete. Its owner alone may read it; one that
    replaces a file keeps the permissions of that. Memory: a page of decisions.

    Raises InputError where the file exists and `force` is not given, where it cannot be written, and where there
    are no decisions to write; MissingExtraError for Parquet without pyarrow.
    """
    path = Path(path)
    chosen = format_of(path, format)
    if path.exists() and not force:
        raise InputError(f"{path}: is there already; choose another name, or overwrite it with --force")
    log = ExportedLog(store, catalogue, include_open=include_open)
    if not log.n:
        open_ones = f"; {log.still_open:,} are still open: add them with --open" if log.still_open else ""
        if not open_ones and log.not_activated:
            open_ones = f'; the event "{log.activation}" was recorded on none of {log.not_activated:,}'
        raise InputError(f"{store.path}: there are no decisions to export{open_ones or '; import or make some first'}")
    if chosen == "dsjson" and not log.propensities_known:
        raise InputError(
            f"{store.path}: has decisions whose propensities are unknown, and every line of dsjson has one; export a "
            "table instead"
        )
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    n = 0
    try:
        create_private(part)
        file = _open_file(part, chosen, log)
        try:
            wanted = chosen == "dsjson"
            for rows in log.pages(masks_wanted=wanted or log.layout.eligible, probabilities=wanted):
                file.write(rows)
                n += len(rows)
                if progress is not None:
                    progress(n, log.n)
        finally:
            file.close()
        n_bytes = part.stat().st_size
        keep_mode(part, path)
        _rename(part, path, force=force)
    except OSError as fault:
        raise InputError(f"{path}: cannot be written: {fault.strerror or fault}; choose another place") from fault
    finally:
        part.unlink(missing_ok=True)
    return ExportReport(
        path,
        chosen,
        n,
        log.left_out,
        log.still_open,
        n_bytes,
        log.propensities_known,
        log.activation,
        log.not_activated,
        log.weighted,
    )


def mapping_toml(catalogue: Catalogue, report: ExportReport) -> str:
    """Return the mapping file with which `import` reads an export back."""
    prefix = f"{EXPORT_PROPERTY}." if report.format == "dsjson" else ""
    layout = ExportLayout.of(catalogue, weighted=report.weighted)
    escaped = report.format.startswith("csv")
    mapping = layout.mapping(catalogue, prefix=prefix, known=report.propensities_known, escaped=escaped)
    return tomli_w.dumps(mapping)


def _open_file(path: Path, chosen: ExportFormat, log: ExportedLog) -> _ExportFile:
    if chosen == "parquet":
        return ParquetFile(path, log.layout, log.catalogue)
    if chosen == "dsjson":
        return DsjsonFile(path, log)
    return CsvFile(path, log.layout, log.catalogue, zipped=chosen == "csv.gz")


def _rename(part: Path, path: Path, *, force: bool) -> None:
    """Rename a complete file; one that was created there in the meantime is kept unless `force`."""
    if force:
        part.replace(path)
        return
    try:
        os.link(part, path)
    except FileExistsError as fault:
        raise InputError(f"{path}: is there already; choose another name, or overwrite it with --force") from fault
    except OSError:  # a file system without links
        part.replace(path)

"""A run as a table: a campaign file that `offer-bandit import` reads."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bandit.domain import FloatArray, IntArray, ObjectArray
from bandit.errors import InputError, MissingExtraError
from simulator.market.population import Population
from simulator.simulation.run import Run

Table: TypeAlias = Mapping[str, ObjectArray | FloatArray | IntArray]

_ROWS = 65_536
_WORDS = {False: "false", True: "true"}


def run_table(population: Population, run: Run, rows: slice = slice(None)) -> dict[str, Any]:
    """Return a run, or some rows of it, as columns of equal length.

    `decision_id`, `customer`, `time` (ISO 8601, UTC), one column a declared fact, one a dimension with the name of
    its option, `propensity`, one a stage before the purchase, `converted` (0 or 1, after returns) and
    `revenue` (0 where not converted).
    """
    visits = run.visits.take(rows)
    kept, stages = run.responses.kept[rows], population.market.catalogue.objective.stages
    return {
        "decision_id": run.decision_ids[rows],
        "customer": population.names(visits.customers),
        "time": np.datetime_as_string(visits.times.astype("datetime64[us]"), timezone="UTC").astype(object),
        **population.columns(visits.customers, visits.times),
        **population.market.catalogue.offers(run.offer[rows]),
        "propensity": run.propensity[rows],
        **{stage: passed.astype(np.int64) for stage, passed in zip(stages, run.responses.stages[rows].T, strict=True)},
        "converted": kept.astype(np.int64),
        "revenue": np.where(kept, run.responses.revenue[rows], 0.0),
    }


def write_table(
    path: str | Path, population: Population, run: Run, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write a run in blocks of rows to `.csv`, `.csv.gz` or `.parquet`, by the ending of the path.

    Numbers are written in full, so that reading them gives the same doubles; true and false in lower case. Raises
    InputError for another ending, and MissingExtraError where pyarrow is needed and not installed.
    """
    path = Path(path)
    if path.name.endswith(".parquet"):
        opened = _parquet
    elif path.name.endswith((".csv", ".csv.gz")):
        opened = _csv
    else:
        raise InputError(f'"{path.name}" ends in none of .csv, .csv.gz, .parquet; choose one of these endings')
    n = len(run)
    with opened(path) as write:
        for start in range(0, max(n, 1), _ROWS):
            rows = slice(start, min(start + _ROWS, n))
            write(run_table(population, run, rows))
            if progress is not None:
                progress(rows.stop, n)


@contextmanager
def _csv(path: Path) -> Iterator[Callable[[Table], None]]:
    # gzip would otherwise write the time of writing into the file: the same run must give the same bytes.
    with path.open("wb") as raw:
        packed = gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.suffix == ".gz" else raw
        with io.TextIOWrapper(packed, encoding="utf-8", newline="") as text:
            writer = csv.writer(text, lineterminator="\n")
            headed = False

            def write(table: Table) -> None:
                nonlocal headed
                if not headed:
                    writer.writerow(table)
                    headed = True
                writer.writerows(zip(*map(_texts, table.values()), strict=True))

            yield write


def _texts(column: ObjectArray | FloatArray | IntArray) -> list[Any]:
    """Return plain values for the csv writer, which writes floats in full."""
    values: list[Any] = column.tolist()
    if column.dtype == np.object_ and values and isinstance(values[0], bool):
        return [_WORDS[value] for value in values]
    return values


@contextmanager
def _parquet(path: Path) -> Iterator[Callable[[Table], None]]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as fault:
        raise MissingExtraError("writing Parquet", "parquet") from fault
    writer: Any = None

    def write(table: Table) -> None:
        nonlocal writer
        columns = pa.table({name: pa.array(column.tolist()) for name, column in table.items()})
        if writer is None:
            writer = pq.ParquetWriter(path, columns.schema)
        writer.write_table(columns)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()

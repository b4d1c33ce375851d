"""`python -m simulator.validation.calibration`: bias, error, coverage and width of every estimator."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from bandit.cluster import open_runner
from bandit.errors import OfferBanditError
from bandit.ope.intervals import DEFAULT_INTERVAL
from simulator.programs.single_thread import run_single_threaded
from simulator.validation.calibration import grid, picture, table
from simulator.validation.calibration.claims import CLAIMED_ESTIMATOR, Claim, all_claims
from simulator.validation.calibration.equal_offers import (
    EQUAL_OFFER_ROWS,
    FULL_EQUAL_LOGS,
    QUICK_EQUAL_LOGS,
    FalseAnnouncements,
    count_announcements,
)
from simulator.validation.calibration.own_log import LogQuestion, calibrate_log
from simulator.validation.calibration.replicate import CalibrationCell
from simulator.validation.calibration.summary import GridResults, answered, coverage, errors, estimators, kinds

CALIBRATION_FOLDER = Path("bench/calibration")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the grid, print the tables and write files; return 1 where a claim does not hold, 2 for invalid input."""
    given = _parser().parse_args(arguments)
    progress = Console(stderr=True, highlight=False)
    begun = time.perf_counter()

    def report(cell: CalibrationCell, done: int, of: int) -> None:
        progress.print(f"{time.perf_counter() - begun:6.0f} s  {done:>3} of {of}  {cell.name}")

    try:
        if given.log is not None:
            return calibrate_log(LogQuestion.of(given))
        replications = given.replications or (grid.QUICK_REPLICATIONS if given.quick else grid.FULL_REPLICATIONS)
        cells = grid.quick(replications) if given.quick else grid.full(replications)
        folder = None if given.quick else given.out / "cells"
        with ExitStack() as stack:
            runner = None if given.cluster is None else stack.enter_context(open_runner(given.cluster))
            results = grid.run(cells, folder, given.processes, report, again=given.again, runner=runner)
        equal = [
            count_announcements(CLAIMED_ESTIMATOR, rows, QUICK_EQUAL_LOGS if given.quick else FULL_EQUAL_LOGS)
            for rows in EQUAL_OFFER_ROWS
        ]
        found = all_claims(results, equal, DEFAULT_INTERVAL)
        tables = table.sheets(results, CLAIMED_ESTIMATOR, DEFAULT_INTERVAL)
        shown = [*tables, table.equal_offers_sheet(equal), table.claims_sheet(found)]
        if not given.quick:
            _write(given.out, results, found, equal, table.text(shown))
    except OfferBanditError as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 2
    if given.json:
        sys.stdout.write(_json(results, found, equal))
    else:
        console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 160)
        for sheet in shown[-1:] if given.quick else shown:
            console.print(sheet.rich())
        logs, seconds = sum(len(each) for each in results.values()), time.perf_counter() - begun
        console.print(f"{len(results)} cells, {logs:,} logs in {seconds:,.0f} s")
    return 0 if all(each.holds for each in found) else 1


def _write(
    out: Path, results: GridResults, found: Sequence[Claim], equal: Sequence[FalseAnnouncements], text: str
) -> None:
    """Write the tables, the numbers and the pictures."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "calibration.md").write_text(text, encoding="utf-8")
    (out / "calibration.json").write_text(_json(results, found, equal), encoding="utf-8")
    picture.draw_coverage(results, out / "coverage.png")
    picture.draw_errors(results, out / "errors.png")
    picture.draw_events(results, CLAIMED_ESTIMATOR, DEFAULT_INTERVAL, out / "events.png")


def _json(results: GridResults, found: Sequence[Claim], equal: Sequence[FalseAnnouncements]) -> str:
    """Return the claims, the pooled coverages and the errors in every cell as JSON."""
    pooled = [
        {
            "estimator": name,
            "interval": kind,
            "of": "difference" if difference else "value",
            **coverage(results, name, kind, difference=difference).to_dict(),
        }
        for name in estimators(results)
        for kind in kinds(results)
        for difference in (False, True)
    ]
    rows = [
        {"world": each.cell.world, "logging": each.cell.logging, "rows": each.cell.n, **each.to_dict()}
        for each in errors(results)
    ]
    plain = {
        "claims": [each.to_dict() for each in found],
        "answered": answered(results).to_dict(),
        "coverage": pooled,
        "alike": [each.to_dict() for each in equal],
        "errors": rows,
    }
    return json.dumps(plain, indent=1) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator.validation.calibration",
        description="Evaluate policies from simulated logs, and compare the answers with the known true values; or "
        "check the intervals on a log of your own.",
        epilog="Example: %(prog)s --log DATASET --policy uniform --cluster local",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a small part of the grid, about a minute; writes no files")
    add(
        "--out",
        type=Path,
        default=CALIBRATION_FOLDER,
        help="folder of the results; cells saved there are not run again",
    )
    add(
        "--replications",
        type=int,
        default=None,
        help="logs of the smallest size in each cell (default: 500; quick: 45)",
    )
    add("--processes", type=int, choices=(1, 2), default=1, help="number of processes (default: %(default)s)")
    add(
        "--cluster",
        metavar="WHERE",
        help="draw the logs, or read the partitions of --log, on a cluster: off, local[:N] or the address of a Dask "
        "scheduler",
    )
    add("--again", action="store_true", help="run cells again that have a saved result")
    add("--json", action="store_true", help="print JSON instead of the tables")
    own = parser.add_argument_group(
        "a log of your own",
        "Check the intervals of `evaluate` on a dataset, a database or a log file instead: how many hold the log's own "
        "value when its customers are resampled. The same as `offer-bandit evaluate LOG --calibrate N`.",
    )
    own.add_argument("--log", type=Path, metavar="LOG", help="a dataset's folder, a database or a log file")
    own.add_argument("--catalogue", type=Path, metavar="FILE", help="the catalogue; a log file needs one")
    own.add_argument("--policy", action="append", metavar="POLICY", help='such as "uniform"; can be repeated')
    own.add_argument("--baseline", default="logged", metavar="POLICY", help="default: %(default)s")
    own.add_argument("--resamples", type=int, default=1_000, metavar="N", help="default: %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.validation.calibration", main))

"""`python -m simulator.validation.calibration`: bias, error, coverage and width of every estimator where the truth is known."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bandit.errors import OfferBanditError
from simulator.single_thread import run_single_threaded
from simulator.validation.calibration import grid, picture, table
from simulator.validation.calibration.claims import Claim, claims, equal_offer_claims
from simulator.validation.calibration.equal_offers import FalseAnnouncements, count_announcements
from simulator.validation.calibration.intervals import DEFAULT_INTERVAL
from simulator.validation.calibration.replicate import CalibrationCell
from simulator.validation.calibration.summary import GridResults, answered, coverage, errors, estimators, kinds

CALIBRATION_FOLDER = Path("bench/calibration")
CLAIMED_ESTIMATOR = "dr"
"""The estimator about which the claims are made: the one that an evaluation shows first."""

EQUAL_OFFER_ROWS = (10_000, 60_000)
"""Rows of the logs in which offers that are all alike are compared."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, print and draw; 1 where a claim does not hold, 2 for bad input."""
    given = _parser().parse_args(arguments)
    errors_only = Console(stderr=True, highlight=False)
    begun = time.perf_counter()

    def report(cell: CalibrationCell, done: int, of: int) -> None:
        errors_only.print(f"{time.perf_counter() - begun:6.0f} s  {done:>3} of {of}  {cell.name}")

    try:
        cells = grid.quick(given.replications or 45) if given.quick else grid.full(given.replications or 500)
        folder = None if given.quick else given.out / "cells"
        results = grid.run(cells, folder, given.processes, report, again=given.again)
        found = list(claims(results, CLAIMED_ESTIMATOR, DEFAULT_INTERVAL))
        alike = [count_announcements(CLAIMED_ESTIMATOR, rows, 15 if given.quick else 100) for rows in EQUAL_OFFER_ROWS]
        for each in alike:
            found += equal_offer_claims(each)
        shown = [
            *table.sheets(results, CLAIMED_ESTIMATOR, DEFAULT_INTERVAL),
            table.equal_offers_sheet(alike),
            table.claims_sheet(found),
        ]
        if not given.quick:
            given.out.mkdir(parents=True, exist_ok=True)
            (given.out / "calibration.md").write_text(table.text(shown), encoding="utf-8")
            (given.out / "calibration.json").write_text(_json(results, found, alike), encoding="utf-8")
            picture.draw_coverage(results, given.out / "coverage.png")
            picture.draw_errors(results, given.out / "errors.png")
            picture.draw_events(results, CLAIMED_ESTIMATOR, DEFAULT_INTERVAL, given.out / "events.png")
    except OfferBanditError as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 2
    if given.json:
        sys.stdout.write(_json(results, found, alike))
    else:
        console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 160)
        for sheet in shown[-1:] if given.quick else shown:
            console.print(sheet.rich())
        logs, seconds = sum(len(replications) for replications in results.values()), time.perf_counter() - begun
        console.print(f"{len(results)} cells, {logs:,} logs in {seconds:,.0f} s")
    return 0 if all(each.holds for each in found) else 1


def _json(results: GridResults, found: Sequence[Claim], alike: Sequence[FalseAnnouncements]) -> str:
    """Return the claims, the pooled coverages and every cell's errors."""
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
        "alike": [each.to_dict() for each in alike],
        "errors": rows,
    }
    return json.dumps(plain, indent=1) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator.validation.calibration",
        description="Judge policies from logs of worlds whose truth is known, and hold what is said against it.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a small part, under a minute; writes no files")
    add("--out", type=Path, default=CALIBRATION_FOLDER, help="folder of the results; what is there is not played again")
    add("--replications", type=int, default=None, help="logs of the smallest size a cell (default: 500; quick: 45)")
    add("--processes", type=int, choices=(1, 2), default=1, help="at a time (default: %(default)s)")
    add("--again", action="store_true", help="play again what has a result already")
    add("--json", action="store_true", help="print JSON instead of the tables")
    return parser


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.validation.calibration", main))

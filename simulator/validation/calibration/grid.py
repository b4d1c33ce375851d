"""The grid of cells, and running it in up to two processes; each cell is saved to a file as soon as it is done."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from bandit.domain import LogPart, PartRunner
from bandit.errors import InputError
from bandit.ope import ESTIMATORS
from bandit.ope.intervals import DEFAULT_INTERVAL, IntervalKind
from simulator.validation.calibration.classes import CLASS_SETS
from simulator.validation.calibration.intervals import CALIBRATED_KINDS
from simulator.validation.calibration.replicate import CalibrationCell, replicate
from simulator.validation.calibration.replications import Replications
from simulator.validation.calibration.summary import LEAST_ANSWERS
from simulator.validation.calibration.worlds import MARKET_WORLDS, NULL_MARKET, world_named

DRAWS_BY_SIZE = {1_000: 1.0, 10_000: 0.5, 100_000: 0.1}
"""Logs to draw by their number of rows, relative to the smallest."""

LARGEST_LOG = max(DRAWS_BY_SIZE)
LARGE_LOG_WORLDS = ("retail", "heavy-tail", "loyalty", "digits", NULL_MARKET)
"""Worlds with logs of the largest size, written by rules with little uniform choice; with more they are easy."""

STRUCTURED_MARKETS = ("retail", "loyalty", NULL_MARKET)
"""Markets with the estimators that use the structure of offers, in smaller logs written by rules."""

FAST_INTERVALS: tuple[IntervalKind, ...] = tuple(kind for kind in CALIBRATED_KINDS if kind != "bootstrap")
"""Kinds of interval in all smaller logs."""

LARGE_LOG_INTERVALS: tuple[IntervalKind, ...] = (DEFAULT_INTERVAL, "normal")

BOOTSTRAP_CELLS = (("retail", "rules, 50% chance"), ("digits", "rules, 10% chance"), (NULL_MARKET, "rules, 50% chance"))
"""Cells with the bootstrap, which takes ten times as long as all other kinds of interval."""

LOGGING_POLICIES = ("rules, 100% chance", "rules, 50% chance", "rules, 10% chance", "rules, 3% chance", "softmax")

QUICK_ESTIMATORS = ("ips", "snips", "dr", "sndr")
"""Estimators of the quick grid."""

QUICK_REPLICATIONS, FULL_REPLICATIONS = 45, 500
"""Logs of the smallest size in each cell."""

LOGS_AT_ONCE = 25
"""Logs that are drawn and evaluated at one place of a cluster, one after the other."""

CellProgress = Callable[[CalibrationCell, int, int], None]
"""Called with each cell that is done, how many are done and how many there are."""


def full(replications: int) -> tuple[CalibrationCell, ...]:
    """Return all worlds, logging policies and sizes; larger logs are drawn less often, the largest in some worlds."""
    cells = []
    for n, often in DRAWS_BY_SIZE.items():
        for world in (*MARKET_WORLDS, *CLASS_SETS):
            for logging in LOGGING_POLICIES:
                if n == LARGEST_LOG and (world not in LARGE_LOG_WORLDS or logging not in LOGGING_POLICIES[2:4]):
                    continue
                structure = world in STRUCTURED_MARKETS and logging != "softmax" and n < LARGEST_LOG
                kinds = FAST_INTERVALS if n < LARGEST_LOG else LARGE_LOG_INTERVALS
                drawn = max(LEAST_ANSWERS, round(replications * often))
                cells.append(CalibrationCell(world, logging, n, drawn, kinds, structure=structure))
    drawn = max(LEAST_ANSWERS, round(replications * DRAWS_BY_SIZE[10_000]))
    cells += [
        CalibrationCell(world, logging, 2_000, drawn, CALIBRATED_KINDS, ("ips", "dr"))
        for world, logging in BOOTSTRAP_CELLS
    ]
    return tuple(cells)


def quick(replications: int) -> tuple[CalibrationCell, ...]:
    """Return a small part of the full grid, which takes a minute."""
    return tuple(
        CalibrationCell(world, logging, n, replications, (DEFAULT_INTERVAL,), QUICK_ESTIMATORS)
        for world in ("retail", "digits", NULL_MARKET)
        for logging in LOGGING_POLICIES[1:3]
        for n in (2_000, 8_000)
    )


def run(
    cells: Sequence[CalibrationCell],
    folder: Path | None,
    processes: int,
    report: CellProgress,
    *,
    again: bool = False,
    runner: PartRunner | None = None,
) -> dict[CalibrationCell, Replications]:
    """Run the cells that a folder does not have yet; return the results of all cells in order.

    With `runner` the logs of each cell are drawn where it says, some at a time; without, in `processes` processes. The
    results are the same, bit by bit.
    """
    results: dict[CalibrationCell, Replications] = {}
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for cell in cells:
        kept = None if folder is None or again else Replications.load(_path(folder, cell), _stamp(cell))
        if kept is not None:
            results[cell] = kept
    missing = [cell for cell in cells if cell not in results]
    found = _replicate_all(missing, processes) if runner is None else _replicate_parts(missing, runner)
    for cell, replications in found:
        if folder is not None:
            replications.save(_path(folder, cell), _stamp(cell))
        results[cell] = replications
        report(cell, len(results), len(cells))
    return {cell: results[cell] for cell in cells}


def _replicate_all(cells: Sequence[CalibrationCell], processes: int) -> Iterator[tuple[CalibrationCell, Replications]]:
    if processes == 1:
        for cell in cells:
            yield cell, _one(cell)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_one, cell): cell for cell in cells}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


@dataclass(frozen=True, slots=True)
class CellPart:
    """Some of the logs of a cell, drawn and evaluated at one place: a `bandit.domain.LogPart` that is not read."""

    cell: CalibrationCell
    first: int
    last: int

    @property
    def n(self) -> int:
        """The number of decisions of the logs."""
        return (self.last - self.first) * self.cell.n

    @property
    def partition(self) -> str:
        """What a message calls the part."""
        return f"{self.cell.name}; logs {self.first} to {self.last - 1}"

    def open(self) -> NoReturn:
        """Raise: the logs are drawn, not read."""
        raise InputError(f"{self.partition}: these logs are drawn, there is nothing to read")


def _replicate_parts(
    cells: Sequence[CalibrationCell], runner: PartRunner
) -> Iterator[tuple[CalibrationCell, Replications]]:
    """Yield the results of each cell, from its logs in order."""
    parts = [
        CellPart(cell, first, min(first + LOGS_AT_ONCE, cell.replications))
        for cell in cells
        for first in range(0, cell.replications, LOGS_AT_ONCE)
    ]
    found: list[Replications] = []
    for part, replications in zip(parts, runner.map(_replicate_part, parts, None), strict=True):
        found.append(replications)
        if part.last == part.cell.replications:
            yield part.cell, Replications.join(found)
            found.clear()


def _replicate_part(part: LogPart) -> Replications:
    if not isinstance(part, CellPart):
        raise TypeError(f"{part!r} is no part of a cell")
    return replicate(world_named(part.cell.world), part.cell, numbers=range(part.first, part.last))


def _one(cell: CalibrationCell) -> Replications:
    return replicate(world_named(cell.world), cell)


def _stamp(cell: CalibrationCell) -> str:
    """Return what must be equal for a saved result to be used: the cell, and the names of all estimators."""
    return json.dumps({**asdict(cell), "estimators": sorted(ESTIMATORS)})


def _path(folder: Path, cell: CalibrationCell) -> Path:
    name = "".join(letter if letter.isalnum() else "-" for letter in cell.name)
    return folder / f"{name}.npz"

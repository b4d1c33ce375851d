"""Which cells are played, and playing them: at most two at a time, each kept in a file as soon as it is done."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from bandit.ope import ESTIMATORS
from bandit.ope.intervals import IntervalKind
from simulator.validation.calibration.classes import SETS
from simulator.validation.calibration.intervals import DEFAULT, KINDS
from simulator.validation.calibration.replicate import Cell, play
from simulator.validation.calibration.replications import Said
from simulator.validation.calibration.summary import ENOUGH
from simulator.validation.calibration.worlds import MARKETS, NULL, world_named

ROWS = {1_000: 1.0, 10_000: 0.5, 100_000: 0.1}
"""Rows of a log, and how often a log is drawn in units of the smallest."""

LARGEST = max(ROWS)
LARGE = ("retail", "heavy-tail", "loyalty", "digits", NULL)
"""Worlds with logs of the largest size, written by rules with little chance: those with more are easy by then."""

STRUCTURED = ("retail", "loyalty", NULL)
"""Markets in which the estimators that use the structure of offers take part, in smaller logs of rules."""

SWIFT: tuple[IntervalKind, ...] = tuple(kind for kind in KINDS if kind != "bootstrap")
"""What takes part in all smaller logs."""

PAIR: tuple[IntervalKind, ...] = (DEFAULT, "normal")

EVERY_KIND = (("retail", "rules, 50% chance"), ("digits", "rules, 10% chance"), (NULL, "rules, 50% chance"))
"""Where the bootstrap takes part: it takes ten times as long as all the others."""

LOGGING = ("rules, 100% chance", "rules, 50% chance", "rules, 10% chance", "rules, 3% chance", "softmax")

QUICK = ("ips", "snips", "dr", "sndr")
"""Estimators of the quick plan."""

Report = Callable[[Cell, int, int], None]
"""Called with each cell that is done, how many are done and how many there are."""


def full(replications: int) -> tuple[Cell, ...]:
    """Return all worlds, logging policies and sizes; larger logs are drawn less often, the largest in some only."""
    cells = []
    for n, often in ROWS.items():
        for world in (*MARKETS, *SETS):
            for logging in LOGGING:
                if n == LARGEST and (world not in LARGE or logging not in LOGGING[2:4]):
                    continue
                structure = world in STRUCTURED and logging != "softmax" and n < LARGEST
                kinds = SWIFT if n < LARGEST else PAIR
                drawn = max(ENOUGH, round(replications * often))
                cells.append(Cell(world, logging, n, drawn, kinds, structure=structure))
    drawn = max(ENOUGH, round(replications * ROWS[10_000]))
    cells += [Cell(world, logging, 2_000, drawn, KINDS, ("ips", "dr")) for world, logging in EVERY_KIND]
    return tuple(cells)


def quick(replications: int) -> tuple[Cell, ...]:
    """Return a small part of the full plan, for a minute."""
    return tuple(
        Cell(world, logging, n, replications, (DEFAULT,), QUICK)
        for world in ("retail", "digits", NULL)
        for logging in LOGGING[1:3]
        for n in (2_000, 8_000)
    )


def run(
    cells: Sequence[Cell], folder: Path | None, processes: int, report: Report, *, again: bool = False
) -> dict[Cell, Said]:
    """Play the cells, save for those that a folder has already; return all in the order of the plan."""
    played: dict[Cell, Said] = {}
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for cell in cells:
        kept = None if folder is None or again else Said.load(_path(folder, cell), _stamp(cell))
        if kept is not None:
            played[cell] = kept
    missing = [cell for cell in cells if cell not in played]
    for cell, said in _play(missing, processes):
        if folder is not None:
            said.save(_path(folder, cell), _stamp(cell))
        played[cell] = said
        report(cell, len(played), len(cells))
    return {cell: played[cell] for cell in cells}


def _play(cells: Sequence[Cell], processes: int) -> Iterator[tuple[Cell, Said]]:
    if processes == 1:
        for cell in cells:
            yield cell, _one(cell)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_one, cell): cell for cell in cells}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def _one(cell: Cell) -> Said:
    return play(world_named(cell.world), cell)


def _stamp(cell: Cell) -> str:
    """Return what must be the same for a kept result to be used: the cell, and the estimators there are."""
    return json.dumps({**asdict(cell), "estimators": sorted(ESTIMATORS)})


def _path(folder: Path, cell: Cell) -> Path:
    name = "".join(letter if letter.isalnum() else "-" for letter in cell.name)
    return folder / f"{name}.npz"

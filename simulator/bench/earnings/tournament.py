"""The comparison of all contestants in every scenario and draw, which continues where it was interrupted."""

from __future__ import annotations

import json
import math
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bandit.errors import MissingExtraError
from simulator.bench.earnings.cells import REFERENCES, CellKey, TournamentCell, append, read, valid
from simulator.bench.earnings.contestants import Contestant
from simulator.bench.earnings.picture import draw
from simulator.bench.earnings.play import play, references
from simulator.bench.earnings.summary import ContestantRow, markdown, rows
from simulator.bench.earnings.world import WorldSpec

EARNED_CELLS, EARNED_TABLE, EARNED_NUMBERS, EARNED_PICTURE = "cells.jsonl", "earned.md", "earned.json", "earned.png"
"""The files of results."""

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

REFERENCE_TASK = "references"
"""The name of the task that computes the exact values of the references."""


@dataclass(frozen=True, slots=True)
class Tournament:
    """A comparison: contestants in worlds, with results kept in a folder.

    `absent` are contestants left out, with the reason; with `again` existing results are replaced.
    """

    specs: tuple[WorldSpec, ...]
    contestants: tuple[Contestant, ...]
    absent: dict[str, str]
    folder: Path
    processes: int = 1
    again: bool = False

    def tasks(self) -> list[tuple[WorldSpec, str]]:
        """Return the tasks without a valid result, as (world, contestant or the references)."""
        done = {key for key, cell in valid(read(self.folder / EARNED_CELLS)).items() if not cell.fault}
        found: list[tuple[WorldSpec, str]] = []
        for spec in self.specs:
            if any((spec, name) not in done for name in REFERENCES):
                found.append((spec, REFERENCE_TASK))
            names = [each.name for each in self.contestants]
            found += [(spec, name) for name in names if self.again or (spec, name) not in done]
        return found

    def run(self, console: Console) -> tuple[ContestantRow, ...]:
        """Run the missing tasks and write the table, the numbers and the picture; each result is saved at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        begun = time.perf_counter()
        tasks = self.tasks()
        console.print(
            f"{len(tasks)} of {len(self.specs) * (len(self.contestants) + 1)} cells to run, "
            f"{self.processes} at a time; results so far are in {self.folder / EARNED_CELLS}"
        )
        with _progress(console) as step:
            step(0, len(tasks), "")
            for number, cells in enumerate(mapped(_task, tasks, self.processes), start=1):
                append(self.folder / EARNED_CELLS, cells)
                step(number, len(tasks), _line(cells))
        table = self.write(console)
        console.print(f"took {(time.perf_counter() - begun) / 60:.1f} minutes")
        return table

    def write(self, console: Console) -> tuple[ContestantRow, ...]:
        """Write table, numbers and picture of all results in these worlds, those of earlier runs included."""
        cells = valid(read(self.folder / EARNED_CELLS))
        wanted = tuple(self._wanted(cells))
        table = rows(wanted)
        minutes = sum(cell.seconds for cell in wanted) / 60
        sizes = f"{self._sizes()} In all {minutes:,.0f} minutes of one process."
        (self.folder / EARNED_TABLE).write_text(markdown(table, self.absent, sizes), encoding="utf-8")
        numbers = json.dumps([_plain(row.to_dict()) for row in table], indent=2)
        (self.folder / EARNED_NUMBERS).write_text(numbers + "\n", encoding="utf-8")
        try:
            draw(table, self.folder / EARNED_PICTURE)
        except MissingExtraError as fault:
            console.print(str(fault))
        return table

    def _wanted(self, cells: dict[CellKey, TournamentCell]) -> Iterator[TournamentCell]:
        for spec in self.specs:
            yield from (cell for (where, _), cell in cells.items() if where == spec)

    def _sizes(self) -> str:
        draws = len({spec.draw for spec in self.specs})
        seeds = sorted({spec.seed for spec in self.specs})
        sizes = sorted({(spec.customers, spec.visits) for spec in self.specs})
        size = ", ".join(f"{customers:,} customers and {visits:,} decisions" for customers, visits in sizes)
        return f"{draws} draws under seed {', '.join(map(str, seeds))}; {size}."


def _plain(value: object) -> object:
    """Return JSON without NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _task(task: tuple[WorldSpec, str]) -> tuple[TournamentCell, ...]:
    spec, name = task
    return references(spec) if name == REFERENCE_TASK else (play(spec, name),)


def mapped(work: Callable[[_Given], _Made], tasks: Sequence[_Given], processes: int) -> Iterator[_Made]:
    """Yield what `work` makes of each task as it is done, in this process or in several."""
    if processes <= 1:
        yield from map(work, tasks)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(work, task) for task in tasks]):
            yield future.result()


def _line(cells: Sequence[TournamentCell]) -> str:
    one = cells[0]
    name = REFERENCE_TASK if len(cells) > 1 else one.contestant
    seconds = sum(cell.seconds for cell in cells)
    return f"{one.spec}: {name}, {'failed: ' + one.fault if one.fault else f'{seconds:.1f} s'}"


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar on a terminal, and elsewhere print a line for each cell."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def step(done: int, total: int, line: str) -> None:
            bar.update(task, completed=done, total=total, description=line)
            if line and not console.is_terminal:
                console.print(f"{done}/{total} {line}")

        yield step

"""Many processes deciding on one database while one of them learns: the rate that saturates, and waits at half of it.

First all decide as fast as they can. Then requests arrive at random at half of that rate, whether or not earlier ones
are answered, so that a stall is seen by every request that falls into it. With the tree of another version, both are
measured in turns in one run. At the end, every acknowledged decision must be in the database once.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.errors import InputError
from bandit.governance.verify import verify
from bandit.store import Store
from simulator.bench.engines import BENCH_KEY
from simulator.bench.speed.fixtures import catalogue_mapping
from simulator.bench.speed.process_tasks import CROWD_SIZE, open_engine

if TYPE_CHECKING:
    from rich.console import Console

    from bandit.store.connection_setup import Durability

LOAD_SHARE = 0.5
"""Share of the saturating rate at which requests arrive."""

THIS_TREE = Path(__file__).resolve().parents[3]
"""The tree of the version that measures."""

_PROGRAM = Path(__file__).with_name("arrivals_program.py")


@dataclass(frozen=True, slots=True)
class ArrivalLoad:
    """What is measured: processes, seconds of each part, durability, seed, and repetitions."""

    processes: int
    seconds: float
    durability: Durability
    repetitions: int
    seed: int


@dataclass(frozen=True, slots=True)
class ArrivalRow:
    """One part of a run: decisions a second, and milliseconds of a decide alone and since the request arrived."""

    version: str
    repetition: int
    part: str
    per_second: float
    call_p50: float
    call_p99: float
    call_max: float
    wait_p99: float
    wait_max: float
    learned: int
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def run(load: ArrivalLoad, before: Path | None, console: Console) -> list[ArrivalRow]:
    """Measure this version, and the one in the tree `before` if it is given, in turns.

    InputError where there is no package `bandit` in that tree.
    """
    if before is not None and not (before / "bandit" / "__init__.py").exists():
        raise InputError(f"{before}: has no package bandit; give the tree of another version, as of `git worktree add`")
    trees = {"now": THIS_TREE} if before is None else {"before": before, "now": THIS_TREE}
    found: list[ArrivalRow] = []
    for repetition in range(load.repetitions):
        names = list(trees) if repetition % 2 == 0 else list(trees)[::-1]
        for name in names:
            found += measure(load, name, trees[name], repetition)
            for row in found[-2:]:
                console.print(f"{row.version}, {row.part}: {row.per_second:,.0f} a second, p99 {row.call_p99:.1f} ms")
    return found


def measure(load: ArrivalLoad, version: str, tree: Path, repetition: int) -> list[ArrivalRow]:
    """Measure one version on a new database: saturated, then at a share of that rate."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.db"
        tasks = [
            {
                "path": str(path),
                "number": number,
                "seed": load.seed + repetition,
                "seconds": load.seconds,
                "rate": 0.0,
                "durability": load.durability,
                "learns": number == 0,
                "key": BENCH_KEY.decode(),
                "catalogue": catalogue_mapping(CROWD_SIZE),
            }
            for number in range(load.processes)
        ]
        full = _together(tasks, tree)
        rate = LOAD_SHARE * _per_second(full) / load.processes
        half = _together([task | {"rate": rate} for task in tasks], tree)
        open_engine(path, load.seed, load.durability).close()  # folds what is spooled, and migrates an older file
        problems = _problems(path, [*full, *half])
    return [
        _row(version, repetition, "saturated", full, problems),
        _row(version, repetition, "half", half, problems),
    ]


def markdown(found: list[ArrivalRow]) -> str:
    """Return the table of all parts, the medians of each version, and their ratios, as Markdown."""
    names = ("per_second", "call_p50", "call_p99", "call_max", "wait_p99", "wait_max")
    heads = ("a second", "p50 ms", "p99 ms", "max ms", "p99 since arrival", "max since arrival")
    lines = [f"| part | version | {' | '.join(heads)} | learned |", f"|---|---|{'---:|' * (len(heads) + 1)}"]
    for part in sorted({row.part for row in found}, reverse=True):
        for row in sorted((row for row in found if row.part == part), key=lambda each: each.version):
            shown = " | ".join(f"{getattr(row, name):,.1f}" for name in names)
            lines.append(f"| {part} | {row.version} {row.repetition + 1} | {shown} | {row.learned:,} |")
        medians = {
            version: {
                name: float(np.median([getattr(r, name) for r in found if (r.part, r.version) == (part, version)]))
                for name in names
            }
            for version in sorted({row.version for row in found})
        }
        for version, values in medians.items():
            lines.append(f"| {part} | {version}, median | {' | '.join(f'{values[n]:,.1f}' for n in names)} | |")
        if len(medians) > 1:
            ratios = " | ".join(f"{medians['now'][n] / medians['before'][n]:.2f}" for n in names)
            lines.append(f"| {part} | now / before | {ratios} | |")
    problems = sorted({problem for row in found for problem in row.problems})
    lines += [
        "",
        "; ".join(problems) or "Everything acknowledged is in the database once, and verify finds no problem.",
    ]
    return "\n".join(lines) + "\n"


def _together(tasks: list[dict[str, Any]], tree: Path) -> list[dict[str, Any]]:
    """Run the program once for each task, all beginning at the same moment."""
    environment = os.environ | {"PYTHONPATH": str(tree), "OPENBLAS_NUM_THREADS": "1"}
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(  # noqa: S603 - our own interpreter and program
                    [sys.executable, str(_PROGRAM)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=environment,
                    text=True,
                )
            )
            for _ in tasks
        ]
        for process, task in zip(running, tasks, strict=True):
            _say(process, json.dumps(task))
        for process in running:
            _hear(process)
        for process in running:
            _say(process, "go")
        answers = [json.loads(_hear(process)) for process in running]
        for process in running:
            _say(process, "end")  # all have answered: closing an engine disturbs nobody any more
    return answers


def _say(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(line + "\n")
        process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> str:
    line = "" if process.stdout is None else process.stdout.readline()
    if not line:
        raise RuntimeError("a process of the benchmark ended before its time; its error is above")
    return line


def _per_second(results: list[dict[str, Any]]) -> float:
    return float(sum(len(each["calls"]) / each["seconds"] for each in results))


def _row(
    version: str, repetition: int, part: str, results: list[dict[str, Any]], problems: tuple[str, ...]
) -> ArrivalRow:
    calls, waits = (1_000 * np.concatenate([each[name] for each in results]) for name in ("calls", "waits"))
    faults, learned = (sum(each[name] for each in results) for name in ("faults", "learned"))
    more = (f"{faults:,} decisions failed and used the fallback offer",) if faults else ()
    median, call, longest = (float(value) for value in np.percentile(calls, (50, 99, 100)))
    wait, longest_wait = (float(value) for value in np.percentile(waits, (99, 100)))
    rate = _per_second(results)
    return ArrivalRow(
        version, repetition, part, rate, median, call, longest, wait, longest_wait, learned, problems + more
    )


def _problems(path: Path, results: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the problems: acknowledged decisions that are missing or exist twice, and those that verify finds."""
    acknowledged = Counter(name for each in results for name in each["decisions"])
    with Store.open(path, customer_key=BENCH_KEY) as store:
        problems = list(verify(store).problems)
    with contextlib.closing(sqlite3.connect(path)) as raw:
        there = Counter(name for (name,) in raw.execute("SELECT decision_id FROM decisions WHERE decision_id < 'w'"))
        n_events = raw.execute("SELECT count(*) FROM events").fetchone()[0]
    lost, more = len(acknowledged - there), len(there - acknowledged)
    if lost or more:
        problems.append(f"{lost:,} decisions that were acknowledged are missing, {more:,} exist and were not")
    if n_events != sum(each["events"] for each in results):
        problems.append("the number of events is not that of the acknowledged ones")
    return tuple(problems)

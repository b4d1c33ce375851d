"""Many processes on one database: throughput and latency of decisions and events, and a check that none is lost.

Plain sqlite3 is timed with the same rows in the same run: as many processes insert them into tables of the same kind,
one transaction each. At the end every acknowledged decision and event must exist once, and `verify` must find no
problem.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from bandit.domain import FloatArray
from bandit.governance.verify import verify
from bandit.store import Store
from bandit.store.connection_setup import Durability
from simulator.bench.engines import BENCH_KEY
from simulator.bench.speed.process_tasks import ProcessResult, ProcessTask, insert, open_engine, run_together, serve

TIMED_DURABILITIES: tuple[Durability, ...] = ("process", "full")

LATENCY_PERCENTILES = (50, 95, 99, 100)


@dataclass(frozen=True, slots=True)
class ThroughputRow:
    """One row of the table: the kind of call, calls a second, and percentiles of milliseconds."""

    durability: str
    what: str
    n: int
    per_second: float
    percentiles: tuple[float, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DurabilityResult:
    """The results with one durability: the rows of the table, the problems found at the end, and totals."""

    durability: str
    lines: tuple[ThroughputRow, ...]
    problems: tuple[str, ...]
    faults: int
    learned: int
    bytes_per_decision: float


def measure(processes: int, decisions: int, durability: Durability, learn_every: int, seed: int) -> DurabilityResult:
    """Let processes decide and record on one new database, then insert the same rows by plain sqlite3."""
    with tempfile.TemporaryDirectory() as folder:
        path, plain = Path(folder) / "many.db", Path(folder) / "plain.db"
        open_engine(path, seed, durability).close()  # creates the file and its tables before the timing
        tasks = [
            ProcessTask(path, plain, number, processes, decisions, durability, learn_every, seed)
            for number in range(processes)
        ]
        results = run_together(serve, tasks)
        problems = _check(path, results)
        size = path.stat().st_size / (processes * decisions)
        _same_tables(path, plain)
        inserted = run_together(insert, tasks)
    spent = max(result.ended for result in results) - min(result.begun for result in results)
    plainly = max(ended for _, _, ended in inserted) - min(begun for _, begun, _ in inserted)
    decide, record = (np.concatenate([getattr(result, name) for result in results]) for name in ("decide", "record"))
    single = np.concatenate([times for times, _, _ in inserted])
    lines = (
        _line(durability, "decide", decide, spent),
        _line(durability, "record", record, spent),
        _line(durability, "decide and record", np.concatenate([decide, record]), spent),
        _line(durability, "plain sqlite3 inserts of the same rows", single, plainly),
    )
    faults, learned = sum(result.faults for result in results), sum(result.learned for result in results)
    return DurabilityResult(durability, lines, problems, faults, learned, size)


def markdown(found: list[DurabilityResult]) -> str:
    """Return the table and the problems as Markdown."""
    text = [
        f"| durability | what | calls | a second | {' | '.join(f'p{each} ms' for each in LATENCY_PERCENTILES)} |",
        f"|---|---|{'---:|' * (2 + len(LATENCY_PERCENTILES))}",
    ]
    for each in found:
        for line in each.lines:
            shown = " | ".join(f"{value:.2f}" for value in line.percentiles)
            text.append(f"| {line.durability} | {line.what} | {line.n:,} | {line.per_second:,.0f} | {shown} |")
    for each in found:
        ended = (
            "; ".join(each.problems) or "everything acknowledged is in the database once, and verify finds no problem"
        )
        text.append("")
        text.append(
            f"{each.durability}: {ended}. {each.faults:,} decisions failed and used the fallback offer, "
            f"{each.learned:,} outcomes were learned meanwhile, the file has {each.bytes_per_decision:,.0f} bytes "
            "a decision."
        )
    return "\n".join(text) + "\n"


def run(
    processes: int, decisions: int, durabilities: tuple[Durability, ...], learn_every: int, seed: int, console: Console
) -> list[DurabilityResult]:
    """Measure each durability, printing progress."""
    found = []
    for durability in durabilities:
        console.print(f"{processes} processes, {decisions:,} decisions each, durability {durability} ...")
        found.append(measure(processes, decisions, durability, learn_every, seed))
    return found


def _line(durability: str, what: str, seconds: FloatArray, spent: float) -> ThroughputRow:
    shown = tuple(float(value) for value in 1_000 * np.percentile(seconds, LATENCY_PERCENTILES)) if len(seconds) else ()
    return ThroughputRow(
        durability, what, len(seconds), len(seconds) / spent, shown or (0.0,) * len(LATENCY_PERCENTILES)
    )


def _same_tables(path: Path, plain: Path) -> None:
    """Make a new database with the tables and indexes of decisions and events, and nothing else."""
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(plain)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        for (statement,) in source.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name IN ('decisions', 'events') AND type IN ('table', 'index') "
            "AND sql IS NOT NULL ORDER BY type = 'index'"
        ):
            raw.execute(statement)
        raw.commit()


def _check(path: Path, results: list[ProcessResult]) -> tuple[str, ...]:
    """Return the problems: acknowledged decisions or events that are missing, or exist twice."""
    decisions = [name for result in results for name in result.decisions]
    events = [name for result in results for name in result.events]
    problems = [] if len(set(decisions)) == len(decisions) else ["two processes gave the same decision id"]
    with Store.open(path, customer_key=BENCH_KEY) as store:
        store.fold_spools()
        problems += verify(store).problems
    with contextlib.closing(sqlite3.connect(path)) as raw:
        there = Counter(name for (name,) in raw.execute("SELECT decision_id FROM decisions WHERE decision_id < 'w'"))
        happened = Counter(
            name for (name,) in raw.execute("SELECT d.decision_id FROM events e JOIN decisions d ON d.seq = e.seq")
        )
    for what, acknowledged, seen in (("decisions", decisions, there), ("events", events, happened)):
        lost, more = len(Counter(acknowledged) - seen), len(seen - Counter(acknowledged))
        if lost or more:
            problems.append(
                f"{lost:,} {what} that were acknowledged are missing, {more:,} exist and were not acknowledged"
            )
    return tuple(problems)

"""Template databases for the crash benchmark: with history, with outcomes to learn, or of an earlier version."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sqlite_utils

from bandit import Catalogue
from bandit.store import schema
from simulator.bench.durability.worker import (
    CRASH_CUSTOMERS,
    GROWN_DAYS,
    IMPORTED_ROWS,
    WAITING_DECISIONS,
    AcknowledgementLog,
    Worker,
)
from simulator.bench.engines import BENCH_START, ManualClock
from simulator.market.season import DAY


def grow(path: Path, catalogue: Catalogue, *, whole: bool = False, waiting: int = 0) -> None:
    """Make a database with some days of decisions, events and learning, and `waiting` more decisions to be learned.

    With `whole`, every outcome was learned completely, none as a partial silence.
    """
    worker = Worker(
        path,
        AcknowledgementLog(path),
        "process",
        np.random.default_rng(5),
        catalogue,
        ManualClock(BENCH_START),
        "waiting",
    )
    with worker.engine() as engine:
        for day in range(GROWN_DAYS):
            worker.clock.now = BENCH_START + day * DAY
            ids = [f"day{day}-{row}" for row in range(40)]
            customers = [f"customer-{row % CRASH_CUSTOMERS}" for row in range(40)]
            context: dict[str, Sequence[object]] = {
                "age": [20.0 + row for row in range(40)],
                "member": [row % 3 > 0 for row in range(40)],
            }
            engine.decide_batch(customers, context, decision_ids=ids)
            engine.record_batch(ids[day::5], "purchase", revenue=np.full(len(ids[day::5]), 30.0 + day))
            engine.learn(now=worker.clock.now + (40 * DAY if whole else DAY))
        worker.clock.now += DAY
        for _ in range(waiting // 500):
            worker.decide(engine, 500, log=False)


def earlier_version(source: Path, target: Path, version: int) -> None:
    """Write the content of a database under an earlier version of the schema."""
    raw = sqlite3.connect(target, isolation_level=None)
    database = sqlite_utils.Database(raw, execute_plugins=False)
    for migration in schema.MIGRATIONS[:version]:
        migration(database)
    raw.execute("ATTACH ? AS source", (str(source),))
    raw.execute("BEGIN")
    for (table,) in raw.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
        names = [row[1] for row in raw.execute(f'PRAGMA main.table_info("{table}")')]
        columns = ", ".join(f'"{name}"' for name in names)
        if table != "sqlite_sequence":
            raw.execute(f'INSERT INTO main."{table}" ({columns}) SELECT {columns} FROM source."{table}"')  # noqa: S608
    raw.execute("COMMIT")
    raw.execute(f"PRAGMA application_id = {schema.APPLICATION_ID:d}")
    raw.execute(f"PRAGMA user_version = {version:d}")
    raw.close()


def write_log(path: Path) -> None:
    """Write a campaign of `IMPORTED_ROWS` rows as CSV."""
    lines = ["id,who,at,age,member,discount,channel,p,bought,amount"]
    for row in range(IMPORTED_ROWS):
        bought = row % 4 == 0
        lines.append(
            f"row-{row},customer-{row % CRASH_CUSTOMERS},2025-06-{1 + row % 28:02d},{20 + row % 50},{row % 2}"
            f",{(0, 10)[row % 2]},{('email', 'sms')[row // 2 % 2]},0.25,{int(bought)},{row / 4 if bought else ''}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def all_templates(folder: Path, catalogue: Catalogue) -> Path:
    """Make all templates in a new folder, and return it."""
    folder.mkdir()
    write_log(folder / "log.csv")
    grow(folder / "grown.db", catalogue)
    grow(folder / "waiting.db", catalogue, waiting=WAITING_DECISIONS)
    grow(folder / "whole.db", catalogue, whole=True)
    for version in (1, 2):
        earlier_version(folder / "whole.db", folder / f"version {version}.db", version)
    return folder

"""The record of upkeep: backups, erasures and retention runs, with counts and without identities."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from bandit.store.connection import Connection

UpkeepKind = Literal["backup", "erase", "retain"]


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One run: what it was, when (microseconds since 1970 UTC), and its counts."""

    kind: str
    time: int
    details: dict[str, object]


def record(raw: sqlite3.Connection, kind: UpkeepKind, details: Mapping[str, object]) -> None:
    """Write a run, within the caller's transaction."""
    raw.execute(
        "INSERT INTO upkeep (kind, time, details) VALUES (?, ?, ?)",
        (kind, time.time_ns() // 1_000, msgspec.json.encode(details).decode()),
    )


def runs(connection: Connection) -> tuple[Upkeep, ...]:
    """Return all runs, in the order in which they ended."""
    with connection.reading() as raw:
        rows = raw.execute("SELECT kind, time, details FROM upkeep ORDER BY id").fetchall()
    return tuple(
        Upkeep(kind, moment, msgspec.json.decode(details, type=dict[str, object])) for kind, moment, details in rows
    )

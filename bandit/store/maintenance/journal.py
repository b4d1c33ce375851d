"""The journal (table `upkeep`): backups, deletions, rotations of the key and outcomes set aside, without identities."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from bandit.store.chain.kinds import JOURNAL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from bandit.store.chain.links import Chain
    from bandit.store.connection import Connection

JournalKind = Literal["backup", "erase", "retain", "rotate key", "set aside"]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One entry: its kind, its time (microseconds since 1970 UTC) and its counts."""

    kind: str
    time: int
    details: dict[str, object]


def record(raw: sqlite3.Connection, chain: Chain, kind: JournalKind, details: Mapping[str, object]) -> int:
    """Add a run, inside the caller's transaction, and return its number."""
    content = kind, time.time_ns() // 1_000, msgspec.json.encode(details).decode()
    number = raw.execute("INSERT INTO upkeep (kind, time, details) VALUES (?, ?, ?)", content).lastrowid
    chain.add_one(JOURNAL, (0, number, *content))
    return int(number or 0)


def runs(connection: Connection) -> tuple[JournalEntry, ...]:
    """Return all runs, oldest first."""
    with connection.reading() as raw:
        rows = raw.execute("SELECT kind, time, details FROM upkeep ORDER BY id").fetchall()
    return tuple(
        JournalEntry(kind, moment, msgspec.json.decode(details, type=dict[str, object]))
        for kind, moment, details in rows
    )

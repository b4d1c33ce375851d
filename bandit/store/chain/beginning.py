"""Makes the first links of a database that had rows before it had a chain."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from bandit.store.chain.kinds import CUSTOMERS, DECISIONS, EVENTS, KINDS, MAX_NUMBER, ChainedKind, owners
from bandit.store.chain.links import Chain, append_empty
from bandit.store.schema.reported_progress import migration_progress

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_ROWS_AT_ONCE = 16_384

_LAST = {
    DECISIONS: "SELECT COALESCE(MAX(seq), 0) FROM decisions",
    EVENTS: "SELECT COALESCE(MAX(id), 0) FROM events",
    CUSTOMERS: "SELECT COALESCE(MAX(id), 0) FROM customers",
}
"""The last number of the kinds with the most rows, by which the progress is told."""

_HAS_LINKS = "SELECT EXISTS (SELECT 1 FROM chain)"


def chain_existing(raw: sqlite3.Connection) -> None:
    """Append links over every row of the database, inside the caller's transaction, and then one that covers nothing.

    A link that covers nothing is written here alone: what is before it was there before the chain.
    """
    progress, done = migration_progress(), 0
    total = 0 if progress is None else sum(raw.execute(last).fetchone()[0] for last in _LAST.values())
    for kind in KINDS:
        for owner in owners(raw, kind):
            for number in _chain_rows(raw, kind, owner):
                if progress is not None and kind in _LAST:
                    progress(min(done + number, total), total)
        if progress is not None and kind in _LAST:
            done += raw.execute(_LAST[kind]).fetchone()[0]
    if raw.execute(_HAS_LINKS).fetchone()[0]:
        append_empty(raw)


def _chain_rows(raw: sqlite3.Connection, kind: ChainedKind, owner: int) -> Iterator[int]:
    """Append the links of an owner's rows, and yield the number of the last row after each part."""
    chain = Chain()
    rows = kind.read(raw, owner, 0, MAX_NUMBER)
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        chain.add(kind, part)
        chain.write(raw)
        yield int(part[-1][1])

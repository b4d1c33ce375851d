"""Counting what is there, and who is at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.store.database_file import file_size, wal_path
from bandit.store.records import UNKNOWN_POLICY, Counts
from bandit.store.tables.catalogues import spec_text
from bandit.store.tables.leases import Held

if TYPE_CHECKING:
    from bandit.store.connection import Connection


def held_leases(connection: Connection) -> tuple[Held, ...]:
    """Return all leases, also those that have run out."""
    with connection.reading() as raw:
        return tuple(Held(*row) for row in raw.execute("SELECT name, owner, until FROM leases ORDER BY name"))


def counts(connection: Connection) -> Counts:
    """Return how much is in the store."""
    with connection.reading() as raw:
        row = raw.execute(
            "SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM events), "
            "(SELECT count(*) FROM customers), (SELECT count(*) FROM catalogues), "
            "(SELECT count(*) FROM policies WHERE spec <> ?), "
            "(SELECT min(time) FROM decisions), (SELECT max(time) FROM decisions)",
            (spec_text(UNKNOWN_POLICY),),
        ).fetchone()
    decisions, events, customers, catalogues, policies, first_time, last_time = row
    return Counts(
        decisions=decisions,
        events=events,
        customers=customers,
        catalogues=catalogues,
        policies=policies,
        first_time=first_time,
        last_time=last_time,
        file_bytes=file_size(connection.path),
        wal_bytes=file_size(wal_path(connection.path)),
    )

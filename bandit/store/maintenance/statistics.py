"""Counts the rows of a store and measures its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.store.database_file import file_size, wal_path
from bandit.store.records import UNKNOWN_POLICY, StoreCounts
from bandit.store.tables.catalogues import spec_text

if TYPE_CHECKING:
    from bandit.store.connection import Connection


def counts(connection: Connection) -> StoreCounts:
    """Return the numbers of rows, the range of decision times and the sizes of the files."""
    with connection.reading() as raw:
        row = raw.execute(
            "SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM events), "
            "(SELECT count(*) FROM customers), (SELECT count(*) FROM catalogues), "
            "(SELECT count(*) FROM policies WHERE spec <> ?), "
            "(SELECT min(time) FROM decisions), (SELECT max(time) FROM decisions)",
            (spec_text(UNKNOWN_POLICY),),
        ).fetchone()
    decisions, events, customers, catalogues, policies, first_time, last_time = row
    return StoreCounts(
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

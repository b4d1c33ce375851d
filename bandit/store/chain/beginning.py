"""Makes the first links of a database that had rows before it had a chain."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from bandit.store.chain.kinds import KINDS, MAX_NUMBER, ChainedKind, owners
from bandit.store.chain.links import Chain, append_empty

if TYPE_CHECKING:
    import sqlite3

_ROWS_AT_ONCE = 16_384

_HAS_LINKS = "SELECT EXISTS (SELECT 1 FROM chain)"


def chain_existing(raw: sqlite3.Connection) -> None:
    """Append links over every row of the database, inside the caller's transaction, and then one that covers nothing.

    A link that covers nothing is written here alone: what is before it was there before the chain.
    """
    for kind in KINDS:
        for owner in owners(raw, kind):
            _chain_rows(raw, kind, owner)
    if raw.execute(_HAS_LINKS).fetchone()[0]:
        append_empty(raw)


def _chain_rows(raw: sqlite3.Connection, kind: ChainedKind, owner: int) -> None:
    chain = Chain()
    rows = kind.read(raw, owner, 0, MAX_NUMBER)
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        chain.add(kind, part)
        chain.write(raw)

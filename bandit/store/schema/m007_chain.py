"""Migration 7: the chain of hashes over all that was written, and an index of the outcomes set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.store.chain.beginning import chain_existing

if TYPE_CHECKING:
    import sqlite_utils

# The entries are MessagePack: the parts, the salts and the hashes; a deletion overwrites the salts of what it deletes.
_CHAIN = """
CREATE TABLE chain (
    id INTEGER PRIMARY KEY,
    entries BLOB NOT NULL,
    link BLOB NOT NULL
) STRICT
"""

_GUARDS = (
    """
CREATE TRIGGER chain_keep_update BEFORE UPDATE ON chain
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'chain is append-only: it shows what was changed'); END
""",
    """
CREATE TRIGGER chain_keep_delete BEFORE DELETE ON chain
BEGIN SELECT RAISE(ABORT, 'chain is append-only: it shows what was changed'); END
""",
)

_SET_ASIDE = """
CREATE INDEX upkeep_set_aside ON upkeep (json_extract(details, '$.policy_id'), json_extract(details, '$.step'))
WHERE kind = 'set aside'
"""


def apply(db: sqlite_utils.Database) -> None:
    """Add the table, and links over every row that is there: they show changes from now on, not earlier ones."""
    for statement in (_CHAIN, *_GUARDS, _SET_ASIDE):
        db.execute(statement)
    chain_existing(db.conn)

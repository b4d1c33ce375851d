"""Migration 6: how many stages of the objective a decision had reached when its outcome was learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite_utils

# A row of `learned` without a row here had reached no stage, and none before.
_STAGES = """
CREATE TABLE learned_stages (
    policy_id INTEGER NOT NULL,
    seq INTEGER NOT NULL REFERENCES decisions(seq),
    step INTEGER NOT NULL,
    stage INTEGER NOT NULL CHECK (stage >= 0),
    was_stage INTEGER NOT NULL CHECK (was_stage >= 0),
    PRIMARY KEY (policy_id, seq, step),
    FOREIGN KEY (policy_id, step) REFERENCES policy_steps(policy_id, step)
) STRICT, WITHOUT ROWID
"""

_GUARDS = (
    """
CREATE TRIGGER learned_stages_keep_update BEFORE UPDATE ON learned_stages
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'what was learned is append-only: a rebuild needs it as it was'); END
""",
    """
CREATE TRIGGER learned_stages_keep_delete BEFORE DELETE ON learned_stages
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'what was learned is append-only: a rebuild needs it as it was'); END
""",
)


def apply(db: sqlite_utils.Database) -> None:
    """Add the table, append-only like the outcomes that were learned."""
    for statement in (_STAGES, *_GUARDS):
        db.execute(statement)

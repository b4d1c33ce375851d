"""Checks the repeats of a store: each must be one that the catalogue of its original allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bandit.catalogue import Catalogue
from bandit.errors import CatalogueError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_LOST = """
SELECT r.decision_id, r.seq FROM repeats r LEFT JOIN decisions d ON d.seq = r.seq WHERE d.seq IS NULL
"""

_TWICE = "SELECT r.decision_id FROM repeats r JOIN decisions d ON d.decision_id = r.decision_id"

_FAULTS = """
SELECT r.decision_id, d.decision_id FROM repeats r JOIN decisions d ON d.seq = r.seq WHERE d.fault IS NOT NULL
"""

_AT_ANOTHER_TIME = """
SELECT r.decision_id, d.decision_id FROM decisions d JOIN repeats r ON r.seq = d.seq
WHERE d.catalogue_id = :catalogue AND NOT (r.time >= d.time AND r.time < d.time + :duration)
"""

# Only what was known when the repeat was made: events numbered up to `through`, and corrections up to it.
_AFTER_THE_END = """
SELECT r.decision_id, d.decision_id, MIN(e.event) FROM decisions d JOIN repeats r ON r.seq = d.seq
JOIN events e ON e.seq = d.seq
WHERE d.catalogue_id = :catalogue AND e.id <= r.through AND e.time >= d.time AND e.time <= r.time
    AND e.event IN (SELECT value FROM json_each(:until))
    AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id AND n.id <= r.through)
GROUP BY r.decision_id
"""

_CATALOGUES = """
SELECT c.id, c.content FROM catalogues c
WHERE EXISTS (SELECT 1 FROM repeats r JOIN decisions d ON d.seq = r.seq WHERE d.catalogue_id = c.id)
"""


def check_repeats(raw: sqlite3.Connection) -> Iterator[str]:
    """Yield a sentence for each repeat that cannot have been made under its catalogue's [sticky].

    Its original must be there and without a fault, and must have been held at its time: not longer ago than the
    declared duration, and with none of the events that end the hold among those known then. No decision has its id.
    """
    for decision_id, seq in raw.execute(_LOST):
        yield f'the repeat "{decision_id}" is of the decision number {seq}, which is not there'
    for (decision_id,) in raw.execute(_TWICE):
        yield f'the id "{decision_id}" is that of a decision and of a repeat'
    for decision_id, original in raw.execute(_FAULTS):
        yield f'the repeat "{decision_id}" is of the decision "{original}", which ended in a fault and holds nothing'
    for number, content in raw.execute(_CATALOGUES).fetchall():
        try:
            sticky = Catalogue.from_stored(msgspec.json.decode(content)).sticky
        except (CatalogueError, msgspec.DecodeError):
            continue  # the check of the catalogues says so
        if sticky is None:
            yield f"there are repeats of decisions under catalogue {number}, which declares no [sticky]"
            continue
        values = {"catalogue": number, "duration": sticky.duration}
        for decision_id, original in raw.execute(_AT_ANOTHER_TIME, values):
            yield f'the repeat "{decision_id}" was made at a time at which the decision "{original}" was not held'
        values = {"catalogue": number, "until": msgspec.json.encode(sticky.until).decode()}
        for decision_id, original, event in raw.execute(_AFTER_THE_END, values):
            yield f'the repeat "{decision_id}" was made after "{event}" ended the hold of the decision "{original}"'

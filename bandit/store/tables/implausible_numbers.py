"""Numbers in the log that are beyond what they can plausibly be: facts of decisions, and amounts of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.store.tables.fact_counts import NEWEST_COUNTED

if TYPE_CHECKING:
    from bandit.store.connection import Connection

# SQLite gives the other columns of the row that has the maximum.
_FACT = """
SELECT COUNT(*), MAX(ABS(value)), value, decision_id FROM (
    SELECT d.decision_id, json_extract(d.context, :place) AS value FROM (
        SELECT context, decision_id FROM decisions WHERE catalogue_id = :catalogue ORDER BY seq DESC LIMIT :most
    ) d
) WHERE typeof(value) IN ('real', 'integer') AND (value < :low OR value > :high)
"""

_AMOUNTS = """
SELECT COUNT(*), MAX(MAX(ABS(COALESCE(e.revenue, 0.0)), ABS(COALESCE(e.reward, 0.0)))),
    CASE WHEN ABS(COALESCE(e.revenue, 0.0)) >= ABS(COALESCE(e.reward, 0.0)) THEN e.revenue ELSE e.reward END,
    d.decision_id
FROM events e CROSS JOIN decisions d ON d.seq = e.seq
WHERE (e.revenue < -:largest OR e.revenue > :largest OR e.reward < -:largest OR e.reward > :largest)
    AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
"""


@dataclass(frozen=True, slots=True)
class ImplausibleNumbers:
    """How many numbers are beyond their bounds, the one furthest from 0, and a decision that has it."""

    n: int
    furthest: float
    decision_id: str


class ImplausibleNumbersReader:
    """Finds numbers that are beyond their bounds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_fact(self, catalogue_id: int, fact: str, low: float, high: float) -> ImplausibleNumbers | None:
        """Return what the newest decisions of a catalogue have of a numeric fact below `low` or above `high`, if any.

        At most the newest `NEWEST_COUNTED` decisions are read.
        """
        place = f'$."{fact}"'
        return self._found(
            _FACT, {"catalogue": catalogue_id, "place": place, "most": NEWEST_COUNTED, "low": low, "high": high}
        )

    def of_amounts(self, largest: float) -> ImplausibleNumbers | None:
        """Return what the events have of revenues and rewards beyond +-largest, if any; corrected ones do not count."""
        return self._found(_AMOUNTS, {"largest": largest})

    def _found(self, statement: str, parameters: dict[str, object]) -> ImplausibleNumbers | None:
        with self._connection.reading() as raw:
            n, _, furthest, decision_id = raw.execute(statement, parameters).fetchone()
        return ImplausibleNumbers(int(n), float(furthest), str(decision_id)) if n else None

"""Counts of the values that one fact has in the newest decisions of a catalogue version."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bandit.store.connection import Connection

NEWEST_COUNTED = 200_000
"""Newest decisions whose facts are counted."""

_VALUES = """
SELECT json_extract(d.context, :place), COUNT(*)
FROM (
    SELECT context FROM decisions WHERE catalogue_id = :catalogue ORDER BY seq DESC LIMIT :most
) d
WHERE json_type(d.context, :place) = 'text'
GROUP BY 1 ORDER BY 2 DESC
"""


class FactCounts:
    """Reads how often each text of a fact stands in stored contexts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def texts(self, catalogue_id: int, fact: str, most: int = NEWEST_COUNTED) -> dict[str, int]:
        """Return the texts of a fact in the newest `most` decisions of a catalogue, the most frequent first."""
        parameters = {"catalogue": catalogue_id, "place": f'$."{fact}"', "most": most}
        with self._connection.reading() as raw:
            return {str(text): int(n) for text, n in raw.execute(_VALUES, parameters)}

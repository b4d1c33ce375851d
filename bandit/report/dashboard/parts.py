"""Parts that several queries of the dashboard share: outcomes of decisions, a range of days, and sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DashboardQuery:
    """A query of the dashboard: its name in addresses, title, one or two sentences, SQL text and parameters.

    `parameters` has what each parameter means, in the order of the form.
    """

    name: str
    title: str
    text: str
    sql: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def to_metadata(self) -> dict[str, object]:
        """Return the query as Datasette's metadata states it; the meaning of the parameters is in the description."""
        hints = "; ".join(f"{name}: {meaning}" for name, meaning in self.parameters.items())
        plain: dict[str, object] = {
            "title": self.title,
            "description": without_marks(f"{self.text} Fill in {hints}." if hints else self.text),
            "sql": self.sql.strip(),
            "hide_sql": True,
        }
        return plain | ({"params": list(self.parameters)} if self.parameters else {})


def without_marks(text: str) -> str:
    """Return a text without the backticks of Markdown, which Datasette shows as they are.

    >>> without_marks("The customer: `customers.id`.")
    'The customer: customers.id.'
    """
    return text.replace("`", "")


RESULT_CAVEAT = (
    "Counts as logged, without intervals: who got what was not always by chance, so a difference between rows need "
    "not be an effect."
)
"""What is said under every table of results."""

DAY_PARAMETERS = {
    "first_day": "the first day (such as 2026-04-13; empty: from the beginning)",
    "last_day": "the last day (empty: to the end)",
}
"""The parameters of `IN_DAYS`."""

# A decision converts as in the view decision_log: the objective's event came within the window and was not returned.
OUTCOMES = """
outcomes AS (
    SELECT seq, COALESCE(sum(revenue), 0) AS revenue,
        sum(converts) > 0 AND NOT (COALESCE(min(revenue), 0) < 0 AND sum(revenue) <= 1e-6) AS converted
    FROM counted_events GROUP BY seq
)"""
"""A table expression: the outcome of each decision that has an event which counts."""

IN_DAYS = """
d.time >= COALESCE(CAST(strftime('%s', nullif(:first_day, '')) AS INTEGER) * 1000000, -9e18)
    AND d.time < COALESCE(CAST(strftime('%s', nullif(:last_day, ''), '+1 day') AS INTEGER) * 1000000, 9e18)
"""
"""A condition on `decisions d`: made in a range of days of UTC."""

RESULTS = """
    count(*) AS decisions, COALESCE(sum(o.converted), 0) AS conversions,
    round(100.0 * COALESCE(sum(o.converted), 0) / count(*), 2) AS response_percent,
    round(COALESCE(sum(o.revenue), 0), 2) AS revenue,
    round(COALESCE(sum(o.revenue), 0) / count(*), 4) AS revenue_per_decision
FROM decisions d LEFT JOIN outcomes o ON o.seq = d.seq"""
"""The sums of a table of results, with what they are summed over."""

SHOWN_TIME = "strftime('%Y-%m-%d %H:%M:%S', {} / 1e6, 'unixepoch')"
"""A time in microseconds as text, to the second."""

DECISION_TIME, EVENT_TIME = SHOWN_TIME.format("d.time"), SHOWN_TIME.format("e.time")
"""The times of a decision and of an event as text."""

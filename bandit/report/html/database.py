"""The log of a database as the source of a report: whose decisions it rests on, where several policies have decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.report.html.contents import ReportSource
from bandit.report.numbers import count
from bandit.store import StoreLog, Where

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.store import Store


def database_source(
    store: Store,
    catalogue: Catalogue,
    *,
    now: int,
    written_by: int | None = None,
    since: int | None = None,
    name: str = "",
) -> ReportSource:
    """Return the settled decisions of a database at the time `now`, from `since` on (microseconds since 1970 UTC).

    Without `written_by`, and without live groups, a database of several policies is represented by the one that made
    most decisions: together they support little, since each is judged by how probable the others found its offers.
    """
    where = Where(after_time=since, settled_before=now - catalogue.objective.window)
    notes: list[str] = []
    if written_by is None and len(store.decisions.decisions_by_group()) < 2:
        written_by = _most_decisions(store, catalogue, where, notes)
    log = StoreLog(
        store,
        catalogue,
        where=Where(policy_id=written_by, after_time=since, settled_before=now - catalogue.objective.window),
    )
    whole = None if written_by is None else StoreLog(store, catalogue, where=where)
    return ReportSource(name or str(store.path), log, catalogue, store, written_by, whole, tuple(notes))


def _most_decisions(store: Store, catalogue: Catalogue, where: Where, notes: list[str]) -> int | None:
    """Return the policy that made most decisions, None where there is only one; say so in a note."""
    counts = {}
    for row in store.catalogues.policies():
        part = Where(policy_id=row.id, after_time=where.after_time, settled_before=where.settled_before)
        n = StoreLog(store, catalogue, where=part).n
        if n:
            counts[row.id] = n
    if len(counts) < 2:
        return None
    chosen = max(counts, key=lambda each: counts[each])
    others = sum(counts.values()) - counts[chosen]
    notes.append(
        f"The database has decisions of {len(counts)} policies. What is estimated from the log rests on the "
        f"{count(counts[chosen])} of policy {chosen}, which made most; the {count(others)} of others are left out "
        "(--written-by chooses another)."
    )
    return chosen

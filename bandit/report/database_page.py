"""The documentation page of the database, made from its schema and the descriptions: `docs/database.md`.

`python -m bandit.report.database_page > docs/database.md` writes it again.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import sqlite_utils

from bandit.store import schema
from bandit.store.descriptions import DESCRIPTIONS, LEARNING_TABLES, LOG_TABLES, VIEWS, TableDescription

_COLUMNS = "SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid"
_REFERENCES = 'SELECT "from", "table", "to" FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq'
_INDEXES = """
SELECT l."unique", l.partial, (SELECT group_concat(name, ', ') FROM (
    SELECT name FROM pragma_index_info(l.name) ORDER BY seqno
)) FROM pragma_index_list(?) l WHERE l.origin <> 'pk' ORDER BY 3
"""

_HEAD = """# The database

One SQLite file holds everything: the log of decisions and events, the catalogues that were in force, what every policy
has learned and the roll-out. Any SQLite client reads it, while engines go on writing.

    sqlite3 -readonly offers.db
    datasette serve offers.db          # or `offer-bandit dashboard offers.db --serve`, with titles and queries

`offer-bandit dashboard` has [its own page](dashboard.md). Do not write to the file with other programs, and copy it
with `offer-bandit backup`: a plain copy misses what is still in the write-ahead log (`offers.db-wal`).

- **Times** in tables are whole microseconds since 1970-01-01 UTC; views show ISO 8601 in UTC.
- **Money** is in the catalogue's currency.
- **Append-only** tables have triggers that refuse every change and deletion. `erase` and `retain` lift them for their
  own transaction. A correction of an event is a row of its own, which names the one that it replaces.
- **The chain** has a hash of every row of the log, so that a later change of any shows (`offer-bandit verify --chain`).
- **Customers** are keyed hashes where a customer key is set, and stand in the clear otherwise.
- `PRAGMA user_version` is the version of this schema, {version} here. A newer program migrates an older file when it
  opens it for writing, and keeps a copy.

This page is made from the schema by `python -m bandit.report.database_page`.

## How the tables hang together

`>-` reads "many belong to one", `-<` the other way round, and `--` "at most one for one".

    events >- decisions >- customers
    decisions >- catalogues -< offers
    decisions >- eligible_sets >- catalogues
    decisions >- policies >- catalogues
    repeats >- decisions
    decision_arms -- decisions
    decision_arms >- rollout_changes
    decision_weights -- decisions
    imports >- catalogues
    catalogue_extensions >- catalogues
    carried_policies >- policies
    changed_states >- policies
    learned >- decisions
    learned >- policy_steps >- policies
    learned_stages >- decisions
    learned_stages >- policy_steps
    snapshots >- policies -- learning_reach
    customer_effects >- policies -- customer_effects_reach
    replaced_customer_effects >- policies

The offer of a decision is the row of `offers` with the same `catalogue_id` and `offer`; the state that decided is that
of `policy_steps` with the same `policy_id` and `step`. `events.corrects` names another event.

## Questions, answered

The last ten decisions with what came of them:

```sql
SELECT time, customer, offer, propensity, converted, revenue
FROM decision_log WHERE decision_id IN (SELECT decision_id FROM decisions ORDER BY seq DESC LIMIT 10);
```

What each group did (counts; `offer-bandit lift` compares them with intervals and costs):

```sql
SELECT "group", count(*) AS decisions, avg(converted) AS response, avg(revenue) AS revenue
FROM decision_log GROUP BY "group";
```

Which values of a fact were seen, and how often:

```sql
SELECT json_extract(context, '$.gender') AS gender, count(*) FROM decisions GROUP BY gender;
```

Every event of one decision, corrections among them:

```sql
SELECT event, time, revenue, current FROM event_log WHERE decision_id = 'a decision';
```
"""


@dataclass(frozen=True, slots=True)
class SchemaColumn:
    """A column of the schema: its name, declared type ("" where a view computes it) and place in the primary key."""

    name: str
    type: str
    key: int


def new_schema() -> sqlite3.Connection:
    """Return a connection to an empty database in memory with the newest schema."""
    raw = sqlite3.connect(":memory:", isolation_level=None)
    db = sqlite_utils.Database(raw, execute_plugins=False)
    for migration in schema.MIGRATIONS:
        migration(db)
    return raw


def columns_of(raw: sqlite3.Connection, table: str) -> tuple[SchemaColumn, ...]:
    """Return the columns of a table or view, in order; none for a name that is not there."""
    return tuple(SchemaColumn(*row) for row in raw.execute(_COLUMNS, (table,)))


def database_page() -> str:
    """Return the page as Markdown."""
    with closing(new_schema()) as raw:
        parts = [_HEAD.format(version=schema.VERSION)]
        parts += _chapter(raw, "Views", VIEWS)
        parts += _chapter(raw, "The log", LOG_TABLES)
        parts += _chapter(raw, "Policies, learning, roll-out and upkeep", LEARNING_TABLES)
    return "\n".join(parts)


def _chapter(raw: sqlite3.Connection, title: str, names: Iterable[str]) -> Iterator[str]:
    yield f"## {title}\n"
    for name in names:
        yield _section(raw, name, DESCRIPTIONS[name])


def _section(raw: sqlite3.Connection, name: str, words: TableDescription) -> str:
    references = {column: f"{table}.{to or 'id'}" for column, table, to in raw.execute(_REFERENCES, (name,))}
    title = words.title[0].lower() + words.title[1:]
    lines = [f"### `{name}`" if title == name else f"### `{name}`: {title}", "", words.text]
    if words.append_only:
        lines[-1] += " **Append-only.**"
    if words.internal:
        lines[-1] += " Of use to the program only."
    lines += ["", "| column | type | |", "|---|---|---|"]
    for column in columns_of(raw, name):
        kind = column.type or words.computed[column.name]
        mark = " (primary key)" if column.key else ""
        text = words.columns[column.name]
        refers = references.get(column.name)
        shown = text if refers is None or f"`{refers}`" in text else f"{text} Refers to `{refers}`."
        lines.append(f"| `{column.name}` | {kind}{mark} | {shown} |")
    indexes = [_index(*row) for row in raw.execute(_INDEXES, (name,))]
    if indexes:
        lines += ["", f"Indexed by {'; '.join(indexes)}."]
    return "\n".join(lines) + "\n"


def _index(unique: int, partial: int, columns: str) -> str:
    return f"`{columns}`{' (unique)' if unique else ''}{', where it is not NULL' if partial else ''}"


if __name__ == "__main__":
    sys.stdout.write(database_page())

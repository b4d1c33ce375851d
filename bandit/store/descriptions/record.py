"""What is said of one table or view of the database, and of each of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TableDescription:
    """One table or view in words, for people who read the database.

    `title` is a name in plain words, `text` says what a row is, `columns` has a line for each column in the order of
    the schema, and `computed` the types of a view's columns that SQLite does not declare. With `append_only` no row
    is changed or deleted except by an erasure or a retention run. `internal` tables are of use to the program only.
    """

    title: str
    text: str
    columns: Mapping[str, str]
    computed: Mapping[str, str] = field(default_factory=dict)
    append_only: bool = False
    internal: bool = False

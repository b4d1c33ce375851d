"""The tables, indices, triggers and views of a database, by their statements."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import cache

from bandit.store import schema

_ALL = "SELECT type, name, tbl_name, COALESCE(sql, '') FROM sqlite_master"

SchemaObjects = dict[tuple[str, str, str], str]
"""Statements by type, name and table; names without quotes and single blanks, which differ by who wrote them."""


@cache
def objects_of_a_new_database() -> SchemaObjects:
    """Return what the migrations make of an empty file."""
    import sqlite_utils  # noqa: PLC0415 - it loads pandas where that is installed

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        db = sqlite_utils.Database(raw, execute_plugins=False)
        for migration in schema.MIGRATIONS:
            migration(db)
        return schema_objects(raw)


def schema_objects(raw: sqlite3.Connection) -> SchemaObjects:
    """Return what a database has."""
    return {(kind, name, table): _normal(text) for kind, name, table, text in raw.execute(_ALL)}


def _normal(text: str) -> str:
    """Return a statement without the quotes of names, which versions of sqlite-utils write in different ways.

    >>> _normal('CREATE TABLE [a] (  "id" INTEGER )')
    'CREATE TABLE a ( id INTEGER )'
    """
    return " ".join(re.sub(r'[\["\]]', "", text).split())

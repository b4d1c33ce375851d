"""The page of the database is the one that its schema and descriptions make, and describes every column."""

import re
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from bandit.report.database_page import columns_of, database_page, new_schema
from bandit.store import Store, schema
from bandit.store.descriptions import DESCRIPTIONS, VIEWS
from tests.report.dashboard.conftest import recorded

__all__ = ["recorded"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "database.md"


def test_the_page_is_fresh():
    """`python -m bandit.report.database_page > docs/database.md` writes it again."""
    assert PAGE.read_text(encoding="utf-8") == database_page()


def undescribed(descriptions):
    """(table, column) of everything in the schema without a line, and of every line without something in the schema."""
    with closing(new_schema()) as raw:
        names = raw.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
        )
        there = {(name, column.name) for (name,) in names.fetchall() for column in columns_of(raw, name)}
    said = {(name, column) for name, words in descriptions.items() for column, text in words.columns.items() if text}
    return there ^ said


def test_no_table_view_or_column_lacks_a_description():
    assert undescribed(DESCRIPTIONS) == set()


def test_a_table_that_is_not_described_is_found():
    """The negative control: the same without one table, which has three columns."""
    assert len(undescribed({name: words for name, words in DESCRIPTIONS.items() if name != "leases"})) == 3


def test_columns_are_described_in_their_order_and_computed_ones_have_a_type():
    with closing(new_schema()) as raw:
        for name, words in DESCRIPTIONS.items():
            columns = columns_of(raw, name)
            assert list(words.columns) == [column.name for column in columns]
            assert set(words.computed) == {column.name for column in columns if not column.type}


def test_the_tables_said_to_be_append_only_are_those_with_triggers():
    with closing(new_schema()) as raw:
        guarded = {row[0] for row in raw.execute("SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'")}
        triggers = raw.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()[0]
    assert guarded == {name for name, words in DESCRIPTIONS.items() if words.append_only}
    assert triggers == 2 * len(guarded)


def test_the_schema_in_memory_is_that_of_a_new_store(tmp_path):
    statement = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    Store.open(tmp_path / "new.db").close()
    with closing(sqlite3.connect(tmp_path / "new.db")) as stored, closing(new_schema()) as raw:
        assert raw.execute(statement).fetchall() == stored.execute(statement).fetchall()
    assert f"version of this schema, {schema.VERSION} here" in database_page()


def test_computed_columns_have_the_type_that_is_said(recorded):
    allowed = {"REAL": {"real", "integer"}, "INTEGER": {"integer"}, "TEXT": {"text"}}
    with closing(sqlite3.connect(recorded.path)) as raw:
        for name, words in VIEWS.items():
            for column, kind in words.computed.items():
                found = {row[0] for row in raw.execute(f"SELECT DISTINCT typeof({column}) FROM {name}")}  # noqa: S608
                assert found <= allowed[kind], (name, column)


@pytest.mark.parametrize("statement", re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
def test_its_questions_have_answers(recorded, statement):
    with closing(sqlite3.connect(recorded.path)) as raw:
        assert raw.execute(statement.replace("a decision", "a42")).fetchall()


def test_the_sketch_has_every_reference_between_tables():
    """Each foreign key of the schema is a neighbourhood in a chain such as events >- decisions >- customers."""
    chains = re.findall(r"^    (\w+ (?:>-|-<|--) .*)$", database_page(), flags=re.MULTILINE)
    drawn = {frozenset(pair) for chain in chains for pair in pairwise(re.split(r" (?:>-|-<|--) ", chain))}
    statement = 'SELECT "table" FROM pragma_foreign_key_list(?)'
    with closing(new_schema()) as raw:
        keys = {
            frozenset({name, row[0]}) for name in DESCRIPTIONS for row in raw.execute(statement, (name,)).fetchall()
        }
    assert {key for key in keys if len(key) == 2} == drawn

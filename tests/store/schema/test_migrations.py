import sqlite3
from pathlib import Path

import pytest

from bandit.errors import StoreError
from bandit.store import Store, schema
from bandit.store.chain.anchor import ChainAnchor
from bandit.store.schema.reported_progress import reporting_migration
from tests.store.rows import DAY, WEEK, decisions, due, learn, names, outcome, weights

FIXTURES = Path(__file__).parents[2] / "fixtures"
EARLIER = range(1, schema.VERSION)

pytestmark = pytest.mark.filterwarnings("ignore:.*of the schema; as it was before")


def old(path, version):
    """Make a database as version `version` left it."""
    raw = sqlite3.connect(path)
    raw.executescript((FIXTURES / f"store_version_{version}.sql").read_text())
    raw.close()
    return path


def everything(path):
    """Every row of every table as {table: [{column: value}]}."""
    raw = sqlite3.connect(path)
    raw.row_factory = sqlite3.Row
    tables = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = {name: [dict(row) for row in raw.execute(f'SELECT * FROM "{name}"')] for name in tables}  # noqa: S608
    raw.close()
    return found


def test_there_is_a_fixture_of_every_earlier_version():
    assert {path.name for path in FIXTURES.glob("store_version_*.sql")} == {
        f"store_version_{version}.sql" for version in EARLIER
    }


@pytest.mark.parametrize("version", EARLIER)
def test_every_earlier_schema_becomes_the_newest_with_nothing_lost(tmp_path, version):
    path = old(tmp_path / "offers.db", version)
    before = everything(path)
    Store.open(path).close()
    after = everything(path)
    for table, rows in before.items():
        if table != "sqlite_sequence":  # the counters that migration 8 replaces
            assert [{column: row[column] for column in rows[0]} for row in after[table]] == rows
    raw = sqlite3.connect(path)
    assert schema.user_version(raw) == schema.VERSION
    raw.close()


@pytest.mark.parametrize("version", EARLIER)
def test_a_migrated_database_has_the_same_schema_as_a_new_one(tmp_path, version):
    def columns(path):
        raw = sqlite3.connect(path)
        found = {
            row[0]: raw.execute(f'PRAGMA table_info("{row[0]}")').fetchall()
            for row in raw.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
        }
        named = sorted(
            row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type IN ('index', 'trigger')")
        )
        raw.close()
        return found, named

    path = old(tmp_path / "offers.db", version)
    Store.open(path).close()
    Store.open(tmp_path / "new.db").close()
    assert columns(path) == columns(tmp_path / "new.db")


@pytest.mark.parametrize("version", EARLIER)
def test_a_migrated_database_is_sound_and_learns_on(tmp_path, version):
    """ "d" of both fixtures is open, or was learned in part, and is known in full at day 40."""
    with Store.open(old(tmp_path / "offers.db", version), durability="process") as store:
        assert store.check() == []
        assert outcome(store, "a") == (True, 5.0, 0.0, False)
        assert "d" in names(due(store, now=40 * DAY))
        learn(store, now=40 * DAY)
        assert weights(store)["d"][-1] == 1.0
        assert store.check() == []
        chain = store.check_chain()
        assert chain.problems == ()
        assert "before it had a chain" in chain.notes[0]


def test_version_2_keeps_what_was_learned_in_part(tmp_path):
    """Three quarters of the silence of "d" were learned; "e" converted meanwhile and "f" is new."""
    with Store.open(old(tmp_path / "offers.db", 2), durability="process") as store:
        assert weights(store) == {"a": [1.0, 1.0], "b": [1.0], "c": [1.0, 1.0], "d": [0.75]}
        rows = due(store, now=20 * DAY + 2 * WEEK)
        assert (names(rows), rows.is_update.tolist(), rows.previous_weight.tolist()) == (
            "def",
            [True, False, False],
            [0.75, 0.0, 0.0],
        )


def test_a_migration_tells_how_far_it_is_up_to_the_end(tmp_path):
    """First the pages of the copy, then the rows that the chain begins with; nothing outside of the block."""
    seen = []
    with reporting_migration(lambda done, total: seen.append((done, total))):
        Store.open(old(tmp_path / "offers.db", 6)).close()
    assert seen[-1][0] == seen[-1][1] > 0
    assert all(0 <= done <= total for done, total in seen)
    n = len(seen)
    Store.open(old(tmp_path / "others.db", 6)).close()
    assert len(seen) == n


@pytest.mark.parametrize("version", EARLIER)
def test_a_number_that_was_given_before_the_migration_is_not_given_again(tmp_path, version):
    """The counter stood at 40, so the newest decision that is there was not the last one: the next is 41."""
    path = old(tmp_path / "offers.db", version)
    raw = sqlite3.connect(path)
    raw.execute("UPDATE sqlite_sequence SET seq = 40 WHERE name = 'decisions'")
    raw.commit()
    raw.close()
    with Store.open(path) as store:
        (catalogue,) = {row.catalogue_id for row in store.catalogues.policies()} or {1}
        n_offers = store.catalogues.get(catalogue).n_offers
        assert store.decision_writer.append(decisions(catalogue, n_offers, ["later"])).tolist() == [41]
        assert store.decision_writer.append(decisions(catalogue, n_offers, ["still", "more"])).tolist() == [42, 43]
        assert store.check() == []
        assert store.check_chain().problems == ()


def test_an_anchor_of_before_migration_8_is_in_the_chain_after_it(tmp_path):
    """The chain is not written again: its head is the same, and what is written then follows from it."""
    path = old(tmp_path / "offers.db", 7)
    raw = sqlite3.connect(path)
    number, link = raw.execute("SELECT id, link FROM chain ORDER BY id DESC LIMIT 1").fetchone()
    raw.close()
    anchor = ChainAnchor(number, link)
    with Store.open(path) as store:
        assert store.chain_head() == anchor
        store.decision_writer.append(decisions(1, 2, ["later"]))
        report = store.check_chain(anchor)
    assert report.problems == ()
    assert report.anchored


def test_references_are_enforced_again_after_a_migration(tmp_path):
    with Store.open(old(tmp_path / "offers.db", 7)) as store, pytest.raises(StoreError):
        store.decision_writer.append(decisions(99, 2, ["nowhere"]))

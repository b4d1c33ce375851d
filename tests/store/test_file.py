import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.errors import StoreError
from bandit.store import Store, schema, state_hash
from tests.conftest import SPRING
from tests.store.rows import WEEK, decisions, events

N = 10


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


def fill(path, ids=("a", "b"), **options):
    with Store.open(path, durability="process", **options) as store:
        number = store.catalogues.register(Catalogue.from_dict(SPRING))
        store.decision_writer.append(decisions(number, N, ids))


def test_a_new_file_is_a_strict_wal_database_that_names_its_program(path):
    fill(path)
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert raw.execute("PRAGMA application_id").fetchone()[0] == schema.APPLICATION_ID
    assert raw.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION
    tables = raw.execute(
        "SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND schema = 'main'"
    ).fetchall()
    assert all(strict for name, strict in tables if not name.startswith("sqlite_"))
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute("INSERT INTO decisions (decision_id, time) VALUES ('x', 'noon')")
    raw.close()


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("process", 1)])
def test_durability_is_what_sqlite_is_told(path, durability, level):
    with Store.open(path, durability=durability) as store:
        assert store._connection.raw.execute("PRAGMA synchronous").fetchone()[0] == level
        assert store._connection.raw.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_durability_has_two_values(path):
    with pytest.raises(StoreError, match="durability"):
        Store.open(path, durability="none")


def test_the_same_key_opens_it_again_and_another_or_none_does_not(path):
    fill(path, customer_key=b"one")
    fill(path, ids=("c",), customer_key=b"one")
    with pytest.raises(StoreError, match="not the one it was made with"):
        Store.open(path, customer_key=b"two")
    with pytest.raises(StoreError, match="open it with the customer key"):
        Store.open(path)


def test_a_store_in_the_clear_says_so_and_takes_no_key_later(path):
    with Store.open(path) as store:
        assert store.customers.in_clear
    with pytest.raises(StoreError, match="in the clear there"):
        Store.open(path, customer_key=b"one")


@pytest.mark.parametrize("key", [b"", b"x" * 65])
def test_a_key_has_one_to_64_bytes(path, key):
    with pytest.raises(StoreError, match="1 to 64 bytes"):
        Store.open(path, customer_key=key)


def test_reading_only_reads_and_never_writes(path):
    with pytest.raises(StoreError, match="no such file"):
        Store.open(path, read_only=True)
    fill(path)
    with Store.open(path, read_only=True) as store:
        assert store.counts().decisions == 2
        assert store.check() == []
        with pytest.raises(StoreError, match="reading only"):
            store.decision_writer.append(decisions(1, N, ["c"]))
    assert not path.with_name("other.db").exists()


def test_a_closed_store_says_so(path):
    store = Store.open(path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.counts()


def test_what_cannot_be_a_store_is_refused_in_one_sentence(path, tmp_path):
    with pytest.raises(StoreError, match="directory"):
        Store.open(tmp_path)
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(tmp_path / "nowhere" / "offers.db")
    path.write_text("customer,offer\n1,2\n")
    with pytest.raises(StoreError, match="not a database"):
        Store.open(path)
    assert path.read_text() == "customer,offer\n1,2\n"


def test_a_database_of_another_application_is_left_alone(path):
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE theirs (x)")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another application"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_newer_version_is_refused(path):
    fill(path)
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    raw.close()
    with pytest.raises(StoreError, match="install a newer"):
        Store.open(path)


def test_a_file_cut_short_is_refused(path):
    fill(path, ids=[f"d{i}" for i in range(500)])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match="cut short"):
        Store.open(path)


def test_migrations_go_forward_one_transaction_each(path, monkeypatch):
    fill(path)

    def second(db):
        db.execute("CREATE TABLE later (x INTEGER) STRICT")

    def broken(db):
        db.execute("CREATE TABLE never (x INTEGER) STRICT")
        db.execute("not SQL")

    def version_and_tables():
        raw = sqlite3.connect(path)
        tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_master")}
        version = raw.execute("PRAGMA user_version").fetchone()[0]
        raw.close()
        return version, tables

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, second, broken))
    version = schema.VERSION
    monkeypatch.setattr(schema, "VERSION", version + 2)
    with pytest.raises(StoreError, match="open it once for writing"):
        Store.open(path, read_only=True)
    with pytest.raises(StoreError):
        Store.open(path)
    now, tables = version_and_tables()
    assert now == version + 1
    assert "later" in tables
    assert "never" not in tables


def test_check_finds_what_was_tampered_with(path):
    fill(path)
    with Store.open(path) as store:
        store.catalogues.register_policy(1, {})
        store.ledger.record_step(1, 0, None, state_hash(b"state"), b"state")
        vectors = np.full((1, N), 1 / N)
        store.decision_writer.append(decisions(1, N, ["c"], probabilities=vectors))
        assert store.check() == []
    raw = sqlite3.connect(path)
    raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
    raw.execute("UPDATE snapshots SET state = x'00'")
    raw.execute("UPDATE decisions SET offer = 77 WHERE decision_id = 'a'")
    raw.execute("UPDATE decisions SET propensity = 0.5 WHERE decision_id = 'c'")
    raw.execute("UPDATE catalogues SET version = 'x'")
    raw.execute("UPDATE eligible_sets SET digest = x'00'")
    raw.execute("UPDATE policy_steps SET n = 5")
    raw.execute("PRAGMA ignore_check_constraints = ON")
    raw.execute("UPDATE decisions SET propensity = 1.5 WHERE decision_id = 'b'")
    raw.execute("UPDATE decisions SET customer_id = 99 WHERE decision_id = 'b'")
    raw.commit()
    raw.close()
    with Store.open(path) as store:
        problems = "\n".join(store.check())
    for words in (
        "row 2 of decisions names a row of customers",
        "stored as version x",
        "eligible set 1 has other content",
        '"b" has the propensity 1.5',
        "the offer 77, which is not in its eligible set",
        "the propensity 0.5 and the probability 0.1",
        "stored with 5 outcomes and 0 are there",
        "state of policy 1 after step 0",
    ):
        assert words in problems


def test_check_reports_a_damaged_page(path):
    fill(path, ids=[f"d{i}" for i in range(2_000)])
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 4096 // 2 * 4096)
        file.write(b"\xff" * 4096 * 5)
    with Store.open(path) as store:
        assert any("damaged" in problem or "cannot be read" in problem for problem in store.check())


def test_a_backup_is_a_store_of_its_own_and_overwrites_nothing(path, tmp_path):
    fill(path)
    copy = tmp_path / "copy.db"
    with Store.open(path) as store:
        store.backup(copy)
        with pytest.raises(StoreError, match="exists already"):
            store.backup(copy)
        with pytest.raises(StoreError, match="does not exist"):
            store.backup(tmp_path / "nowhere" / "copy.db")
        store.decision_writer.append(decisions(1, N, ["later"]))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.db", "offers.db"]
    with Store.open(copy) as store:
        assert store.counts().decisions == 2
        assert store.check() == []


def test_counts_say_what_is_there(path):
    fill(path)
    with Store.open(path) as store:
        store.events.append(events(["a"]))
        counts = store.counts()
    assert (counts.decisions, counts.events, counts.customers, counts.catalogues, counts.policies) == (2, 1, 2, 1, 0)
    assert (counts.first_time, counts.last_time) == (0, 1_000_000)
    assert counts.file_bytes > 0


def test_a_writer_that_waits_too_long_is_told(path):
    fill(path)
    with Store.open(path) as first, Store.open(path, busy_timeout=0.05) as second, first.transaction():
        assert second.counts().decisions == 2  # readers do not wait
        with pytest.raises(StoreError, match="locked by another process"):
            second.decision_writer.append(decisions(1, N, ["c"]))


def _write_many(path, worker, n):
    with Store.open(path, durability="process", busy_timeout=60) as store:
        number = store.catalogues.register(Catalogue.from_dict(SPRING))
        for i in range(n):
            store.decision_writer.append(decisions(number, N, [f"{worker}-{i}"]))
            store.events.append(events([f"{worker}-{i}"], revenue=1.0))


def test_two_processes_create_and_write_one_file(path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(path, worker, 60)) for worker in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    with Store.open(path) as store:
        assert store.counts().decisions == 120
        assert store.decisions.page("purchase", WEEK).converted.all()
        assert len(store.catalogues.all()) == 1
        assert store.check() == []


def _write_at_once(paths, barrier):
    for number, path in enumerate(paths):
        barrier.wait()  # all of them create the file at the same moment
        _write_many(path, f"{multiprocessing.current_process().name}-{number}", 1)


@pytest.mark.slow
def test_many_processes_may_create_one_file_at_the_same_moment(tmp_path):
    context = multiprocessing.get_context("spawn")
    paths, barrier = [tmp_path / f"{number}.db" for number in range(30)], context.Barrier(4, timeout=60)
    workers = [context.Process(target=_write_at_once, args=(paths, barrier)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    for path in paths:
        with Store.open(path, read_only=True) as store:
            assert store.counts().decisions == 4


_WRITER = """
import sys
from bandit.store import Store
from tests.store.rows import decisions, events
store = Store.open(sys.argv[1], durability="process")
run = sys.argv[2]
for i in range(1_000_000):
    store.decision_writer.append(decisions(1, 10, [f"{run}-{i}"]))
    store.decision_writer.append(decisions(1, 10, [f"{run}-{i}-{j}" for j in range(20)]))
    store.events.append(events([f"{run}-{i}"], revenue=1.0))
    print(i, flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_keeps_all_that_was_said_to_be_written_and_no_half_batch(path):
    fill(path, ids=["first"])
    root = Path(__file__).resolve().parents[2]
    for run in range(4):
        writer = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", _WRITER, str(path), str(run)], cwd=root, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout.readline() == "0\n"
        time.sleep(0.03 * (run + 1))
        os.kill(writer.pid, signal.SIGKILL)
        said = [line for line in writer.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
        last = int(said[-1]) if said else 0
        with Store.open(path, durability="process") as store:
            assert store.check() == []
            columns = store.decisions.page("purchase", WEEK, limit=10**7)
            ids = set(columns.decision_id.tolist())
            converted = dict(zip(columns.decision_id.tolist(), columns.converted.tolist(), strict=True))
            for i in range(last + 1):
                assert converted[f"{run}-{i}"]
                assert f"{run}-{i}-19" in ids
            later = [f"{run}-{last + 1}-{j}" in ids for j in range(20)]
            assert len(set(later)) == 1


def test_a_file_copied_with_its_log_beside_it_opens_as_it_was(path, tmp_path):
    with Store.open(path, durability="process") as store:
        number = store.catalogues.register(Catalogue.from_dict(SPRING))
        store.decision_writer.append(decisions(number, N, ["a"]))
        copy = tmp_path / "copy.db"
        shutil.copy(path, copy)
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    with Store.open(copy) as store:
        assert store.decisions.has("a")

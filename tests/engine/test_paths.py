"""A database is found by the path it was opened by, wherever the process goes and however the path was written."""

import json
import multiprocessing
import os
import subprocess
import sys

import pytest

import bandit
from bandit.errors import InputError, StoreError
from bandit.store import Store, spools
from tests.conftest import SPRING
from tests.engine.conftest import KEY, ROOT, context


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


@pytest.fixture
def relative(open_engine, tmp_path, monkeypatch, catalogue, clock):
    """A function that opens `offers.db` by its name alone."""
    monkeypatch.chdir(tmp_path)
    engines = []

    def opened(name="offers.db", **settings):
        settings = {"seed": 7, "customer_key": KEY, "clock": clock, "durability": "process", "sync": 0.0} | settings
        engines.append(bandit.Engine.open(name, catalogue, bandit.ThompsonSampling(catalogue), **settings))
        return engines[-1]

    yield opened
    for engine in engines:
        engine.close()


def used(engine, name):
    """Everything that opens another connection: learning, following, backup, explaining, verifying, rebuilding."""
    for row in range(3):
        engine.decide(f"c{row}", context(row), decision_id=f"{name}{row}")
        engine.record(f"{name}{row}", "purchase", revenue=5.0)
    learned = engine.learn().n
    engine.sync()
    engine.check_guardrails()
    engine.explain(f"{name}0")
    return learned


def test_a_relative_path_survives_a_change_of_the_working_directory(relative, elsewhere, path):
    """`learn` used to open the name in the new folder, where it made an empty database."""
    engine = relative()
    os.chdir(elsewhere)
    assert used(engine, "a") == 3
    engine.store.backup("copy.db")
    assert engine.verify().problems == ()
    assert engine.rebuild().same
    assert engine.status().path == str(path)
    assert [entry.name for entry in elsewhere.iterdir()] == ["copy.db"]
    assert engine.store.counts().decisions == 3


def test_a_spool_of_a_relative_path_lies_beside_the_database(relative, elsewhere, locked, path, monkeypatch):
    monkeypatch.setattr("bandit.store.spool.writer.RETRY", 0.0)
    engine = relative(busy_timeout=0.02)
    os.chdir(elsewhere)
    free = locked()
    assert engine.decide("c", context(0)).logged
    assert len(spools(path)) == 1
    free()
    engine.close()
    assert spools(path) == []
    assert list(elsewhere.iterdir()) == []


FORKED = """
import json, os, sys, time
import bandit
from tests.conftest import SPRING
catalogue = bandit.Catalogue.from_dict(SPRING)
os.chdir(sys.argv[1])
policy = bandit.ThompsonSampling(catalogue)
engine = bandit.Engine.open("offers.db", catalogue, policy, seed=7, customer_key=b"a key for our tests")
engine.decide("c", {})
os.chdir("elsewhere")
pid = os.fork()
name = "parent" if pid else "child"
faults = [engine.decide("c", {}, decision_id=f"{name}{row}").fault for row in range(3)]
engine.record(f"{name}0", "purchase", revenue=5.0)
report = engine.learn()
while not report.learner:  # the other one is learning, and may have begun before this one's event
    time.sleep(0.01)
    report = engine.learn()
engine.close()
print(json.dumps([faults, report.n]), flush=True)
if pid:
    assert os.waitpid(pid, 0)[1] == 0
else:
    os._exit(0)
"""


def test_after_a_fork_and_a_change_of_folder_both_sides_decide_record_and_learn(tmp_path, elsewhere, path):
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [faults for faults, _ in reports] == [[None] * 3] * 2
    assert sum(learned for _, learned in reports) == 2
    assert list(elsewhere.iterdir()) == []
    with Store.open(path, read_only=True, customer_key=KEY) as store:
        assert store.counts().decisions == 7


def test_all_names_of_a_database_share_one_spool_folder(open_engine, tmp_path, elsewhere, locked, path, monkeypatch):
    """A worker that opens it through a link spools beside the file itself, where `erase` and the others look."""
    monkeypatch.setattr("bandit.store.spool.writer.RETRY", 0.0)
    engine = open_engine()
    engine.decide("c", context(0))
    link = elsewhere / "link.db"
    link.symlink_to(path)
    catalogue = engine.catalogue
    with bandit.Engine.open(
        link, catalogue, bandit.ThompsonSampling(catalogue), customer_key=KEY, busy_timeout=0.02
    ) as other:
        free = locked()
        assert other.decide("c", context(1)).logged
        assert len(spools(path)) == 1
        assert [entry.name for entry in elsewhere.iterdir()] == ["link.db"]
        free()
    assert engine.store.counts().decisions == 2


def test_a_link_that_is_turned_elsewhere_moves_no_open_engine(open_engine, tmp_path, path, catalogue):
    link = tmp_path / "current.db"
    link.symlink_to(path)
    with bandit.Engine.open(link, catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        engine.decide("c", context(0))
        link.unlink()
        link.symlink_to(tmp_path / "next.db")
        assert engine.decide("c", context(1)).fault is None
        engine.learn()
        assert not (tmp_path / "next.db").exists()
        assert engine.store.counts().decisions == 2


def test_a_second_connection_never_makes_the_file(open_engine, path):
    engine = open_engine()
    path.unlink()
    for again in (engine.store.another, engine.store.reopened):
        with pytest.raises(StoreError, match=r"moved or removed|no such file"):
            again()
    assert not path.exists()


def test_what_needs_a_database_does_not_make_one(tmp_path, path):
    with pytest.raises(InputError, match="no such database"):
        bandit.Engine.resume(path)
    with pytest.raises(StoreError, match="no such file"):
        Store.open(path, create=False)
    path.touch()
    with pytest.raises(StoreError, match="empty file"):
        Store.open(path, create=False)
    assert path.read_bytes() == b""


def _open_and_decide(path, name):
    catalogue = bandit.Catalogue.from_dict(SPRING)
    with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        engine.decide("c", {}, decision_id=name)


@pytest.mark.slow
def test_four_processes_that_create_the_file_at_once_make_one(path):
    processes = [
        multiprocessing.get_context("spawn").Process(target=_open_and_decide, args=(path, f"d{name}"))
        for name in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    with Store.open(path, read_only=True, customer_key=KEY) as store:
        assert store.counts().decisions == 4

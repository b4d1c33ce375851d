"""Processes are killed while they work, and their databases checked; controls show that a loss would be seen."""

import contextlib
import sqlite3
import sys

import numpy as np
import pytest
from rich.console import Console

from bandit import Catalogue
from simulator.bench.durability import crash
from simulator.bench.durability.acknowledgements import DatabaseContent
from simulator.bench.durability.recovery_check import check_recovery
from simulator.bench.durability.templates import grow
from simulator.bench.durability.worker import CRASH_CATALOGUE, AcknowledgementLog, Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked and stopped as Linux does it")

QUICK = [
    "deciding",
    "importing a CSV",
    "migrating from version 1",
    "erasing",
    "opening after a kill",
    "erasing beside deciders",
]


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_done_in_part_when_processes_are_killed():
    """18 kills, three an activity; every second one waits for a moment at which a lock is held."""
    found = crash.run(18, QUICK, 3, Console(quiet=True))
    assert [each.problems for each in found] == [[]] * len(QUICK)
    assert sum(each.kills for each in found) == 18
    assert sum(each.within for each in found) >= 5
    assert "| all | 18 |" in crash.markdown(found)


@pytest.fixture
def worker(tmp_path):
    catalogue = Catalogue.from_dict(CRASH_CATALOGUE)
    grow(tmp_path / "work.db", catalogue)
    return Worker(
        tmp_path / "work.db", AcknowledgementLog(tmp_path / "notes"), "process", np.random.default_rng(1), catalogue
    )


def unguarded(path, *statements):
    """Change a log behind the guards."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("BEGIN")
        raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
        for statement in statements:
            raw.execute(statement)
        raw.execute("DELETE FROM meta WHERE name = 'erasing'")
        raw.execute("COMMIT")


@pytest.mark.slow
def test_a_loss_would_be_seen(worker):
    """The control: an acknowledged decision that is not there, events that are gone, a decision with other content."""
    before = DatabaseContent.read(worker.path)
    with worker.engine() as engine:
        ids = worker.decide(engine, 3)
        worker.record(engine, ids[:1], "purchase", 20.0)
    worker.notes.write("decided", ids=["never"], customers=["customer-1"], offers=[0], propensities=[0.5])
    unguarded(
        worker.path,
        "DELETE FROM events WHERE id = (SELECT MAX(id) FROM events)",
        f"UPDATE decisions SET propensity = propensity / 2 WHERE decision_id = '{ids[2]}'",  # noqa: S608
    )
    problems = "\n".join(check_recovery(worker, before))
    assert "2 acknowledged decisions are lost or changed" in problems
    assert "1 acknowledged events are lost or changed" in problems
    assert f'verify: decision "{ids[2]}": computed again, the propensity is another' in problems


@pytest.mark.slow
def test_a_changed_state_would_be_seen(worker):
    """The control of the learned state: what was live is not what the ledger gives."""
    before = DatabaseContent.read(worker.path)
    with worker.engine() as engine:
        worker.notes.write("learned", step=engine.step, state="another")
    assert any("is not the one that was live" in each for each in check_recovery(worker, before))


@pytest.mark.slow
def test_what_a_process_beside_the_killed_one_had_acknowledged_would_be_missed_too(worker):
    """The control of several processes: another process's acknowledgement without a row, its problem, and no end."""
    before = DatabaseContent.read(worker.path)
    other = AcknowledgementLog(worker.notes.path.with_name("notes-0"))
    other.write("decided", ids=["never"], customers=["customer-1"], offers=[0], propensities=[0.5])
    other.write("problem", sentence="nobody learned")
    problems = "\n".join(check_recovery(worker, before))
    assert "1 acknowledged decisions are lost or changed, for example never" in problems
    assert "nobody learned" in problems
    assert "a process beside the killed one did not end" in problems

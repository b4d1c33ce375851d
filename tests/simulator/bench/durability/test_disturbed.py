"""The disturbed soak in short, and controls that show that a loss would be seen."""

import contextlib
import json
import sqlite3
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from bandit.engine.decisions import UNSEARCHED
from bandit.errors import InputError
from simulator.bench.durability.disturbed import own_disturbances, report
from simulator.bench.durability.disturbed.expectation import Expectation
from simulator.bench.durability.disturbed.notes import LatencyCounts, NoteReader, NoteWriter
from simulator.bench.durability.disturbed.settings import DISTURBANCES, soak_settings
from simulator.bench.durability.disturbed.supervisor import Supervisor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked and stopped as Linux does it")


def settings(folder, **changes):
    given = {"minutes": 0.25, "rate": 60.0, "processes": 2, "durability": "process", "activities": [], "seed": 3}
    return soak_settings(folder, **given | changes)


@pytest.mark.slow
def test_a_short_soak_with_kills_forks_locks_and_clock_steps_loses_nothing(tmp_path, monkeypatch):
    """15 seconds of two processes, something each second: every acknowledged decision and event is there, once."""
    for name in ("kills", "pauses", "locks", "clock", "forks", "backup"):
        monkeypatch.setitem(DISTURBANCES, name, 2.0)
    activities = ["kills", "pauses", "locks", "clock", "forks", "backup"]
    rows = []
    found = Supervisor(settings(tmp_path / "soak", activities=activities)).run(rows.append, 5.0)
    assert +found.problems == {}
    assert found.happened["kills"] >= 2
    assert found.summary["decisions acknowledged"] > 200
    assert len(rows) >= 2
    assert rows[-1].per_second > 0.0
    assert "| minute |" in report.markdown(found)


@pytest.fixture
def database(tmp_path):
    """A database with the tables that are compared: two decisions with an event each."""
    path = tmp_path / "work.db"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.executescript(
            "CREATE TABLE decisions (seq INTEGER, decision_id TEXT, offer INTEGER, propensity REAL);"
            "CREATE TABLE events (id INTEGER, seq INTEGER, event TEXT, revenue REAL, corrects INTEGER);"
            "CREATE TABLE customers (key TEXT);"
            "INSERT INTO decisions VALUES (1, 'a', 0, 0.5), (2, 'b', 1, 0.25);"
            "INSERT INTO events VALUES (1, 1, 'purchase', 5.0, NULL), (2, 2, 'purchase', 7.0, NULL);"
        )
    return path


def expected(*notes):
    found = Expectation()
    for note in notes:
        found.add({"at": time.time() - 60.0, **note})
    return found


def decided(*names, offers=(0, 1), propensities=(0.5, 0.25), customers=("c1", "c2")):
    n = len(names)
    return {"what": "decided", "ids": names, "customers": customers[:n], "offers": offers[:n]} | {
        "propensities": propensities[:n],
        "times": [1, 2][:n],
    }


def recorded(name, revenue, what="recorded"):
    return {"what": what, "id": name, "event": "purchase", "revenue": revenue}


def problems(expectation, path):
    expectation.look(path, at_last=True)
    return sorted(name for name, count in expectation.problems.items() if count)


def test_what_is_there_as_acknowledged_is_no_problem(database):
    """An event that was asked for again, without an answer, may have the earlier amount or the new one."""
    found = expected(decided("a", "b"), recorded("a", 5.0), recorded("b", 3.0), recorded("b", 7.0, "recording"))
    assert problems(found, database) == []


def test_lost_changed_and_doubled_rows_are_each_seen(database):
    """A decision that is not there, one with another offer, an amount nobody sent, an event twice."""
    assert problems(expected(decided("never")), database) == ["acknowledged decisions are lost (never seen)"]
    assert problems(expected(decided("a", offers=(2,))), database) == ["acknowledged decisions have another content"]
    assert problems(expected(decided("a"), recorded("a", 6.0)), database) == ["acknowledged events have another amount"]
    assert problems(expected(decided("a"), recorded("a", 5.0) | {"event": "return"}), database) == [
        'acknowledged events "return" are lost'
    ]
    with contextlib.closing(sqlite3.connect(database)) as raw, raw:
        raw.execute("INSERT INTO events VALUES (3, 1, 'purchase', 5.0, NULL)")
    assert problems(expected(decided("a")), database) == ["events are there twice"]


def test_a_decision_that_comes_later_than_its_acknowledgement_is_late_and_not_lost(database):
    found = expected(decided("a", "c"))
    found.look(database)
    assert set(found.late) == {"c"}
    with contextlib.closing(sqlite3.connect(database)) as raw, raw:
        raw.execute("INSERT INTO decisions VALUES (3, 'c', 1, 0.25)")
    found.look(database)
    assert not found.pending
    assert found.latest_seconds > 50.0
    assert problems(found, database) == []


def test_an_erased_customer_who_is_there_is_seen_and_their_decisions_are_not_missed(database):
    notes = [decided("gone", customers=("guest-1",)), {"what": "erasing", "customer": "guest-1"}]
    found = expected(*notes, {"what": "erased", "customer": "guest-1", "key": "k1"})
    assert problems(found, database) == []
    with contextlib.closing(sqlite3.connect(database)) as raw, raw:
        raw.execute("INSERT INTO customers VALUES ('k1')")
    assert problems(found, database) == ["erased customers are in the database"]


def test_what_a_retention_run_removes_is_not_missed(database):
    found = expected(decided("a", "old"), {"what": "retaining", "before": 3, "at": time.time() - 59.0})
    assert problems(found, database) == []


def test_notes_are_read_once_in_order_and_files_that_were_read_are_removed(tmp_path, monkeypatch):
    """Lines of 50 bytes in files of 100: five lines make at least two files, of which the last one is kept."""
    monkeypatch.setattr("simulator.bench.durability.disturbed.notes.NOTE_FILE_BYTES", 100)
    writer, reader = NoteWriter(tmp_path, "w0.0"), NoteReader(tmp_path)
    for number in range(5):
        writer.write("counted", number=number)
    assert [note["number"] for note in reader.read()] == [0, 1, 2, 3, 4]
    assert len(list(tmp_path.iterdir())) == 1
    writer.write("counted", number=5)
    assert [note["number"] for note in reader.read()] == [5]


def test_percentiles_of_latency_are_within_a_class_of_the_sorted_calls():
    """1,000 lognormal times: a class is 4.7 % wide, and so is the difference at most."""
    seconds = np.random.default_rng(1).lognormal(-6.0, 1.0, 1_000)
    halves = [LatencyCounts(), LatencyCounts()]
    for place, each in enumerate(seconds.tolist()):
        halves[place % 2].add(each)
    both = LatencyCounts()
    for half in halves:
        both.merge(half.taken())
    for share in (0.5, 0.99):
        assert both.percentile(share) == pytest.approx(np.sort(seconds)[round(share * 1_000) - 1], rel=0.05)
    assert both.longest == seconds.max()


def test_settings_that_cannot_be_used_are_refused_in_a_sentence(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for changes, sentence in (
        ({"activities": ["flood"]}, 'there is no activity "flood"'),
        ({"rate": 0.0}, "above 0"),
        ({"folder": tmp_path / "full"}, "is not empty"),
    ):
        folder = changes.pop("folder", tmp_path / "new")
        with pytest.raises(InputError, match=sentence):
            settings(folder, **changes)


@pytest.mark.parametrize(("blind", "kind"), [(True, "unseen"), (False, "otherwise")])
def test_a_retry_that_was_answered_otherwise_is_a_problem_unless_its_answer_says_that_it_could_not_look(
    tmp_path, monkeypatch, blind, kind
):
    """Another process's decision: offer 0 with 0.5; the answer to the retry: offer 0 with 1, from the fallback."""
    soak = settings(tmp_path / "soak", activities=["crossing"])
    (soak.folder / "recent").mkdir(parents=True)
    told = {"id": "x", "customer": "c", "context": {}, "at": time.time(), "offer": 0, "propensity": 0.5}
    (soak.folder / "recent" / "1.json").write_text(json.dumps(told))
    fault = f"StoreError: locked; {UNSEARCHED}" if blind else "StoreError: locked"
    again = SimpleNamespace(offer_index=0, propensity=1.0, fault=fault, decision_id="x", customer="c")
    written = []
    decider = SimpleNamespace(
        settings=soak, slot=0, context={}, clock=SimpleNamespace(offset=0), rng=np.random.default_rng(2),
        due=lambda what, _seconds: what == "crossing", record=lambda *_: None,
        notes=SimpleNamespace(write=lambda what, **content: written.append((what, content))),
    )  # fmt: skip
    engine = SimpleNamespace(decide=lambda *_, **__: again)
    for _ in range(20):  # until the other process is drawn
        own_disturbances.cross(decider, engine, again)
    assert {what for what, _ in written} == {"happened", kind}
    assert all(content == {"id": "x"} for what, content in written if what == kind)

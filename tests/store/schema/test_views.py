"""The guards and the views that people see with a SQL client."""

import json
import sqlite3

import pytest

from tests.store.rows import DAY, decisions, events

N = 10


def test_decisions_and_events_cannot_be_changed_by_hand(store, number):
    store.decision_writer.append(decisions(number, N, ["a"]))
    store.events.append(events(["a"]))
    by_hand = sqlite3.connect(store.path)
    for statement in (
        "UPDATE decisions SET propensity = 1.0",
        "DELETE FROM decisions",
        "UPDATE events SET revenue = 1.0",
        "DELETE FROM events",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            by_hand.execute(statement)
    by_hand.rollback()
    by_hand.execute("INSERT INTO meta VALUES ('erasing', '1')")
    by_hand.execute("DELETE FROM events")  # what an erasure will do
    by_hand.close()


def test_the_views_are_readable(store, number):
    store.decision_writer.append(decisions(number, N, ["a", "b"]))
    store.events.append(events(["a"], time=DAY, revenue=52.0))
    store.events.append(events(["a"], time=8 * DAY, revenue=9.0, event_ids=["late"]))
    by_hand = sqlite3.connect(store.path)
    rows = by_hand.execute(
        'SELECT decision_id, time, offer, events, converted, revenue, "group" FROM decision_log ORDER BY 1'
    ).fetchall()
    assert rows[0][:2] == ("a", "1970-01-01T00:00:00.000Z")
    assert json.loads(rows[0][2]) == {"discount": "0", "channel": "email", "gift": "none"}
    assert rows[0][3:] == (1, 1, 52.0, "policy")
    assert rows[1][3:6] == (0, 0, 0.0)
    log = by_hand.execute("SELECT decision_id, event_id, time, current FROM event_log ORDER BY id").fetchall()
    assert log[0] == ("a", "purchase", "1970-01-02T00:00:00.000Z", 1)
    by_hand.close()

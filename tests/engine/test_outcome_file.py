"""Outcomes from a file: under which decisions they go, and that the same file changes nothing."""

import csv

import numpy as np
import pytest

import bandit
from bandit.engine.campaign import decide_campaign
from bandit.engine.outcome_file import OutcomeFile, record_file
from bandit.errors import InputError, LogFileError

KEY = b"a key for our tests"
DAY = 86_400_000_000
SENT = 1_795_000_000_000_000  # 2026-11-18


@pytest.fixture
def engine(tmp_path, catalogue):
    """Three customers of the campaign "easter", who are anna, ben and carla."""
    with bandit.Engine.open(
        tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=KEY, seed=1
    ) as opened:
        decide_campaign(opened, "easter", ["anna", "ben", "carla"], {"loyal": [True, False, None]}, time=SENT)
        yield opened


def written(path, *rows):
    with (path / "out.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path / "out.csv"


def recorded(engine, file, **options):
    return record_file(engine.store, engine.catalogue, OutcomeFile(file, **options))


def events_of(engine, customer):
    ids = decide_campaign(engine, "easter", [customer], {}).decision_ids
    found = engine.store.decisions.events_of(ids[0])
    return [(name, None if np.isnan(paid) else paid) for name, paid in zip(found.event, found.revenue, strict=True)]


HEAD = ["customer", "event", "time", "revenue"]


def test_rows_go_to_the_campaigns_decision_of_their_customer(tmp_path, engine):
    file = written(
        tmp_path,
        HEAD,
        ["anna", "purchase", "2026-11-19T08:00:00", "50"],
        ["anna", "return", "2026-11-20T08:00:00", "-20.5"],
        ["ben", "closed", "2026-11-19", ""],
        ["nobody", "purchase", "2026-11-19", "10"],
    )
    found = recorded(engine, file, campaign="easter")
    assert (found.n_rows, found.n_new, found.n_repeated, found.n_unknown, found.n_refused) == (4, 3, 0, 1, 0)
    assert events_of(engine, "anna") == [("purchase", 50.0), ("return", -20.5)]
    assert events_of(engine, "ben") == [("closed", None)]
    assert events_of(engine, "carla") == []


def test_the_same_file_and_a_longer_one_add_only_what_is_new(tmp_path, engine):
    rows = [HEAD, ["anna", "purchase", "2026-11-19T08:00:00", "50"], ["anna", "purchase", "2026-11-19T09:00:00", "50"]]
    assert recorded(engine, written(tmp_path, *rows), campaign="easter").n_new == 2
    again = recorded(engine, written(tmp_path, *rows, ["ben", "purchase", "2026-11-19", "7"]), campaign="easter")
    assert (again.n_new, again.n_repeated) == (1, 2)
    twice = recorded(engine, written(tmp_path, *rows, rows[-1]), campaign="easter")
    assert (twice.n_new, twice.n_repeated) == (0, 3)


def test_decisions_are_named_by_their_ids_and_orders_by_theirs(tmp_path, engine):
    ids = decide_campaign(engine, "easter", ["anna", "ben"], {}).decision_ids
    file = written(
        tmp_path,
        ["decision_id", "event", "revenue", "event_id"],
        [ids[0], "purchase", "50", "order-1"],
        [ids[0], "purchase", "50", "order-2"],
        [ids[1], "purchase", "9", ""],
        ["none", "purchase", "9", "order-9"],
    )
    found = recorded(engine, file)
    assert (found.n_new, found.n_unknown) == (3, 1)
    assert recorded(engine, file).n_repeated == 3
    assert engine.store.decisions.events_of(ids[0]).event_id.tolist() == ["order-1", "order-2"]


def test_names_of_the_tool_are_translated_and_other_events_left_out(tmp_path, engine):
    file = written(
        tmp_path,
        ["profile", "Metric", "Timestamp", "Value"],
        ["anna", "Placed Order", "2026-11-19", "50"],
        ["anna", "Opened Email", "2026-11-19", ""],
        ["ben", "Opened Email", "2026-11-19", ""],
    )
    columns = {"customer": "profile", "event": "Metric", "time": "Timestamp", "revenue": "Value"}
    found = recorded(engine, file, columns=columns, events={"Placed Order": "purchase"}, campaign="easter")
    assert (found.n_new, found.left_out) == (1, {"Opened Email": 2})
    assert found.to_rows()[-1] == {"result": "left out: Opened Email", "rows": 2}
    assert events_of(engine, "anna") == [("purchase", 50.0)]


def test_rows_that_cannot_be_read_are_refused_with_their_lines(tmp_path, engine):
    file = written(
        tmp_path,
        HEAD,
        ["anna", "purchase", "soon", "50"],
        ["anna", "purchase", "2026-11-19", "much"],
        ["anna", "", "2026-11-19", "5"],
        ["", "purchase", "2026-11-19", "5"],
        ["anna", "purchase", "2026-11-19"],
        ["ben", "purchase", "2026-11-19", "5"],
    )
    found = recorded(engine, file, campaign="easter")
    assert (found.n_rows, found.n_new, found.n_refused) == (6, 1, 5)
    assert {each.line: each.reason.split(";")[0] for each in found.refused} == {
        2: 'the time "soon" is not an ISO 8601 time',
        3: 'the revenue "much" is not a finite number',
        4: "the event is blank",
        5: "it names no decision",
        6: "it has 3 fields, and the header 4",
    }


def test_events_that_do_not_count_are_noted_once_for_the_whole_file(tmp_path, engine, monkeypatch):
    monkeypatch.setattr("bandit.engine.outcome_file._CHUNK_ROWS", 2)
    rows = [[who, "click", "2026-11-19", ""] for who in ("anna", "ben", "carla")]
    (note,) = recorded(engine, written(tmp_path, HEAD, *rows), campaign="easter").notes
    assert (note.event, note.n) == ("click", 3)


def test_a_file_without_what_is_needed_is_refused(tmp_path, engine):
    with pytest.raises(LogFileError, match="there is no such file"):
        recorded(engine, tmp_path / "none.csv")
    with pytest.raises(LogFileError, match="no column of the events' names"):
        recorded(engine, written(tmp_path, ["customer"], ["anna"]), campaign="easter")
    with pytest.raises(LogFileError, match="does not say of which decisions"):
        recorded(engine, written(tmp_path, HEAD, ["anna", "purchase", "", ""]))
    with pytest.raises(LogFileError, match='no column "Metric"'):
        recorded(engine, written(tmp_path, HEAD), columns={"event": "Metric"}, campaign="easter")
    with pytest.raises(InputError, match='no column "evnt" to name'):
        recorded(engine, written(tmp_path, HEAD), columns={"evnt": "event"}, campaign="easter")


def test_nothing_is_written_where_an_event_may_not_be_recorded(tmp_path, spring):
    spring["events"] = {"click": "ignored"}
    catalogue = bandit.Catalogue.from_dict(spring)
    policy = bandit.Uniform(catalogue)
    with bandit.Engine.open(tmp_path / "offers.db", catalogue, policy, customer_key=KEY) as engine:
        decide_campaign(engine, "easter", ["anna"], {}, time=SENT)
        file = written(tmp_path, HEAD, ["anna", "purchase", "2026-11-19", "5"], ["anna", "purchse", "2026-11-19", "5"])
        with pytest.raises(InputError, match="purchse"):
            recorded(engine, file, campaign="easter")
        assert engine.store.counts().events == 0

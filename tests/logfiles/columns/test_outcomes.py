"""Outcomes become events, and decisions are closed or left open."""

from bandit.store import Store
from tests.logfiles.import_tools import (
    bring,
    columns_of,
    mapping,
    row,
    table,
)

NOON = 1_772_366_400_000_000  # 2026-03-01 12:00 UTC


def test_outcomes_are_events_and_silence_is_closed(tmp_path):
    outcomes = [
        {"event": "visit", "when": {"column": "rec", "above": 1}},
        {"event": "purchase", "when": "bought", "revenue": "amount"},
        {"event": "net", "reward": "rec"},
    ]
    rows = [row(id="a", rec="2"), row(id="b", rec="1", bought="no", amount=""), row(id="c", bought="", rec="-3")]
    bring(tmp_path, table(*rows), using=mapping(outcomes=outcomes))
    with Store.open(tmp_path / "offers.db") as store:
        events = {key: store.decisions.events_of(key) for key in ("a", "b", "c")}
    assert events["a"].event.tolist() == ["visit", "purchase", "net", "closed"]
    assert events["b"].event.tolist() == ["net", "closed"]
    assert events["c"].reward.tolist()[0] == -3.0
    assert set(events["a"].time.tolist()) == {NOON}


def test_open_decisions_are_not_closed(tmp_path):
    bring(tmp_path, table(row(bought="0")), using=mapping(closed=False))
    assert columns_of(tmp_path).closed.tolist() == [False]
    assert columns_of(tmp_path).n_events.tolist() == [0]

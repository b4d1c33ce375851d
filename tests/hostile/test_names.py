"""Names are data: they go in and come back as they are, in the database, its views and exports, and are no paths."""

import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandit.catalogue import Catalogue
from bandit.engine import Engine
from bandit.logfiles import export, export_mapping, open_log
from bandit.policies import Uniform
from bandit.store import Store
from tests.conftest import SPRING
from tests.logfiles.import_tools import bring, mapping, row, spring, table

pytestmark = pytest.mark.filterwarnings("ignore:customers are stored in the clear")

SQL = (
    "'; DROP TABLE decisions; --", '"; DELETE FROM events; --', "a' OR '1'='1", "`x`", "[y]", "?1", ":name", "@p", "$p",
    "%s", "\\", "\x1b[2J", "\u202eabc", "\U0001f600", "NULL", "../../x", "/etc/passwd", "C:\\con", "a\r\nb",
    "=1+1", "0", ",",
)  # fmt: skip
NAMES = st.one_of(st.sampled_from(SQL), st.text(min_size=1, max_size=20)).filter(lambda t: t.strip() and "\0" not in t)

MOMENT = 1_764_000_000_000_000
"""2025-11-24 16:00 UTC."""


def _catalogue(dimension, option, value, event):
    return Catalogue.from_dict(
        {
            "name": value,
            "objective": {"kind": "revenue", "event": event, "window": "1d"},
            "context": {"fact": {"type": "categorical", "values": [value]}},
            "dimensions": [{"name": dimension, "options": [{"name": option}, {"name": option + "2"}]}],
        }
    )


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES)
def test_hostile_names_come_back_as_they_went_in(tmp_path_factory, dimension, option, value, event, who, group, own):
    folder = tmp_path_factory.mktemp("names")
    catalogue = _catalogue(dimension, option, value, event)
    path = folder / "offers.db"
    with Engine.open(path, catalogue, Uniform(catalogue), seed=1, group=group, durability="process") as engine:
        decided = engine.decide(who, {"fact": value}, decision_id=own, time=MOMENT)
        engine.record(own, event, revenue=2.0, event_id=who, time=MOMENT + 1)
        if event != "closed":
            engine.record(own, "closed", time=MOMENT + 1)
        assert decided.offer[dimension] in {option, option + "2"}
        stored = engine.store.decisions.one(own, event, 10)
        assert (stored.decision_id[0], stored.customer[0], stored.group[0]) == (own, who, group)
        assert engine.store.decisions.events_of(own).event_id[0] == who
        assert not engine.verify().problems
    raw = sqlite3.connect(path)
    try:
        (seen,) = raw.execute('SELECT decision_id, customer, catalogue, "group" FROM decision_log').fetchall()
        assert seen == (own, who, value, group)
        assert raw.execute("SELECT event FROM event_log WHERE event_id = ?", (who,)).fetchone()[0] == event
    finally:
        raw.close()
    with Store.open(path, durability="process") as store:
        assert store.catalogues.get(1).to_dict() == catalogue.to_dict()
        for name in ("out.csv", "out.dsjson", "out.parquet"):
            export(store, catalogue, folder / name, include_open=True)
            read = open_log(folder / name, catalogue, export_mapping(folder / name, catalogue))
            (batch,) = read.batches()
            assert batch.contexts.customers.tolist() == [who]
            assert batch.contexts.text["fact"].tolist() == [value]
            assert batch.offer.tolist() == [decided.offer_index]
    assert {entry.name.split("-")[0] for entry in folder.iterdir()} == {
        "offers.db",
        "out.csv",
        "out.dsjson",
        "out.parquet",
    }


def test_names_of_a_log_are_no_paths(tmp_path):
    """A log whose customers, ids, groups and texts are paths: nothing is written but the database, below its place."""
    inside = tmp_path / "inside"
    inside.mkdir()
    before = sorted(entry.name for entry in tmp_path.iterdir())
    hostile = ("../escaped", str(tmp_path / "escaped"), "a/b/c", "..", "~/x")
    rows = [row(id=name, who=name, sex=name) for name in hostile]
    catalogue = spring(context=SPRING["context"] | {"undeclared_values": "other"})
    report = bring(inside, table(*rows), catalogue=catalogue, using=mapping(columns={
        "customer": "who", "decision_id": "id", "time": "at", "propensity": "p", "group": "id",
    }))  # fmt: skip
    assert report.n_imported == len(hostile)
    with Store.open(inside / "offers.db", durability="process") as store:
        export(store, store.catalogues.get(1), inside / "out.csv", include_open=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before
    assert {entry.name.split("-")[0] for entry in inside.iterdir()} == {"offers.db", "log.csv", "out.csv"}

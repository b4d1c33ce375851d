"""Counts of recorded events by shape, brought up to date."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.catalogue import Catalogue
from bandit.store import EventShape, Store
from tests.conftest import SPRING
from tests.store.rows import DAY, NAN, WEEK, decisions, events


def filled(path):
    store = Store.open(path, durability="process")
    number = store.catalogues.register(Catalogue.from_dict(SPRING))
    store.decision_writer.append(decisions(number, 10, ["a", "b"]))
    return store


def test_events_are_counted_by_name_timing_and_amounts(tmp_path):
    with filled(tmp_path / "s.db") as store:
        store.events.append(events(["a"], revenue=50.0))
        store.events.append(events(["b"], time=-DAY, revenue=50.0))
        store.events.append(events(["a", "b"], "return", time=WEEK + DAY, revenue=-50.0))
        store.events.append(events(["a"], "purchase", reward=1.0, event_ids=["2"]))
        assert store.event_use.counts().counts == {
            EventShape(1, "purchase", 0, 1, rewarded=False): 1,
            EventShape(1, "purchase", -1, 1, rewarded=False): 1,
            EventShape(1, "return", 1, -1, rewarded=False): 2,
            EventShape(1, "purchase", 0, None, rewarded=True): 1,
        }


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from(["purchase", "order"]),
            st.integers(-1, 9),
            st.sampled_from([NAN, -5.0, 5.0]),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_counts_that_are_brought_up_to_date_are_those_of_one_pass(tmp_path_factory, rows):
    """Events come one by one, some of them corrections of earlier ones, and the counts are updated now and then."""
    with filled(tmp_path_factory.mktemp("s") / "s.db") as store:
        counts = store.event_use.counts()
        for decision, name, day, revenue, update in rows:
            row = events([decision], name, day * DAY, revenue, event_ids=["one"])
            store.events.append(row, correct=True)
            if update:
                counts.update()
        counts.update()
        assert {shape: n for shape, n in counts.counts.items() if n} == store.event_use.counts().counts


def test_after_a_deletion_the_counts_are_made_anew(tmp_path):
    with filled(tmp_path / "s.db") as store:
        store.events.append(events(["a", "b"], revenue=50.0))
        counts = store.event_use.counts()
        raw = store._connection.raw
        with store.transaction():
            raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
            raw.execute("DELETE FROM events WHERE seq = 1")
            raw.execute("DELETE FROM meta WHERE name = 'erasing'")
            raw.execute("INSERT INTO upkeep (kind, time, details) VALUES ('erase', 0, '{}')")
        counts.update()
        assert sum(counts.counts.values()) == 1

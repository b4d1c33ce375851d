"""Reading decisions: pages, filters and look-ups by id."""

import pytest

from bandit.errors import UnknownDecisionError
from bandit.store import Where
from tests.store.rows import WEEK, decisions, read

N = 10


def test_the_first_known_id_is_named(store, number):
    store.decision_writer.append(decisions(number, N, ["b", "c"]))
    assert store.decisions.first_existing(["a", "c", "b"]) == "c"
    assert store.decisions.first_existing(["a"]) is None
    assert store.decisions.first_existing([]) is None


def test_pages_meet_without_gap_and_filters_filter(store, number):
    policy = store.catalogues.register_policy(number, {"kind": "uniform"})
    store.decision_writer.append(decisions(number, N, [f"i{i}" for i in range(7)], batch="import"))
    store.decision_writer.append(decisions(number, N, [f"p{i}" for i in range(4)], policy_id=policy, group="control"))
    got, after = [], 0
    while len(page := read(store, after_seq=after, limit=3)):
        after = int(page.seq[-1])
        got += page.decision_id.tolist()
    assert got == [f"i{i}" for i in range(7)] + [f"p{i}" for i in range(4)]
    assert len(read(store, where=Where(policy_id=policy))) == 4
    assert len(read(store, where=Where(catalogue_id=number))) == 11
    assert len(read(store, where=Where(group="control"))) == 4
    assert len(read(store, where=Where(batch="import"))) == 7
    assert len(read(store, where=Where(after_time=1_000_000, before_time=3_000_000))) == 4
    assert len(read(store, through_seq=5)) == 5


def test_an_unknown_decision_is_named(store):
    with pytest.raises(UnknownDecisionError, match='no decision "nobody"'):
        store.decisions.one("nobody", "purchase", WEEK)
    assert not store.decisions.has("nobody")

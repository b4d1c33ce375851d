"""Rotation of the customer key where facts are stored hashed: they are hashed again, and all else stays as it is."""

import copy
import sqlite3

import numpy as np
import pytest

import bandit
from bandit.catalogue.fact_hash import FactHash
from bandit.governance.key_rotation import rotate_key
from bandit.governance.verify import verify
from bandit.policies import SegmentRules
from bandit.store import Store
from tests.conftest import SPRING

OLD, NEW = b"the first key of the tests", b"the second key of the tests"
BOTH = OLD + b"\n" + NEW
VALUES = ["zebra", "yak", "wombat"]


def catalogue_of(key):
    mapping = copy.deepcopy(SPRING)
    clinic = {"type": "categorical", "values": VALUES, "stored": "hashed", "undeclared_values": "other"}
    mapping["context"]["clinic"] = clinic
    mapping["rules"] = [*mapping["rules"], {"when": "clinic == 'zebra'", "forbid": {"channel": ["sms"]}}]
    mapping["sticky"] = {"for": "1h"}
    return bandit.Catalogue.from_dict(mapping, customer_key=key)


def play(engine, start, n=40):
    for turn in range(start, start + n):
        facts = {"gender": "f", "recency": float(turn % 9), "clinic": [*VALUES, "none of them", None][turn % 5]}
        engine.decide(f"c{turn % 30}", facts, decision_id=f"d{turn}")
        engine.record(f"d{turn}", "purchase", revenue=20.0 if turn % 5 == 1 else 0.0)
    engine.learn()


@pytest.mark.parametrize("kind", ["thompson", "vw", "rules"])
def test_after_a_rotation_all_verifies_under_the_new_hashes_and_none_of_the_old_is_left(tmp_path, kind):
    """The order of the values is that of their first hashes, so that what was learned of each stays its own."""
    path, old, both = tmp_path / "o.db", FactHash((OLD,)), FactHash((OLD, NEW))

    def policy(known):
        if kind == "rules":
            segments = [{"when": "clinic in ['yak', 'wombat']", "offer": known.offer(1)}]
            return SegmentRules.from_dict(known, {"segments": segments, "otherwise": known.offer(0)})
        return bandit.VowpalWabbit(known, warm_up=10) if kind == "vw" else bandit.ThompsonSampling(known)

    known = catalogue_of(OLD)
    with bandit.Engine.open(path, known, policy(known), seed=7, customer_key=OLD) as engine:
        play(engine, 0)
    words = [old.of(value) for value in (*VALUES, "none of them")]
    assert all(word.encode() in path.read_bytes() for word in words)
    rotate_key(path, BOTH)
    content = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert not [word for word in words if word.encode() in content]
    with Store.open(path, customer_key=BOTH) as store:
        assert verify(store).problems == ()
        assert store.check_chain().problems == ()
        assert set(store.catalogues.latest()[1].facts["clinic"].values) == set(map(both.of, VALUES))
    again = catalogue_of(BOTH)
    assert [both.after(1, value) for value in known.facts["clinic"].values] == list(again.facts["clinic"].values)
    with bandit.Engine.open(path, again, policy(again), seed=7, customer_key=BOTH) as engine:
        assert engine.store.catalogues.latest()[0] == 1  # no version of its own
        assert engine.rebuild().same
        play(engine, 100)
    with Store.open(path, read_only=True, unnamed_customers=True) as store:
        assert verify(store).problems == ()


def test_an_engine_that_has_the_new_key_goes_on(tmp_path):
    path, both = tmp_path / "o.db", catalogue_of(BOTH)
    with bandit.Engine.open(path, catalogue_of(OLD), bandit.Uniform(catalogue_of(OLD)), customer_key=OLD) as engine:
        engine.decide("a", {"clinic": "yak"})
    with bandit.Engine.open(path, both, bandit.Uniform(both), seed=1, customer_key=BOTH, busy_timeout=0.2) as engine:
        first = engine.decide("b", {"clinic": "yak"}, decision_id="before")
        assert first.fault is None
        rotate_key(path, BOTH)
        with pytest.warns(UserWarning, match="another customer key"):
            engine.decide("c", {"clinic": "yak"}, decision_id="spooled")
        engine.decide("d", {"clinic": "yak"}, decision_id="after")
    with Store.open(path, customer_key=BOTH) as store:
        assert verify(store).problems == ()
        contexts = store.decisions.page("purchase", 1).context.tolist()
        assert contexts == [f'{{"clinic":"{FactHash((OLD, NEW)).of("yak")}"}}'] * 4


def test_what_a_process_spooled_under_the_old_key_is_hashed_again(tmp_path):
    path, known = tmp_path / "o.db", catalogue_of(OLD)
    engine = bandit.Engine.open(path, known, bandit.Uniform(known), seed=7, customer_key=OLD, busy_timeout=0.05)
    engine.decide("a", {"clinic": "zebra"})
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    assert engine.decide("b", {"clinic": "yak"}, decision_id="late").fault is not None
    blocker.execute("ROLLBACK")
    blocker.close()
    rotate_key(path, BOTH)
    engine.close()  # its key is no longer that of the database, so its spool stays
    with Store.open(path, customer_key=BOTH) as store:
        store.fold_spools()
        known = store.catalogues.latest()[1]
        page = store.decisions.page("purchase", 1)
        assert page.decision_id.tolist()[-1] == "late"
        assert FactHash((OLD, NEW)).of("yak") in page.context[-1]
        codes = known.contexts([{"clinic": "yak"}]).columns["clinic"]
        np.testing.assert_array_equal(codes, known.facts["clinic"].values.index(FactHash((OLD, NEW)).of("yak")))

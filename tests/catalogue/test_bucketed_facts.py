"""Facts of which only a bucket is kept: it is logged, learned and decided by, and the value itself is nowhere."""

import copy
import math

import numpy as np
import pytest

import bandit
from bandit.errors import CatalogueError
from bandit.governance.verify import verify
from bandit.store import Store
from tests.conftest import SPRING

KEY = b"a key for our tests"
EDGES = [0.0, 18.0, 30.0, 45.0]


def bucketed(**changes):
    mapping = copy.deepcopy(SPRING)
    mapping["context"]["age"] = {"type": "numeric", "stored": "bucketed", "edges": EDGES} | changes
    return mapping


@pytest.fixture
def known():
    return bandit.Catalogue.from_dict(bucketed())


GIVEN = [17.9, 18.0, 29.99, 30, "44", 45.0, 1e9, -3.0, None]
KEPT = [0.0, 18.0, 18.0, 30.0, 30.0, 45.0, 45.0, 0.0, math.nan]


def test_a_value_is_read_as_the_lower_edge_of_its_bucket(known):
    """[0, 18), [18, 30), [30, 45), 45 and above; what is below 0 counts to the first; a missing one stays missing."""
    fact = known.facts["age"]
    for exact in (False, True):  # what is stored already stays in its bucket
        kept = KEPT if exact else GIVEN
        column = known.contexts({"age": kept if not exact else np.array(kept)}, exact=exact).columns["age"]
        np.testing.assert_array_equal(column, KEPT)
    one = [known.contexts([{"age": value}]).columns["age"][0] for value in GIVEN]
    np.testing.assert_array_equal(one, KEPT)
    np.testing.assert_array_equal(fact.bucketed(np.array(KEPT)), KEPT)


def test_nothing_else_of_the_value_is_in_the_file_and_the_log_verifies(tmp_path, known):
    path = tmp_path / "offers.db"
    facts = {"gender": "f", "recency": 1.0, "loyal": True}
    with bandit.Engine.open(path, known, bandit.ThompsonSampling(known), seed=7, customer_key=KEY) as engine:
        for turn in range(40):
            engine.decide(f"c{turn}", facts | {"age": 37.125}, decision_id=f"d{turn}")
            engine.record(f"d{turn}", "purchase", revenue=20.0)
        again = engine.decide("c0", facts | {"age": 37.125}, decision_id="d0")
        assert again.decision_id == "d0"
        engine.decide_batch(["x", "y"], {"gender": ["f", "m"], "age": [37.125, 37.125]})
        engine.learn()
        assert engine.rebuild().same
    with Store.open(path, customer_key=KEY) as store:
        assert verify(store).problems == ()
        assert set(store.decisions.page("purchase", 1).context) == {
            '{"gender":"f","recency":1.0,"loyal":true,"age":30.0}', '{"gender":"f","age":30.0}',
            '{"gender":"m","age":30.0}',
        }  # fmt: skip
    assert b"37.125" not in b"".join(each.read_bytes() for each in tmp_path.iterdir())


def test_a_condition_at_an_edge_says_of_the_bucket_what_it_says_of_the_value():
    ages = np.array([17.9, 18.0, 29.99, 30.0, 44.0, 45.0, -3.0])
    for condition, expected in (("age >= 30", ages >= 30), ("age < 18", ages < 18), ("45 <= age", ages >= 45)):
        rules = [{"when": condition, "forbid": {"gift": ["tote"]}, "reason": "age"}]
        known = bandit.Catalogue.from_dict(bucketed() | {"rules": rules})
        free = known.eligible(known.contexts({"age": ages})).all(axis=1)
        np.testing.assert_array_equal(~free, expected, err_msg=condition)


@pytest.mark.parametrize("condition", ["age > 30", "age <= 30", "age >= 31", "age >= 0", "age == 30", "age + 1 >= 30"])
def test_a_condition_that_needs_more_than_the_bucket_is_refused(condition):
    rules = [{"when": condition, "forbid": {"gift": ["tote"]}, "reason": "age"}]
    with pytest.raises(CatalogueError, match=r"by >= or < with an edge after the first \(18, 30, 45\)"):
        bandit.Catalogue.from_dict(bucketed() | {"rules": rules})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"edges": [1.0]}, "two or more finite numbers in increasing order"),
        ({"edges": [2.0, 1.0]}, "in increasing order"),
        ({"edges": [0.0, math.inf]}, "finite"),
        ({"stored": "yes"}, 'add stored = "bucketed"'),
        ({"type": "boolean"}, "only a numeric fact is stored by bucket"),
    ],
)
def test_buckets_that_cannot_be_are_refused(changes, words):
    with pytest.raises(CatalogueError, match=words):
        bandit.Catalogue.from_dict(bucketed(**changes))


def test_a_catalogue_without_buckets_is_the_version_it_was():
    """As version 0.9.0 computes it."""
    assert bandit.Catalogue.from_dict(SPRING).version == "99cddafde506982e"

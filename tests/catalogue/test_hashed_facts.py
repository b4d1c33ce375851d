"""Facts of which a keyed hash is kept: logged, learned and decided by, and the value itself is nowhere in the files."""

import copy
import sqlite3

import numpy as np
import pytest

import bandit
from bandit.catalogue.condition_syntax import read_condition
from bandit.catalogue.fact_hash import FactHash
from bandit.catalogue.hashed_values import hashed_condition
from bandit.errors import CatalogueError, ContextError, StoreError
from bandit.governance.customer_data import customer_data
from bandit.governance.erasure import erase
from bandit.governance.verify import verify
from bandit.policies import SegmentRules
from bandit.store import ContextDecoder, Store, StoreLog
from tests.conftest import SPRING

KEY = b"a key for our tests"
VALUES = ["zebra-clinic", "yak-clinic", "wombat-clinic"]
OTHER = "an undeclared clinic"


def hashed(**changes):
    mapping = copy.deepcopy(SPRING)
    mapping["context"]["clinic"] = {
        "type": "categorical",
        "values": VALUES,
        "stored": "hashed",
        "undeclared_values": "other",
    } | changes
    mapping["rules"] = [
        *mapping.get("rules", []),
        {"when": "clinic == 'zebra-clinic' and recency < 30", "forbid": {"gift": ["tote"]}, "reason": "clinic"},
    ]
    return mapping


@pytest.fixture
def known():
    return bandit.Catalogue.from_dict(hashed(), customer_key=KEY)


def files(folder):
    return b"".join(each.read_bytes() for each in folder.iterdir())


def none_in_clear(folder):
    content = files(folder)
    return not any(word.encode() in content for word in (*VALUES, OTHER, "clinic'"))


def play(engine, n=60):
    for turn in range(n):
        facts = {"gender": "f", "recency": 20.0 + turn, "clinic": [*VALUES, OTHER, None][turn % 5]}
        engine.decide(f"c{turn}", facts, decision_id=f"d{turn}")
        engine.record(f"d{turn}", "purchase", revenue=20.0 if turn % 5 == 1 else 0.0)
    engine.decide_batch(["x", "y"], {"gender": ["f", "m"], "clinic": np.array(["yak-clinic", OTHER])})
    engine.learn()


def test_a_stored_value_is_the_hash_of_the_value_under_the_key_in_normal_form(known):
    """blake2b-64 under the key; spaces around a value change nothing, another key changes all."""
    of = FactHash((KEY,))
    assert len(of.of("zebra-clinic")) == 16
    assert of.of(" zebra-clinic ") == of.of("zebra-clinic")
    assert of.of("zebra-clinic") != FactHash((KEY + b"!",)).of("zebra-clinic")
    assert set(known.facts["clinic"].values) == set(map(of.of, VALUES))
    contexts = known.contexts([{"clinic": value} for value in (" zebra-clinic", OTHER, None, "NULL")])
    assert contexts.text["clinic"].tolist() == [of.of("zebra-clinic"), of.of(OTHER), None, None]
    one = [known.contexts([{"clinic": value}]).columns["clinic"][0] for value in (*VALUES, OTHER, None, "NULL")]
    assert sorted(one[:3]) == [0, 1, 2]
    assert one[3:] == [3, -1, -1]


def test_hashes_are_in_an_order_of_their_own():
    """Ten values in the order of the file would name them; sorted by hash, all are in place by chance 1 in 10!."""
    values = [f"value {number}" for number in range(10)]
    known = bandit.Catalogue.from_dict(hashed(values=[*VALUES, *values]), customer_key=KEY)
    stored = list(known.facts["clinic"].values)
    assert stored == sorted(stored)
    assert stored != list(map(FactHash((KEY,)).of, [*VALUES, *values]))


def test_nothing_of_a_value_is_in_the_files_and_all_is_computed_again_without_the_key(tmp_path, known):
    path = tmp_path / "offers.db"
    with bandit.Engine.open(path, known, bandit.ThompsonSampling(known), seed=7, customer_key=KEY) as engine:
        play(engine)
        assert none_in_clear(tmp_path)  # the write-ahead log too
        assert engine.rebuild().same
        again = engine.decide("c0", {"gender": "f", "recency": 20.0, "clinic": "zebra-clinic"}, decision_id="d0")
        assert again.decision_id == "d0"
        assert "zebra" not in str(engine.explain("d1"))
    with Store.open(path, read_only=True, unnamed_customers=True) as store:
        assert verify(store).problems == ()
        newest = store.catalogues.latest()[1]
        assert newest.version == known.version
        assert newest.fact_hash is None
        log = StoreLog(store, newest)
        assert log.n == 62
        assert log.left_out == 0
        seen = np.concatenate([batch.contexts.columns["clinic"] for batch in log.batches()])
        given = known.contexts({"clinic": [[*VALUES, OTHER, None][turn % 5] for turn in range(60)]}).columns["clinic"]
        np.testing.assert_array_equal(seen[:60], given)
        with pytest.raises(ContextError, match="hashed with the customer key alone"):
            newest.contexts([{"clinic": "zebra-clinic"}])
    assert none_in_clear(tmp_path)


def test_rules_on_a_hashed_value_hold_as_on_the_value(known):
    """The rule forbids the tote to those of zebra-clinic below 30."""
    plain = bandit.Catalogue.from_dict(hashed(stored="yes"))
    given = {"clinic": ["zebra-clinic", "zebra-clinic", "yak-clinic", None], "recency": [20.0, 40.0, 20.0, 20.0]}
    np.testing.assert_array_equal(known.eligible(known.contexts(given)), plain.eligible(plain.contexts(given)))


def test_segment_rules_of_values_are_stored_with_hashes(tmp_path, known):
    content = {
        "segments": [{"when": "clinic in ['yak-clinic', 'wombat-clinic']", "offer": known.offer(1)}],
        "otherwise": known.offer(0),
    }
    policy = SegmentRules.from_dict(known, content)
    assert "yak" not in str(policy.spec())
    again = SegmentRules.from_dict(known, {key: value for key, value in policy.spec().items() if key != "kind"})
    assert again.spec() == policy.spec()
    with bandit.Engine.open(tmp_path / "o.db", known, policy, customer_key=KEY) as engine:
        assert engine.decide("a", {"clinic": "yak-clinic", "loyal": True}).offer_index == 1
        assert engine.decide("b", {"clinic": "zebra-clinic"}).offer_index == 0
    with Store.open(tmp_path / "o.db", customer_key=KEY) as store:
        assert verify(store).problems == ()
    assert none_in_clear(tmp_path)


def test_a_spool_has_hashes_as_well(tmp_path, known):
    path = tmp_path / "offers.db"
    with bandit.Engine.open(path, known, bandit.Uniform(known), seed=7, customer_key=KEY, busy_timeout=0.05) as engine:
        with sqlite3.connect(path, isolation_level=None) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            decided = engine.decide("c1", {"clinic": "zebra-clinic"})
            assert decided.fault is not None
            assert any("spool" in each.name for each in tmp_path.iterdir())
            assert none_in_clear(tmp_path)
            blocker.execute("ROLLBACK")
        blocker.close()
    with Store.open(path, customer_key=KEY) as store:
        assert store.counts().decisions == 1
        assert verify(store).problems == ()


def test_what_is_held_of_a_customer_names_hashes_and_an_erasure_leaves_no_hash(tmp_path, known):
    path = tmp_path / "offers.db"
    with bandit.Engine.open(path, known, bandit.ThompsonSampling(known), seed=7, customer_key=KEY) as engine:
        play(engine, 20)
        engine.decide("gone", {"clinic": "a clinic of one customer"})
        engine.learn()
    form = FactHash((KEY,)).of("a clinic of one customer")
    assert form.encode() in files(tmp_path)
    with Store.open(path, customer_key=KEY) as store:
        assert customer_data(store, "gone")["decisions"][0]["context"] == {"clinic": form}
        erase(store, "gone")
        assert verify(store).problems == ()
    assert form.encode() not in files(tmp_path)


def test_without_a_key_or_with_another_one_the_database_refuses(tmp_path, known, monkeypatch):
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)
    in_clear = bandit.Catalogue.from_dict(hashed())
    assert in_clear.facts["clinic"].values == tuple(VALUES)  # for log files
    with pytest.raises(StoreError, match="read without the customer key"):
        bandit.Engine.open(tmp_path / "a.db", in_clear, bandit.Uniform(in_clear), customer_key=KEY)
    with pytest.warns(UserWarning, match="in the clear"), pytest.raises(StoreError, match="needs a customer key"):
        bandit.Engine.open(tmp_path / "b.db", known, bandit.Uniform(known))
    other = bandit.Catalogue.from_dict(hashed(), customer_key=b"another key for tests")
    with pytest.raises(StoreError, match="another customer key"):
        bandit.Engine.open(tmp_path / "a.db", other, bandit.Uniform(other), customer_key=KEY)
    assert none_in_clear(tmp_path)


def test_the_key_of_the_environment_is_taken(monkeypatch, known):
    monkeypatch.setenv("OFFER_BANDIT_KEY", KEY.decode())
    assert bandit.Catalogue.from_dict(hashed()).version == known.version


def test_a_stored_catalogue_is_read_back_as_it_is(known):
    again = bandit.Catalogue.from_stored(known.to_dict())
    assert again.version == known.version
    assert again.facts["clinic"].values == known.facts["clinic"].values


def test_an_alias_of_a_hashed_value_counts_as_the_value():
    aliased = bandit.Catalogue.from_dict(hashed(value_aliases={"yak-clinic": ["old yak"]}), customer_key=KEY)
    codes = aliased.contexts({"clinic": ["old yak", "yak-clinic"]}).columns["clinic"]
    assert codes[0] == codes[1]
    assert "yak" not in str(aliased.to_dict())
    stored = aliased.contexts({"clinic": [FactHash((KEY,)).of("old yak")]}, stored=True).columns["clinic"]
    assert stored[0] == codes[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"type": "numeric", "values": [], "undeclared_values": None}, "only a categorical fact is stored hashed"),
        ({"stored": "yes", "hashed_with": "0f"}, "leave it out"),
    ],
)
def test_hashes_that_cannot_be_are_refused(changes, words):
    mapping = hashed(**changes)
    mapping["rules"] = []
    with pytest.raises(CatalogueError, match=words):
        bandit.Catalogue.from_dict(mapping, customer_key=KEY)


def test_messages_about_a_value_do_not_show_it(known):
    with pytest.raises(ContextError) as caught:
        known.contexts([{"clinic": b"zebra-clinic"}])
    assert "zebra" not in str(caught.value)
    assert "type bytes" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "clinic == 'a' and not (age >= -3.5 or loyal == true)", "'a' != clinic", "clinic in ['a', \"b\\\"c\", null]",
        "age + 1e3 < 2 * age and clinic == null", "clinic not in ['a'] == loyal",
    ],
)  # fmt: skip
def test_a_rewritten_condition_says_what_it_said(text):
    """With the identity in the hash's place the text reads as the same tree, and stays so."""
    again = hashed_condition(text, {"clinic"}, str)
    assert read_condition(again) == read_condition(text)
    assert hashed_condition(again, {"clinic"}, str) == again


def test_decoding_a_log_hashes_nothing_again(known):
    """An undeclared hash in the log stays what it is, also where texts are compared in normal form."""
    form = FactHash((KEY,)).of(OTHER)
    texts = np.array([f'{{"clinic":"{form}"}}'], dtype=object)
    for exact in (True, False):
        read = ContextDecoder(known, exact=exact).read(texts, np.array(["k"], dtype=object))
        assert read.text["clinic"].tolist() == [form]
        assert read.columns["clinic"].tolist() == [3]

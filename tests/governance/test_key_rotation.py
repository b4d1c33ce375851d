"""After a rotation of the customer key all is as before, under another key, and nothing of the old one is left."""

import contextlib
import sqlite3
import warnings

import numpy as np
import pytest

import bandit
from bandit.errors import InputError, StoreError
from bandit.governance.erasure import erase
from bandit.governance.key_rotation import rotate_key
from bandit.governance.verify import verify
from bandit.store import Store
from bandit.store.chain.kinds import CUSTOMERS
from bandit.store.chain.links import encode, read_entries, row_hash
from tests.conftest import SPRING
from tests.governance.conftest import KEY, POLICIES, WHO, explored_log

NEW = b"the next key for our tests"
BOTH = KEY + b"\n" + NEW
FACTS = {"gender": "f", "recency": 1.0, "loyal": True}


def content(path):
    return b"".join(each.read_bytes() for each in path.parent.iterdir() if each.is_file())


def clean(path, key):
    """Check that the database verifies, with its chain, and is rebuilt the same."""
    with Store.open(path, customer_key=key) as store:
        report = verify(store)
        assert report.problems == ()
        assert report.notes == ()
        chain = store.check_chain()
        assert chain.problems == ()
        policies = [row.id for row in store.catalogues.policies()]
    for number in policies:
        with bandit.Engine.resume(path, policy_id=number, customer_key=key) as engine:
            assert engine.rebuild().same
    return report


@pytest.fixture
def path(tmp_path, catalogue):
    """A log of 540 decisions of a policy that knows customers, who are under a key."""
    path = tmp_path / "offers.db"
    explored_log(path, catalogue, bandit.ThompsonSampling(catalogue), n=180)
    return path


def test_the_log_the_beliefs_and_the_chain_are_as_before_under_the_new_key(path):
    with Store.open(path, customer_key=KEY) as store:
        before, stored = verify(store), store.customers.stored(WHO)
        mine = store.decisions.of_customer(stored).tolist()
        anchor = store.chain_head()
    found = rotate_key(path, BOTH)
    assert (found.customers, found.n_keys, found.from_clear, found.policies) == (before_customers(path), 2, False, (1,))
    after = clean(path, BOTH)
    assert (after.n_decisions, after.n_recomputed) == (before.n_decisions, before.n_recomputed)
    with Store.open(path, customer_key=BOTH) as store:
        assert store.decisions.of_customer(store.customers.stored(WHO)).tolist() == mine
        assert store.check_chain(anchor).anchored
        assert store.journal()[-1].kind == "rotate key"
    assert stored.encode() not in content(path)


@pytest.mark.parametrize("kind", POLICIES)
def test_what_each_kind_of_policy_knows_is_rebuilt_the_same_after_a_rotation(tmp_path, catalogue, kind):
    """Two rounds of 40 outcomes; Vowpal Wabbit keeps the first 50 with their customers until it is warm."""
    path = tmp_path / "offers.db"
    explored_log(path, catalogue, POLICIES[kind](catalogue), n=40, rounds=2)
    with Store.open(path, customer_key=KEY) as store:
        old = store.customers.stored(WHO)
    rotate_key(path, BOTH)
    clean(path, BOTH)
    assert old.encode() not in content(path)
    assert "".join(old).encode("utf-32-le") not in content(path)  # as numpy stores texts


def before_customers(path):
    with contextlib.closing(sqlite3.connect(path)) as raw:
        return raw.execute("SELECT count(*) FROM customers").fetchone()[0]


def found_in_chain(path, form):
    """The numbers of customers whose row in the chain a guessed form matches, as an attacker would try all of them."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        entries = [read_entries(blob) for (blob,) in raw.execute("SELECT entries FROM chain ORDER BY id")]
    found = set()
    for parts, salts, hashes in entries:
        at = 0
        for code, owner, first, n in parts:
            for place in range(n if code == CUSTOMERS.code else 0):
                here = slice(16 * (at + place), 16 * (at + place + 1))
                if row_hash(salts[here], encode((owner, first + place, form))) == hashes[here]:
                    found.add(first + place)
            at += n
    return found


def test_the_old_key_finds_nobody_by_the_hashes_of_the_chain(path):
    """Control: before the rotation the old key finds the customer in the chain, and after it the new keys do."""
    with Store.open(path, customer_key=KEY) as store:
        old = store.customers.stored(WHO)
    (number,) = found_in_chain(path, old)
    rotate_key(path, BOTH)
    assert found_in_chain(path, old) == set()
    with Store.open(path, customer_key=BOTH) as store:
        assert found_in_chain(path, store.customers.stored(WHO)) == {number}


def test_the_old_key_alone_opens_it_no_more(path):
    rotate_key(path, BOTH)
    for key in (KEY, NEW, None, NEW + b"\n" + KEY):
        with pytest.raises(StoreError, match="key"):
            Store.open(path, customer_key=key)


def test_a_policy_decides_for_a_customer_as_before_the_rotation(path, catalogue):
    """The same seed, decision id, facts and belief: the same propensities to the last bit."""

    def choices(key):
        with bandit.Engine.resume(path, seed=7, customer_key=key, sync=None, keep_probabilities=True) as engine:
            policy = engine.learner.policy
            contexts = catalogue.contexts([FACTS] * 2, [engine.store.customers.stored(each) for each in (WHO, "other")])
            eligible = catalogue.eligible(contexts)
            return policy.probabilities(contexts, eligible, np.random.default_rng(1))

    before = choices(KEY)
    rotate_key(path, BOTH)
    assert np.array_equal(choices(BOTH), before)


def test_a_database_in_the_clear_gets_a_key(tmp_path, catalogue):
    path = tmp_path / "offers.db"
    with pytest.warns(UserWarning, match="in the clear"):
        engine = bandit.Engine.open(path, catalogue, bandit.ThompsonSampling(catalogue), seed=7)
    with engine:
        for turn in range(3):
            engine.decide(WHO, FACTS, decision_id=f"d{turn}")
            engine.record(f"d{turn}", "purchase", revenue=20.0)
        engine.learn()
    with pytest.raises(StoreError, match="rotate-key"):
        Store.open(path, customer_key=KEY)
    found = rotate_key(path, KEY)
    assert (found.customers, found.n_keys, found.from_clear) == (1, 1, True)
    assert WHO.encode() not in content(path)
    clean(path, KEY)
    with Store.open(path, customer_key=KEY) as store:
        assert len(store.decisions.of_customer(store.customers.stored(WHO))) == 3


def test_it_can_be_rotated_again_and_a_customer_erased_then(path):
    third = BOTH + b"\na third key for our tests"
    rotate_key(path, BOTH)
    assert rotate_key(path, third).n_keys == 3
    clean(path, third)
    with Store.open(path, customer_key=third) as store:
        assert erase(store, WHO).decisions == 15
        assert verify(store).problems == ()
        assert store.check_chain().problems == ()


def test_a_dry_run_changes_nothing(path):
    before = path.read_bytes()
    found = rotate_key(path, BOTH, dry_run=True)
    assert (found.dry_run, found.policies, found.customers) == (True, (1,), before_customers(path))
    assert path.read_bytes() == before
    Store.open(path, customer_key=KEY).close()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (KEY, "has all of the 1 key given already"),
        (KEY + b"\nshort", "the new customer key has 5 bytes"),
        (KEY + b"\n" + KEY, "two of the customer keys are the same"),
    ],
)
def test_a_rotation_needs_a_new_key(path, key, words):
    with pytest.raises(InputError, match=words):
        rotate_key(path, key)
    Store.open(path, customer_key=KEY).close()


def test_a_crash_before_the_commit_leaves_the_old_key(path, monkeypatch):
    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("bandit.store.maintenance.rekey.record", dies)
    with pytest.raises(KeyboardInterrupt):
        rotate_key(path, BOTH)
    clean(path, KEY)


def test_an_open_engine_with_the_new_key_goes_on_with_it(tmp_path, catalogue):
    """A customer is dealt with before, in the gap and after: each decision is logged, and it is one customer."""
    path = tmp_path / "offers.db"
    options = {"seed": 7, "customer_key": BOTH, "durability": "process"}
    with Store.open(path, customer_key=KEY):
        pass
    with (
        bandit.Engine.open(path, catalogue, bandit.ThompsonSampling(catalogue), **options) as engine,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        engine.decide(WHO, FACTS, decision_id="before")
        engine.record("before", "purchase", revenue=20.0)
        engine.learn()
        rotate_key(path, BOTH)
        gap = engine.decide(WHO, FACTS, decision_id="gap")
        assert (gap.logged, "another customer key" in gap.fault) == (True, True)
        after = engine.decide(WHO, FACTS, decision_id="after")
        assert (after.logged, after.fault) == (True, None)
        assert "is served under that since" in engine.status().replaced
        assert engine.decide(WHO, FACTS, decision_id="before").offer is not None
    clean(path, BOTH)
    with Store.open(path, customer_key=BOTH) as store:
        assert store.counts().customers == 1
        assert len(store.decisions.of_customer(store.customers.stored(WHO))) == 3


def test_an_open_engine_without_the_new_key_spools_and_its_customers_are_found_later(tmp_path, catalogue):
    path = tmp_path / "offers.db"
    engine = bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), seed=7, customer_key=KEY, sync=None)
    engine.decide(WHO, FACTS, decision_id="before")
    rotate_key(path, BOTH)
    for number in range(3):
        made = engine.decide(WHO, FACTS, decision_id=f"gap-{number}")
        assert (made.logged, "another customer key" in made.fault) == (True, True)
    assert "key file" in str(engine.status())
    engine.close()
    with Store.open(path, customer_key=BOTH) as store:
        assert store.fold_spools().lines == 3
        assert store.counts().customers == 1
        assert len(store.decisions.of_customer(store.customers.stored(WHO))) == 4
        assert verify(store).problems == ()


def test_customers_stay_in_the_groups_that_they_were_dealt_to(tmp_path):
    """The groups of 60 customers; dealt anew, the chance that all stay is 2^-60."""
    known = bandit.Catalogue.from_dict(SPRING | {"groups": {"salt": "s", "policy": 0.5, "random": 0.5}})
    path, names = tmp_path / "offers.db", [f"customer-{number}" for number in range(60)]

    def groups(key):
        with bandit.Engine.open(path, known, bandit.Uniform(known), seed=7, customer_key=key) as engine:
            batch = engine.decide_batch(names, [FACTS] * len(names))
            assert [engine.group_of(name) for name in names] == list(batch.group)
            return list(batch.group)

    before = groups(KEY)
    rotate_key(path, BOTH)
    assert groups(BOTH) == before
    assert len(set(before)) == 2
    clean(path, BOTH)

import json
import sqlite3
import threading

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.domain import Log
from bandit.errors import DuplicateError, NumberError, OfferError, StoreError, UnknownDecisionError
from bandit.store import Store, StoreLog, Where
from bandit.store.tables.decision_writer import ROWS_PER_STATEMENT
from tests.store.rows import DAY, WEEK, decisions, events

N = 10
FULL = ROWS_PER_STATEMENT


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "offers.db", customer_key=b"k" * 32, durability="process") as opened:
        yield opened


@pytest.fixture
def number(store, catalogue):
    return store.catalogues.register(catalogue)


def read(store, **options):
    return store.decisions.page("purchase", WEEK, **options)


def test_a_catalogue_is_registered_once_and_comes_back_whole(store, catalogue, spring):
    first = store.catalogues.register(catalogue)
    assert store.catalogues.register(Catalogue.from_dict(spring)) == first
    spring["name"] = "summer"
    second = store.catalogues.register(Catalogue.from_dict(spring))
    assert [(row.id, row.name) for row in store.catalogues.all()] == [(first, "spring"), (second, "summer")]
    assert store.catalogues.get(first).version == catalogue.version
    assert store.catalogues.latest()[0] == second
    with pytest.raises(StoreError, match="no catalogue 99"):
        store.catalogues.get(99)


def test_a_lineage_is_one_catalogue_and_one_set_of_settings_in_any_order(store, number):
    policy = store.catalogues.register_policy(number, {"kind": "uniform", "floor": 0.01})
    assert store.catalogues.register_policy(number, {"floor": 0.01, "kind": "uniform"}) == policy
    assert store.catalogues.register_policy(number, {"floor": 0.02, "kind": "uniform"}) != policy
    assert store.catalogues.policy_spec(policy) == (number, {"floor": 0.01, "kind": "uniform"})
    assert len(store.catalogues.policies()) == 2


def test_what_is_written_is_read_back_column_by_column(store, number):
    policy = store.catalogues.register_policy(number, {"kind": "uniform"})
    vectors = np.random.default_rng(1).dirichlet(np.ones(N), size=3)
    offer = np.array([0, 4, 9])
    rows = decisions(
        number,
        N,
        ["a", "b", "c"],
        policy_id=policy,
        policy_step=2,
        offer=offer,
        probabilities=vectors,
        propensity=vectors[[0, 1, 2], offer],
        group=["policy", "control", "policy"],
        seed="7",
        batch="batch-1",
        first_position=5,
        fault="why",
    )
    seq = store.decision_writer.append(rows)
    columns = read(store, probabilities=True)
    assert columns.seq.tolist() == seq.tolist()
    assert columns.decision_id.tolist() == ["a", "b", "c"]
    assert columns.time.tolist() == [0, 1_000_000, 2_000_000]
    assert columns.customer.tolist() == [store.customers.stored(f"customer-{i}") for i in range(3)]
    assert columns.policy_id.tolist() == [policy] * 3
    assert columns.policy_step.tolist() == [2] * 3
    assert columns.offer.tolist() == [0, 4, 9]
    assert columns.propensity.tolist() == rows.propensity.tolist()
    assert columns.group.tolist() == ["policy", "control", "policy"]
    assert columns.seed.tolist() == ["7"] * 3
    assert columns.batch.tolist() == ["batch-1"] * 3
    assert columns.position.tolist() == [5, 6, 7]
    assert columns.fault.tolist() == ["why"] * 3
    assert np.frombuffer(columns.probabilities[1]).tolist() == vectors[1].tolist()
    assert columns.n_events.tolist() == [0] * 3
    assert read(store).probabilities.tolist() == [None] * 3
    assert store.check() == []


def test_one_decision_at_a_time_and_a_batch_are_the_same_to_a_reader(tmp_path, catalogue):
    seen = []
    ids = [f"d{i}" for i in range(20)]
    for name in ("one", "batch"):
        with Store.open(tmp_path / f"{name}.db", durability="process") as store:
            number = store.catalogues.register(catalogue)
            rng = np.random.default_rng(3)
            masks = rng.random((20, N)) < 0.7
            offer = rng.integers(0, N, 20)
            masks[np.arange(20), offer] = True
            rows = decisions(number, N, ids, eligible=masks, offer=offer)
            if name == "batch":
                store.decision_writer.append(rows)
            else:
                for i in range(20):
                    store.decision_writer.append(
                        decisions(
                            number,
                            N,
                            [ids[i]],
                            eligible=masks[i : i + 1],
                            offer=offer[i : i + 1],
                            customers=[f"customer-{i}"],
                            time=rows.time[i : i + 1],
                        )
                    )
            columns = read(store)
            got = store.eligible_sets.masks(columns.eligible_set_id, N)
            assert (got == masks).all()
            seen.append((columns.decision_id.tolist(), columns.customer.tolist(), columns.offer.tolist()))
    assert seen[0] == seen[1]


def test_a_repeat_is_skipped_and_keeps_its_number(store, number):
    first = store.decision_writer.append(decisions(number, N, ["a", "b", "c"]))
    again = store.decision_writer.append(decisions(number, N, ["a", "b", "c", "d"]))
    assert again[:3].tolist() == first.tolist()
    one = store.decision_writer.append(decisions(number, N, ["a"]))
    assert one.tolist() == first[:1].tolist()
    assert store.counts().decisions == 4


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"propensity": np.array([0.5])}, "propensity"),
        ({"offer": np.array([3])}, "offer"),
        ({"customers": ["somebody else"]}, "customer"),
        ({"contexts_json": ["{}"]}, "context"),
        ({"time": np.array([7])}, "time"),
        ({"group": "control"}, "group"),
    ],
)
def test_an_id_with_other_content_is_refused_and_the_batch_with_it(store, number, change, word):
    store.decision_writer.append(decisions(number, N, ["a"]))
    with pytest.raises(DuplicateError, match=f'"a" is already there with another {word}'):
        store.decision_writer.append(decisions(number, N, ["a"], **change))
    spread = {name: [*value, *value] if isinstance(value, list) else value for name, value in change.items()}
    spread = {name: np.repeat(value, 2) if isinstance(value, np.ndarray) else value for name, value in spread.items()}
    with pytest.raises(DuplicateError):
        store.decision_writer.append(decisions(number, N, ["new", "a"], **spread))
    assert read(store).decision_id.tolist() == ["a"]


@pytest.mark.parametrize("n", [1, 2, FULL - 1, FULL, FULL + 1, 2 * FULL + 3])
def test_a_batch_of_any_size_is_written_row_by_row_in_order(store, number, n):
    """Many rows go in one statement: each keeps its own columns, and a repeat in their midst keeps its number."""
    ids = [f"{place:03d}" for place in range(n)]
    texts = [f'{{"recency":{place}.5}}' for place in range(n)]
    rows = decisions(number, N, ids, contexts_json=texts, group=[f"group {place % 3}" for place in range(n)])
    first = store.decision_writer.append(rows)
    assert first.tolist() == list(range(int(first[0]), int(first[0]) + n))
    assert store.decision_writer.append(rows).tolist() == first.tolist()
    page = read(store)
    assert page.decision_id.tolist() == ids
    assert page.context.tolist() == texts
    assert page.offer.tolist() == [place % N for place in range(n)]
    assert page.group.tolist() == [f"group {place % 3}" for place in range(n)]
    assert page.customer.tolist() == store.customers.all_stored([f"customer-{place}" for place in range(n)])
    assert page.position.tolist() == list(range(n))


def test_customers_may_be_given_as_they_are_stored(store, number):
    names = ["b", "a", "b", "c"]
    store.decision_writer.append(decisions(number, N, list("wxyz"), customers=names))
    given = store.customers.all_stored(names)
    store.decision_writer.append(decisions(number, N, list("1234"), customers=names, customer_keys=given))
    assert read(store).customer.tolist() == given * 2
    assert store.counts().customers == 3
    assert given == [store.customers.stored(name) for name in names]


def test_customers_in_the_clear_may_have_any_character_but_zero(tmp_path, catalogue):
    names = ["a\tb", "a", 'quote " and \n', "a\tb", "\u2028"]
    with Store.open(tmp_path / "clear.db", durability="process") as clear:
        number = clear.catalogues.register(catalogue)
        clear.decision_writer.append(decisions(number, N, list("vwxyz"), customers=names))
    with Store.open(tmp_path / "clear.db", durability="process") as clear:
        clear.decision_writer.append(decisions(number, N, list("12345"), customers=names))
        assert read(clear).customer.tolist() == names * 2
        assert clear.counts().customers == 4


def test_the_first_known_id_is_named(store, number):
    store.decision_writer.append(decisions(number, N, ["b", "c"]))
    assert store.decisions.first_existing(["a", "c", "b"]) == "c"
    assert store.decisions.first_existing(["a"]) is None
    assert store.decisions.first_existing([]) is None


def test_an_id_twice_in_a_batch_is_a_conflict_unless_the_rows_are_the_same(store, number):
    with pytest.raises(DuplicateError, match="another time and another customer and another offer"):
        store.decision_writer.append(decisions(number, N, ["a", "a"]))
    same = decisions(number, N, ["a", "a"], time=np.zeros(2, int), customers=["x", "x"], offer=np.zeros(2, int))
    seq = store.decision_writer.append(same)
    assert seq[0] == seq[1]
    assert store.counts().decisions == 1


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.0000001, np.nan, np.inf])
def test_a_propensity_outside_its_range_is_refused(store, number, propensity):
    with pytest.raises(NumberError, match='of decision "b" is'):
        store.decision_writer.append(decisions(number, N, ["a", "b"], propensity=np.array([0.1, propensity])))
    assert store.counts().decisions == 0


@pytest.mark.parametrize("offer", [-1, 3, 10])
def test_an_offer_that_is_not_eligible_is_refused(store, number, offer):
    mask = np.ones((1, N), dtype=bool)
    mask[0, 3] = False
    with pytest.raises(OfferError, match=f"the offer {offer} of decision"):
        store.decision_writer.append(decisions(number, N, ["a"], eligible=mask, offer=np.array([offer])))


def test_a_mask_of_another_size_than_the_catalogue_is_refused(store, number):
    with pytest.raises(StoreError, match="12 columns and catalogue 1 has 10 offers"):
        store.decision_writer.append(decisions(number, 12, ["a"]))
    with pytest.raises(StoreError, match="catalogue 9 is not registered"):
        store.decision_writer.append(decisions(9, N, ["a"]))
    with pytest.raises(StoreError, match="differ in length"):
        store.decision_writer.append(decisions(number, N, ["a", "b"], time=np.zeros(3, int)))


def test_reasons_are_asked_for_once_a_set(store, number):
    asked = []

    def removals(row):
        asked.append(row)
        return json.dumps([{"rule": row}])

    mask = np.ones((4, N), dtype=bool)
    mask[2:, 9] = False
    store.decision_writer.append(decisions(number, N, list("abcd"), eligible=mask, removals=removals))
    store.decision_writer.append(decisions(number, N, ["e"], eligible=mask[3:], removals=removals))
    assert sorted(asked) == [0, 2]
    sets = read(store).eligible_set_id
    assert len(set(sets.tolist())) == 2
    assert json.loads(store.eligible_sets.removals(int(sets[2]))) == [{"rule": 2}]
    assert store.eligible_sets.mask(int(sets[2])).tolist() == mask[2].tolist()


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


def test_customers_are_written_under_a_keyed_hash_and_never_as_they_are(store, number, tmp_path):
    store.decision_writer.append(decisions(number, N, ["a", "b"], customers=["ada@example.org", "ada@example.org"]))
    stored = read(store).customer.tolist()
    assert stored[0] == stored[1] == store.customers.stored("ada@example.org")
    assert len(stored[0]) == 32
    assert not store.customers.in_clear
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"ada@example.org" not in files


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


def test_what_was_rolled_back_leaves_nothing_in_the_caches(store, number):
    mask = np.ones((1, N), dtype=bool)
    mask[0, 9] = False
    boom = RuntimeError("boom")

    def fail(customer):
        with store.transaction():
            store.decision_writer.append(decisions(number, N, ["a"], customers=[customer], eligible=mask))
            raise boom

    with pytest.raises(RuntimeError):
        fail("x")
    store.decision_writer.append(decisions(number, N, ["b"], customers=["y"]))
    store.decision_writer.append(decisions(number, N, ["a"], customers=["x"], eligible=mask))
    columns = read(store)
    assert columns.customer.tolist() == [store.customers.stored("y"), store.customers.stored("x")]
    assert store.eligible_sets.mask(int(columns.eligible_set_id[1])).tolist() == mask[0].tolist()
    assert store.check() == []


def test_an_inner_transaction_that_fails_leaves_the_outer_one(store, number):
    with store.transaction():
        store.decision_writer.append(decisions(number, N, ["a"]))
        with pytest.raises(DuplicateError):
            store.decision_writer.append(decisions(number, N, ["b", "a"], offer=np.array([1, 2])))
        store.decision_writer.append(decisions(number, N, ["c"]))
    assert read(store).decision_id.tolist() == ["a", "c"]


def test_threads_share_a_store(store, number):
    def write(worker):
        for i in range(25):
            store.decision_writer.append(decisions(number, N, [f"{worker}-{i}"]))
            store.events.append(events([f"{worker}-{i}"], revenue=1.0))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    columns = read(store)
    assert len(columns) == 100
    assert columns.converted.all()


class TestLog:
    def test_it_is_a_log_with_the_reward_folded_in(self, store, number, catalogue):
        """Offer 0: 0 %, email, no gift: 50 x 0.35 - 0.01 = 17.49; without a purchase it costs the email, 0.01."""
        store.decision_writer.append(decisions(number, N, ["a", "b"], offer=np.zeros(2, int)))
        store.events.append(events(["a"], revenue=50.0))
        log = StoreLog(store, catalogue)
        assert isinstance(log, Log)
        assert (log.n, log.left_out) == (2, 0)
        (batch,) = log.batches()
        assert batch.reward.tolist() == pytest.approx([17.49, -0.01])
        assert batch.converted.tolist() == [True, False]
        assert batch.eligible.shape == (2, N)
        assert batch.contexts.columns["recency"].tolist() == [1.5, 1.5]
        assert batch.contexts.columns["loyal"].tolist() == [1.0, 1.0]
        assert batch.contexts.customers.tolist() == [store.customers.stored(f"customer-{i}") for i in range(2)]

    def test_it_can_be_read_again_in_batches_of_any_size_and_does_not_grow(self, store, number, catalogue):
        store.decision_writer.append(decisions(number, N, [f"d{i}" for i in range(10)]))
        log = StoreLog(store, catalogue)
        store.decision_writer.append(decisions(number, N, ["later"]))
        whole = next(log.batches())
        parts = list(log.batches(size=3))
        assert [len(part) for part in parts] == [3, 3, 3, 1]
        assert np.concatenate([part.offer for part in parts]).tolist() == whole.offer.tolist()
        assert log.n == len(whole) == 10

    def test_older_versions_are_mapped_by_the_names_of_their_options(self, store, number, spring):
        """Without sms and without the stacking rule: 3 x 1 x 2 = 6 offers; sms decisions are left out."""
        mask = np.ones((1, N), dtype=bool)
        mask[0, 9] = False
        store.decision_writer.append(decisions(number, N, [f"d{i}" for i in range(9)], eligible=mask))
        older = store.catalogues.get(number)
        spring["dimensions"][1]["options"] = [{"name": "email"}]
        spring["rules"] = spring["rules"][1:]
        newer = Catalogue.from_dict(spring)
        log = StoreLog(store, newer)
        (batch,) = log.batches()
        kept = [older.offer(i) for i in range(9) if older.offer(i)["channel"] == "email"]
        assert log.n == len(batch) == len(kept)
        assert log.left_out == 9 - len(kept)
        assert [newer.offer(int(i)) for i in batch.offer] == kept
        eligible = [newer.offer(int(i)) for i in np.flatnonzero(batch.eligible[0])]
        assert eligible == [older.offer(i) for i in range(9) if older.offer(i)["channel"] == "email"]

    def test_a_catalogue_of_other_dimensions_leaves_everything_out(self, store, number):
        store.decision_writer.append(decisions(number, N, ["a"]))
        other = Catalogue.from_dict({"dimensions": [{"name": "price", "options": [{"name": "1"}, {"name": "2"}]}]})
        log = StoreLog(store, other)
        assert (log.n, log.left_out, list(log.batches())) == (0, 1, [])

    def test_facts_missing_unseen_or_no_longer_declared_are_no_trouble(self, store, number, catalogue):
        texts = ["{}", '{"gender":"x","age":7}', '{"recency":3,"loyal":false,"gender":null}']
        store.decision_writer.append(decisions(number, N, list("abc"), contexts_json=texts))
        (batch,) = StoreLog(store, catalogue).batches()
        columns = batch.contexts.columns
        assert columns["gender"].tolist() == [-1, 2, -1]
        assert np.isnan(columns["recency"][:2]).all()
        assert columns["recency"][2] == 3.0
        assert columns["loyal"][2] == 0.0

    def test_a_fact_of_another_type_than_declared_is_missing(self, store, number, catalogue):
        store.decision_writer.append(decisions(number, N, ["a"], contexts_json=['{"recency":"often"}']))
        (batch,) = StoreLog(store, catalogue).batches()
        assert np.isnan(batch.contexts.columns["recency"]).all()

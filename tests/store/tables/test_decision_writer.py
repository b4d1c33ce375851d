"""Appending decisions: whole batches, repeats, conflicts and invalid columns."""

import numpy as np
import pytest

from bandit.errors import DuplicateError, NumberError, OfferError
from bandit.store import Store
from bandit.store.tables.decision_writer import ROWS_PER_STATEMENT
from tests.store.rows import decisions, read

N = 10

FULL = ROWS_PER_STATEMENT


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
def test_an_id_with_other_content_is_refused_with_its_whole_batch(store, number, change, word):
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

"""The weights of decisions: written with them, read back, compared at a repeat, checked, and deleted with them."""

import sqlite3

import numpy as np
import pytest

from bandit.errors import DuplicateError, NumberError
from bandit.store import Store, StoreLog
from tests.store.rows import decisions, read

N = 10


@pytest.fixture
def filled(store, number):
    """Six decisions: d1 stands for 10, d3 for 2.5, the others for one."""
    weights = np.array([1.0, 10.0, 1.0, 2.5, 1.0, 1.0])
    store.decision_writer.append(decisions(number, N, [f"d{row}" for row in range(6)], weights=weights))
    return store


def test_weights_are_read_with_the_decisions_page_by_page(filled):
    assert read(filled).weight.tolist() == [1.0, 10.0, 1.0, 2.5, 1.0, 1.0]
    assert read(filled, after_seq=2, limit=2).weight.tolist() == [1.0, 2.5]
    assert filled.decisions.weighted() == 2
    with sqlite3.connect(filled.path) as raw:
        assert raw.execute("SELECT count(*) FROM decision_weights").fetchone() == (2,)


def test_a_log_gives_the_weights_and_none_where_all_are_one(filled, catalogue):
    whole, first = (next(iter(StoreLog(filled, catalogue).batches(size))) for size in (100, 1))
    assert whole.weight.tolist() == [1.0, 10.0, 1.0, 2.5, 1.0, 1.0]
    assert (len(first.weight), first.stands_for) == (0, None)


def test_a_repeat_with_the_same_weight_is_skipped_and_with_another_refused(filled, number):
    again = filled.decision_writer.append(decisions(number, N, ["d0", "d1"], weights=np.array([1.0, 10.0])))
    assert again.tolist() == [1, 2]
    for weights in (np.array([1.0, 9.0]), np.array([2.0, 10.0]), None):
        with pytest.raises(DuplicateError, match="another weight"):
            filled.decision_writer.append(decisions(number, N, ["d0", "d1"], weights=weights))
    ids = [f"d{row}" for row in range(6)]
    filled.decision_writer.append(
        decisions(number, N, [*ids, "new"], weights=np.array([1.0, 10.0, 1.0, 2.5, 1.0, 1.0, 4.0]))
    )
    assert read(filled).weight.tolist() == [1.0, 10.0, 1.0, 2.5, 1.0, 1.0, 4.0]


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("n", [1, 3])
def test_a_weight_that_is_no_finite_number_above_zero_is_refused_and_nothing_is_written(store, number, weight, n):
    weights = np.ones(n)
    weights[-1] = weight
    with pytest.raises(NumberError, match=f'the weight of decision "d{n - 1}" is'):
        store.decision_writer.append(decisions(number, N, [f"d{row}" for row in range(n)], weights=weights))
    assert store.counts().decisions == 0


def test_weights_are_append_only_and_a_damaged_one_is_found(filled):
    assert filled.check() == []
    with sqlite3.connect(filled.path) as raw, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute("UPDATE decision_weights SET weight = 3")
    raw = sqlite3.connect(filled.path)
    raw.execute("DROP TRIGGER decision_weights_keep_update")
    raw.execute("UPDATE decision_weights SET weight = 9e999 WHERE seq = 2")
    raw.commit()
    raw.close()
    assert [line for line in filled.check() if "stands for" in line] == [
        'decision "d1" stands for inf decisions, which is not a finite number above 0'
    ]


def test_a_backup_has_the_weights(filled, tmp_path):
    filled.backup(tmp_path / "copy.db")
    with Store.open(tmp_path / "copy.db", customer_key=b"a key for our tests", durability="process") as copy:
        assert read(copy).weight.tolist() == [1.0, 10.0, 1.0, 2.5, 1.0, 1.0]
        assert copy.check() == []


def test_a_log_without_weights_is_read_as_before(store, number):
    store.decision_writer.append(decisions(number, N, ["a", "b"]))
    assert read(store).weight.tolist() == [1.0, 1.0]
    assert store.decisions.weighted() == 0

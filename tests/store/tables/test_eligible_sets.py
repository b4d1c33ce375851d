"""Eligible sets: each distinct mask is stored once."""

import json

import numpy as np
import pytest

from bandit.errors import StoreError
from tests.store.rows import decisions, read

N = 10


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

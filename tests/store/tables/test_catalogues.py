"""Catalogue versions and policies: registered once, found by content."""

import pytest

from bandit.catalogue import Catalogue
from bandit.errors import StoreError


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


def test_a_policy_is_one_catalogue_and_one_set_of_settings_in_any_order(store, number):
    policy = store.catalogues.register_policy(number, {"kind": "uniform", "floor": 0.01})
    assert store.catalogues.register_policy(number, {"floor": 0.01, "kind": "uniform"}) == policy
    assert store.catalogues.register_policy(number, {"floor": 0.02, "kind": "uniform"}) != policy
    assert store.catalogues.policy_spec(policy) == (number, {"floor": 0.01, "kind": "uniform"})
    assert len(store.catalogues.policies()) == 2

"""A store opened without its customers: it needs no key, and names nobody."""

import pytest

from bandit.errors import StoreError
from bandit.store import Store


@pytest.fixture
def path(tmp_path):
    with Store.open(tmp_path / "offers.db", customer_key=b"a key for our tests") as store:
        assert store.counts().decisions == 0
    return tmp_path / "offers.db"


def test_it_opens_where_the_key_is_needed_otherwise(path):
    with pytest.raises(StoreError, match="open it with the customer key"):
        Store.open(path)
    for key in (None, b"another"):
        with Store.open(path, customer_key=key, unnamed_customers=True) as store:
            store.rollout_changes.append(1, "anna", "kill", "", "{}")
            assert not store.customers.in_clear
            with store.another() as other:
                assert other.rollout_changes.latest_id() > 0


def test_no_customer_can_be_named(path):
    with Store.open(path, unnamed_customers=True, read_only=True) as store:
        for call in (lambda: store.customers.stored("c"), lambda: store.customers.all_stored(["c"])):
            with pytest.raises(StoreError, match="was opened without its customers; open it with the key"):
                call()


def test_a_new_file_is_left_without_a_key(tmp_path):
    """The key is settled by whoever opens it with customers first."""
    Store.open(tmp_path / "new.db", unnamed_customers=True).close()
    Store.open(tmp_path / "new.db", customer_key=b"a key for our tests").close()
    with pytest.raises(StoreError, match="the customer key is not the one"):
        Store.open(tmp_path / "new.db", customer_key=b"another key for our tests")

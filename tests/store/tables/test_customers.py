"""Customers: stored once, under a keyed hash."""

import pytest

from bandit.errors import StoreError
from bandit.store import Store
from tests.store.rows import decisions, fill, read

N = 10


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


def test_customers_are_written_under_a_keyed_hash_and_never_as_they_are(store, number, tmp_path):
    store.decision_writer.append(decisions(number, N, ["a", "b"], customers=["ada@example.org", "ada@example.org"]))
    stored = read(store).customer.tolist()
    assert stored[0] == stored[1] == store.customers.stored("ada@example.org")
    assert len(stored[0]) == 32
    assert not store.customers.in_clear
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"ada@example.org" not in files


def test_the_same_key_opens_it_again_and_another_or_none_does_not(path):
    fill(path, customer_key=b"one")
    fill(path, ids=("c",), customer_key=b"one")
    with pytest.raises(StoreError, match="not the one it was made with"):
        Store.open(path, customer_key=b"two")
    with pytest.raises(StoreError, match="open it with the customer key"):
        Store.open(path)


def test_a_store_in_the_clear_says_so_and_takes_no_key_later(path):
    with Store.open(path) as store:
        assert store.customers.in_clear
    with pytest.raises(StoreError, match="in the clear there"):
        Store.open(path, customer_key=b"one")


@pytest.mark.parametrize("key", [b"", b"x" * 65])
def test_a_key_has_one_to_64_bytes(path, key):
    with pytest.raises(StoreError, match="1 to 64 bytes"):
        Store.open(path, customer_key=key)

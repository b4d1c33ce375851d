"""Customers: stored once, under a keyed hash."""

import contextlib
import hashlib
import sqlite3
import warnings

import numpy as np
import pytest

from bandit.errors import StoreError
from bandit.store import Store
from bandit.store.customer_hash import CustomerHash, weakness
from tests.store.rows import decisions, fill, read

N = 10
STRONG, OTHER = b"the first of two keys", b"the second of two keys"


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
    fill(path, customer_key=b"one key for our tests")
    fill(path, ids=("c",), customer_key=b"one key for our tests")
    with pytest.raises(StoreError, match="not the one it was made with"):
        Store.open(path, customer_key=b"two keys for our tests")
    with pytest.raises(StoreError, match="open it with the customer key"):
        Store.open(path)


def test_a_store_in_the_clear_says_so_and_takes_no_key_later(path):
    with Store.open(path) as store:
        assert store.customers.in_clear
    with pytest.raises(StoreError, match="in the clear there"):
        Store.open(path, customer_key=b"one key for our tests")


@pytest.mark.parametrize("key", [b"", b"x" * 65])
def test_a_key_has_one_to_64_bytes(path, key):
    with pytest.raises(StoreError, match="1 to 64 bytes"):
        Store.open(path, customer_key=key)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (b"k", "has 1 byte, and at least 16"),
        (b"fifteen bytes..", "has 15 bytes"),
        (b"k" * 32, "has 1 different byte"),
        (b"passwordpassword", "is a shorter text repeated"),
        (b"short\nkeys", "has 10 bytes"),
    ],
)
def test_a_key_that_can_be_guessed_makes_no_new_database(path, key, words):
    with pytest.raises(StoreError, match=words) as caught:
        Store.open(path, customer_key=key)
    assert "secrets.token_hex(32)" in str(caught.value)
    assert not path.exists()


def test_an_empty_file_takes_no_key_that_can_be_guessed(path):
    """The file is there, so the check in it decides, and none is there yet."""
    path.touch()
    with pytest.raises(StoreError, match="has 1 byte"):
        Store.open(path, customer_key=b"k")


def test_random_keys_of_16_hex_digits_are_taken():
    """Of n = 16 draws from 16 digits, at most 5 different ones have the chance of 4,368 (5/16)^16 = 4e-5 at most."""
    draws = np.random.default_rng(7).choice(list("0123456789abcdef"), (200, 16))
    assert not any(weakness("".join(row).encode()) for row in draws.tolist())


def with_check(path, key):
    """A database as earlier versions made it, with a key that is refused now."""
    with Store.open(path, customer_key=STRONG):
        pass
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE meta SET value = ? WHERE name = 'customer_key_check'", (CustomerHash([key]).check,))


def test_a_database_that_was_made_with_a_short_key_opens_with_a_warning_that_names_the_cure(path):
    with_check(path, b"k")
    with pytest.warns(UserWarning, match="has 1 byte.*`offer-bandit rotate-key`") as caught:
        store = Store.open(path, customer_key=b"k")
    assert caught[0].filename == __file__
    with store, warnings.catch_warnings():
        warnings.simplefilter("error")
        store.another().close()  # the engine's threads are not warned again
        assert store.customers.stored("a") == hashlib.blake2b(b"a", digest_size=16, key=b"k").hexdigest()


def test_an_old_key_with_a_line_end_in_it_is_one_key(path):
    key = b"0123456789abcdef\nfedcba9876543210"
    with_check(path, key)
    with Store.open(path, customer_key=key) as store:
        assert store.customers.stored("a") == hashlib.blake2b(b"a", digest_size=16, key=key).hexdigest()


def test_of_several_lines_those_count_that_the_database_was_made_with(path):
    """So that the next key can be handed out before the database has it."""
    with Store.open(path, customer_key=STRONG) as store:
        stored = store.customers.stored("a")
    with Store.open(path, customer_key=STRONG + b"\r\n" + OTHER) as store:
        assert store.customers.stored("a") == stored
    with pytest.raises(StoreError, match="not the one it was made with"):
        Store.open(path, customer_key=OTHER + b"\n" + STRONG)


def test_customers_of_two_keys_are_hashed_with_the_older_one_first(path):
    first = hashlib.blake2b(b"a", digest_size=16, key=STRONG).hexdigest().encode()
    with Store.open(path, customer_key=STRONG + b"\n" + OTHER) as store:
        assert store.customers.stored("a") == hashlib.blake2b(first, digest_size=16, key=OTHER).hexdigest()
    with pytest.raises(StoreError, match="not the one it was made with"):
        Store.open(path, customer_key=STRONG)

"""The table of customers: each is stored once, under a keyed hash."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.errors import StoreError
from bandit.store.chain.kinds import CUSTOMERS, KEY_CHECK
from bandit.store.tables.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import ObjectArray
    from bandit.store.connection import Connection

_MARK = b"offer-bandit customer key"
_CLEAR = "none"

_FIND = "SELECT c.key, c.id FROM json_each(?) j CROSS JOIN customers c ON c.key = j.value"


class Customers:
    """The table `customers`, which numbers them; the key of the hash is stored nowhere.

    With `unnamed` the key is neither needed nor checked, and no customer can be named: StoreError.
    """

    def __init__(self, connection: Connection, key: bytes | None, *, unnamed: bool = False) -> None:
        if key is not None and not 1 <= len(key) <= hashlib.blake2b.MAX_KEY_SIZE:
            raise StoreError(f"the customer key must have 1 to 64 bytes; seen {len(key)}; use 32 random ones")
        self._connection = connection
        self._key = None if unnamed else key
        self._keyed = None if self._key is None else hashlib.blake2b(digest_size=16, key=self._key)
        self._unnamed = unnamed
        self._numbers: Cache[str, int] = Cache(65_536)
        connection.on_rollback(self._numbers.clear)
        if not unnamed:
            self._check_key()

    def on(self, connection: Connection) -> Customers:
        """Return the same table over another connection to the same store."""
        return Customers(connection, self._key, unnamed=self._unnamed)

    @property
    def in_clear(self) -> bool:
        """Whether customers are stored unhashed."""
        return self._key is None and not self._unnamed

    @property
    def are_named(self) -> bool:
        """Whether the file holds customers unhashed, also where it was opened without their names."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT value FROM meta WHERE name = 'customer_key_check'").fetchone()
        return row is not None and row[0] == _CLEAR

    def stored(self, customer: str) -> str:
        """Return a customer's stored form: blake2b-128 with the key, in hex (RFC 7693); unchanged without a key."""
        self._must_have_names()
        if self._keyed is None:
            return customer
        keyed = self._keyed.copy()  # it has taken up the key already, which is half of the work
        keyed.update(customer.encode())
        return keyed.hexdigest()

    def all_stored(self, customers: Sequence[str]) -> list[str]:
        """Return the stored forms of many customers."""
        self._must_have_names()
        key = self._key
        if key is None:
            return list(customers)
        return [hashlib.blake2b(customer.encode(), digest_size=16, key=key).hexdigest() for customer in customers]

    def ids(self, keys: Sequence[str] | ObjectArray) -> list[int]:
        """Return the numbers of customers in stored form, inside the caller's transaction; new ones are inserted."""
        keys = keys.tolist() if isinstance(keys, np.ndarray) else keys
        if len(keys) == 1:
            return [self._find_or_insert_one(keys[0])]
        numbers = self._numbers.many(keys)
        unknown = [key for key in dict.fromkeys(keys) if key not in numbers]
        if unknown:
            found = self._find_or_insert(unknown)
            for key, number in found.items():
                self._numbers.put(key, number)
            numbers |= found
        return list(map(numbers.__getitem__, keys))

    def _find_or_insert(self, keys: Sequence[str]) -> dict[str, int]:
        """Return the numbers by key, past the cache; new customers are inserted in one statement."""
        raw = self._connection.raw
        found: dict[str, int] = dict(raw.execute(_FIND, (msgspec.json.encode(keys).decode(),)))
        new = [key for key in keys if key not in found]
        if new:
            text = msgspec.json.encode(new).decode()
            raw.execute("INSERT INTO customers (key) SELECT value FROM json_each(?)", (text,))
            inserted = dict(raw.execute(_FIND, (text,)))
            self._connection.chain.add(CUSTOMERS, sorted((0, number, key) for key, number in inserted.items()))
            found |= inserted
        return found

    def _find_or_insert_one(self, key: str) -> int:
        number = self._numbers.get(key)
        if number is None:
            raw = self._connection.raw
            row = raw.execute("SELECT id FROM customers WHERE key = ?", (key,)).fetchone()
            if row is None:
                row = (raw.execute("INSERT INTO customers (key) VALUES (?)", (key,)).lastrowid,)
                self._connection.chain.add_one(CUSTOMERS, (0, row[0], key))
            number = int(row[0])
            self._numbers.put(key, number)
        return number

    def _must_have_names(self) -> None:
        if self._unnamed:
            raise StoreError(f"{self._connection.path}: was opened without its customers; open it with the key")

    def _check_key(self) -> None:
        """Store a hash made with the key, and reject another key, with which a customer would become two."""
        connection, name = self._connection, "customer_key_check"
        check = _CLEAR if self._key is None else hashlib.blake2b(_MARK, digest_size=16, key=self._key).hexdigest()
        with connection.reading() as raw:
            row = raw.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if row is None and not connection.read_only:
            with connection.transaction():
                inserted = connection.raw.execute(
                    "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, check)
                ).rowcount
                if inserted == 1:
                    connection.chain.add_stored(connection.raw, KEY_CHECK, 1)
                row = connection.raw.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        seen = check if row is None else row[0]
        if seen == check:
            return
        if seen == _CLEAR:
            raise StoreError(f"{connection.path}: customers are in the clear there; open it without a customer key")
        if check == _CLEAR:
            raise StoreError(
                f"{connection.path}: customers are under a keyed hash; open it with the customer key it was made with"
            )
        raise StoreError(f"{connection.path}: the customer key is not the one it was made with; open it with that one")

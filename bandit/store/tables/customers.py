"""The table of customers: each is stored once, under a keyed hash."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.errors import StoreError
from bandit.store.chain.kinds import CUSTOMERS, KEY_CHECK
from bandit.store.customer_hash import CLEAR_CHECK, CustomerHash, hash_for_new, possible_hashes, weakness
from bandit.store.file_identity import DisplacedFileError, FileChange
from bandit.store.numbers import number_of_new
from bandit.store.tables.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import ObjectArray
    from bandit.store.connection import Connection

_CHECK = "SELECT value FROM meta WHERE name = 'customer_key_check'"
_FIRST_CHECK = "SELECT value FROM meta WHERE name = 'customer_key_first'"
_INSERT_CHECK = "INSERT INTO meta (name, value) VALUES ('customer_key_check', ?) ON CONFLICT DO NOTHING"
_INSERT = f"INSERT INTO customers (id, key) VALUES ({number_of_new('customers')}, ?)"  # noqa: S608 - of constants
_FIND = "SELECT c.key, c.id FROM json_each(?) j CROSS JOIN customers c ON c.key = j.value"

_IDS = "offer-bandit decision ids"

_MOST_DEALT = 65_536
"""Customers of whom a rotated database remembers what they are dealt by, before it forgets all and begins anew."""


class Customers:
    """The table `customers`, which numbers them; the key of the hash is stored nowhere.

    With `unnamed` the key is neither needed nor checked, and no customer can be named: StoreError. UserWarning for a
    database whose key can be guessed.
    """

    def __init__(
        self,
        connection: Connection,
        key: bytes | None,
        *,
        unnamed: bool = False,
        warns: bool = True,
        rotates: bool = False,
    ) -> None:
        possible = possible_hashes(key)
        self._connection = connection
        self._key = None if unnamed else key
        self._hash = possible[0]
        self._unnamed, self._rotates = unnamed, rotates
        self._first: CustomerHash | None = None
        self._dealt: dict[str, str] = {}
        self._numbers: Cache[str, int] = Cache(65_536)
        connection.on_rollback(self._numbers.clear)
        if not unnamed:
            self._hash = self._checked_hash(possible)
            with connection.reading() as raw:
                first = raw.execute(_FIRST_CHECK).fetchone()
            if first is not None:
                self._first = self._hash.with_check(first[0])
            if warns and not rotates:
                self._warn_of_weak()

    def on(self, connection: Connection) -> Customers:
        """Return the same table over another connection to the same store."""
        return Customers(connection, self._key, unnamed=self._unnamed, warns=False)

    @property
    def unnamed(self) -> bool:
        """Whether the store was opened without its key, so that no customer can be named."""
        return self._unnamed

    @property
    def in_clear(self) -> bool:
        """Whether customers are stored unhashed."""
        return self._key is None and not self._unnamed

    @property
    def are_named(self) -> bool:
        """Whether the file holds customers unhashed, also where it was opened without their names."""
        with self._connection.reading() as raw:
            row = raw.execute(_CHECK).fetchone()
        return row is not None and row[0] == CLEAR_CHECK

    def stored(self, customer: str) -> str:
        """Return a customer's stored form, as `CustomerHash` makes it; unchanged without a key."""
        self._must_have_names()
        form = self._hash.of(customer)
        if self._first is not None:
            self._remember([customer], [form])
        return form

    def all_stored(self, customers: Sequence[str]) -> list[str]:
        """Return the stored forms of many customers."""
        self._must_have_names()
        forms = list(map(self._hash.of, customers)) if self._hash.keys else list(customers)
        if self._first is not None:
            self._remember(customers, forms)
        return forms

    def dealt(self, forms: ObjectArray) -> ObjectArray:
        """Return what customers just stored are dealt to groups and arms by: the form from before the first rotation.

        It is never written, and it leaves customers where they were. Others are dealt by their stored form.
        """
        if self._first is None:
            return forms
        found = np.empty(len(forms), dtype=object)
        found[:] = [self._dealt.get(form, form) for form in forms.tolist()]
        return found

    def dealt_one(self, form: str) -> str:
        """Return what `dealt` does for one customer."""
        return form if self._first is None else self._dealt.get(form, form)

    @property
    def ids_key(self) -> bytes | None:
        """The key of ids that are made of customers; None in the clear, and the same after a rotation."""
        first = self._hash if self._first is None else self._first
        return first.of(_IDS).encode() if first.keys else None

    @property
    def check(self) -> str:
        """The check of the keys by which `present` knows under which ones a form was made."""
        return self._hash.check

    @property
    def hash(self) -> CustomerHash:
        """The hash that makes the stored forms."""
        return self._hash

    @property
    def rotated(self) -> bool:
        """Whether the key was rotated, so that what customers were dealt by is not in the database any more."""
        with self._connection.reading() as raw:
            return raw.execute(_FIRST_CHECK).fetchone() is not None

    def present(self, forms: Sequence[str] | ObjectArray, check: str | None) -> Sequence[str] | ObjectArray:
        """Return the present stored forms of customers whose forms were made under the keys of a check.

        None stands for the present keys, "" for those that the database was made with. StoreError for keys that are not
        among the present ones.
        """
        if check is None or check == self._hash.check or (check == "" and self._first is None):
            return forms
        made_with = self._first if check == "" else self._hash.with_check(check)
        if made_with is None:
            raise StoreError(
                f"{self._connection.path}: the customers were written under a customer key that is not among those "
                "given; give all keys, oldest first, one a line"
            )
        return list(map(self._hash.after(len(made_with.keys)).of, forms))

    def n_keys_of(self, check: str | None) -> int | None:
        """Return under how many keys forms with a check were made; None where that is not known."""
        if check is None:
            return len(self._hash.keys)
        made_with = self._first if check == "" else self._hash.with_check(check)
        return None if made_with is None else len(made_with.keys)

    @property
    def expected_check(self) -> str | None:
        """The check that the database must have for this key, None where it is not looked at."""
        return None if self._unnamed else self._hash.check

    def require_present_key(self) -> None:
        """StoreError if the key was rotated since; inside a transaction or a reading of the caller's."""
        row = self._connection.raw.execute(_CHECK).fetchone()
        if row is not None and row[0] != self._hash.check and not self._unnamed:
            raise StoreError(f"{self._connection.path}: {FileChange.REKEYED.value}") from DisplacedFileError(
                FileChange.REKEYED
            )

    def _remember(self, customers: Sequence[str], forms: Sequence[str]) -> None:
        """Keep the first forms of customers, at least until the next ones are stored."""
        first = self._first
        if first is None:
            return
        if len(self._dealt) > _MOST_DEALT:
            self._dealt.clear()
        self._dealt.update(zip(forms, map(first.of, customers), strict=True))

    def ids(self, keys: Sequence[str] | ObjectArray) -> list[int]:
        """Return the numbers of customers in stored form, inside the caller's transaction; new ones are inserted.

        StoreError if the key was rotated since, or a customer would become two.
        """
        keys = keys.tolist() if isinstance(keys, np.ndarray) else keys
        self.require_present_key()
        if len(keys) == 1:
            return [self.id_of_one(keys[0])]
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
            raw.executemany(_INSERT, zip(new))
            inserted = dict(raw.execute(_FIND, (text,)))
            self._connection.chain.add(CUSTOMERS, sorted((0, number, key) for key, number in inserted.items()))
            found |= inserted
        return found

    def id_of_one(self, key: str) -> int:
        """Return what `ids` does for one customer; the caller sees to it that the key was not rotated since."""
        number = self._numbers.get(key)
        if number is None:
            raw = self._connection.raw
            row = raw.execute("SELECT id FROM customers WHERE key = ?", (key,)).fetchone()
            if row is None:
                row = (raw.execute(_INSERT, (key,)).lastrowid,)
                self._connection.chain.add_one(CUSTOMERS, (0, row[0], key))
            number = int(row[0])
            self._numbers.put(key, number)
        return number

    def _must_have_names(self) -> None:
        if self._unnamed:
            raise StoreError(f"{self._connection.path}: was opened without its customers; open it with the key")

    def _checked_hash(self, possible: Sequence[CustomerHash]) -> CustomerHash:
        """Return the hash that the database was made with, of those that the key can mean; StoreError for none.

        With another key a customer would become two. A new database keeps the check of its own, and takes no key that
        can be guessed.
        """
        connection = self._connection
        with connection.reading() as raw:
            row = raw.execute(_CHECK).fetchone()
        if row is None and connection.read_only:
            return possible[0]
        if row is None:
            new = hash_for_new(self._key)
            with connection.transaction():
                if connection.raw.execute(_INSERT_CHECK, (new.check,)).rowcount == 1:
                    connection.chain.add_stored(connection.raw, KEY_CHECK, 1)
                row = connection.raw.execute(_CHECK).fetchone()
        for candidate in possible:
            found = candidate.with_check(row[0])
            if found is not None and (found.keys or self._key is None or self._rotates):
                return found
        if row[0] == CLEAR_CHECK:
            raise StoreError(
                f"{connection.path}: customers are in the clear there; open it without a customer key, or hash them "
                "with it: `offer-bandit rotate-key`"
            )
        if self._key is None:
            raise StoreError(
                f"{connection.path}: customers are under a keyed hash; open it with the customer key it was made with"
            )
        raise StoreError(f"{connection.path}: the customer key is not the one it was made with; open it with that one")

    def _warn_of_weak(self) -> None:
        weak = weakness(self._hash.keys[-1]) if self._hash.keys else None
        if weak is not None:
            warnings.warn(
                f"{self._connection.path}: its customer key {weak}, so it can be guessed, and with it customers are "
                "found in the file; `offer-bandit rotate-key` gives it another one",
                stacklevel=4,
            )

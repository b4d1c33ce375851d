"""Hashes all customers and hashed facts of a database with one more key, in one transaction.

No byte of the old hashes is left in the file after the `scrub` that it is marked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bandit.catalogue.fact_hash import FactHash
from bandit.store.chain.deletion import DeletedPlaces
from bandit.store.chain.kinds import CUSTOMERS, DECISIONS, KEY_CHECK, MAX_NUMBER
from bandit.store.maintenance.delete_rows import StateReplacement, replace_states
from bandit.store.maintenance.deletion import LIFT_GUARDS, SCRUB_DUE
from bandit.store.maintenance.journal import record
from bandit.store.maintenance.rekey_facts import chain_again, rehash_facts

if TYPE_CHECKING:
    import sqlite3

    from bandit.domain import Progress
    from bandit.store.connection import Connection
    from bandit.store.customer_hash import CustomerHash

CUSTOMERS_AT_ONCE = 20_000
"""Customers that one statement hashes again, between two reports of the progress."""

_NUMBERS = "SELECT id FROM customers ORDER BY id"
_HASH_AGAIN = "UPDATE customers SET key = hash_again(key) WHERE id BETWEEN ? AND ?"
_SET_CHECK = "UPDATE meta SET value = ? WHERE name = 'customer_key_check'"
_KEEP_FIRST = "INSERT INTO meta (name, value) VALUES ('customer_key_first', ?) ON CONFLICT DO NOTHING"
_SET_MARK = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, '1')"
_UNSET_MARK = "DELETE FROM meta WHERE name = ?"

States = Callable[[], Sequence[StateReplacement]]
"""Returns the states of the policies with the new names, read inside the transaction."""


def rekey(
    connection: Connection, old: CustomerHash, new: CustomerHash, states: States, progress: Progress | None = None
) -> int:
    """Hash every customer with the keys that `new` has beyond those of `old`, and replace the policies' states.

    Returns the number of customers. Freed space is overwritten with zeros, the salts of the old rows in the chain go,
    and the file is marked for a `scrub`. StoreError, and nothing changed, if a policy has learned meanwhile.
    """
    again = new.after(len(old.keys))
    with connection.lock, connection.translated_errors():
        raw = connection.raw
        raw.create_function("hash_again", 1, again.of, deterministic=True)
        raw.execute("PRAGMA secure_delete = ON")
        with connection.transaction():
            raw.execute(_SET_MARK, (LIFT_GUARDS,))
            places = DeletedPlaces()
            numbers = [row[0] for row in raw.execute(_NUMBERS)]
            places.add(CUSTOMERS, numbers)
            _hash_all(raw, numbers, progress)
            if rehash_facts(raw, FactHash(old.keys), FactHash(new.keys), places, progress):
                connection.clear_caches()  # the catalogues are others now
            replacements = states()
            for replacement in replacements:
                replace_states(raw, replacement, connection.path, places)
            raw.execute(_KEEP_FIRST, (old.check,))
            raw.execute(_SET_CHECK, (new.check,))
            digest, links = places.digest(raw)
            said: Mapping[str, object] = {
                "customers": len(numbers),
                "keys": len(new.keys),
                "policies": [each.policy_id for each in replacements],
            }
            said = dict(said) | ({"places": digest} if links else {})
            places.mark(raw, links, record(raw, connection.chain, "rotate key", said))
            chain_again(raw, connection.chain, places)
            places.add_again(raw, connection.chain, without=(DECISIONS,))
            connection.chain.add_stored(raw, CUSTOMERS, 0, MAX_NUMBER)
            connection.chain.add_stored(raw, KEY_CHECK, 1)
            raw.execute(_SET_MARK, (SCRUB_DUE,))
            raw.execute(_UNSET_MARK, (LIFT_GUARDS,))
        connection.clear_caches()
    return len(numbers)


def _hash_all(raw: sqlite3.Connection, numbers: Sequence[int], progress: Progress | None) -> None:
    for start in range(0, len(numbers), CUSTOMERS_AT_ONCE):
        part = numbers[start : start + CUSTOMERS_AT_ONCE]
        raw.execute(_HASH_AGAIN, (part[0], part[-1]))
        if progress is not None:
            progress(start + len(part), len(numbers))

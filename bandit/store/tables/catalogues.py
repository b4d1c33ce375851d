"""The tables of catalogue versions and of policies: each is registered once and found again by its content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bandit.catalogue import Catalogue
from bandit.catalogue.customer_key import FILE_VARIABLE, KEY_VARIABLE
from bandit.catalogue.fact_hash import FactHash
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS
from bandit.errors import CatalogueError, StoreError
from bandit.store.chain.kinds import CATALOGUES, POLICIES
from bandit.store.corruption import decoding
from bandit.store.records import UNKNOWN_POLICY, CatalogueRow, PolicyRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.store.connection import Connection
    from bandit.store.tables.customers import Customers


def spec_text(spec: Mapping[str, object]) -> str:
    """Return a policy's settings as the table of policies stores them."""
    return msgspec.json.encode(spec, order="sorted").decode()


class Catalogues:
    """The tables `catalogues`, `offers` and `policies`."""

    def __init__(self, connection: Connection, customers: Customers) -> None:
        self._connection = connection
        self._customers = customers
        self._cache: dict[int, Catalogue] = {}
        connection.on_rollback(self._cache.clear)

    def fitting(self, catalogue: Catalogue) -> Catalogue:
        """Return a catalogue with its hashed facts under the keys that the customers are under, and no others.

        StoreError where that cannot be: where the customers are in the clear, or the catalogue was read without the
        key or with another one.
        """
        if not catalogue.hashed_facts:
            return catalogue
        fact, path = catalogue.hashed_facts[0], self._connection.path
        fact_hash = self._fact_hash()
        if fact_hash is None:
            raise StoreError(
                f'{path}: customers are in the clear there, and the fact "{fact}" is stored hashed, which needs a '
                f"customer key; set {KEY_VARIABLE}, or {FILE_VARIABLE}, and begin a new database with it"
            )
        if catalogue.fact_hash is None:
            raise StoreError(
                f'{path}: the fact "{fact}" is stored hashed, and the catalogue was read without the customer key; set '
                f"{KEY_VARIABLE} or {FILE_VARIABLE}, or give customer_key= to Catalogue.from_toml as well"
            )
        try:
            return catalogue.under(fact_hash)
        except CatalogueError as fault:
            raise StoreError(f'{path}: the catalogue does not fit the database (fact "{fact}"): {fault}') from fault

    def _fact_hash(self) -> FactHash | None:
        """Return the hash of facts under the keys of the customers, None where there are none."""
        keys = self._customers.hash.keys
        return FactHash(keys) if keys and not self._customers.unnamed else None

    def _check_hashed(self, catalogue: Catalogue) -> None:
        """Raise StoreError for a new catalogue whose hashed facts are not under the keys of the customers.

        Without the key, one that was made from a stored one with the same hashes can be registered.
        """
        if not catalogue.hashed_facts:
            return
        known = all(catalogue.facts[name].hashed for name in catalogue.hashed_facts)
        if not (known and self._customers.unnamed) and self.fitting(catalogue) is not catalogue:
            raise StoreError(
                f"{self._connection.path}: the catalogue's hashed facts are under other keys than the customers; read "
                "it with the keys of the database"
            )

    def register(self, catalogue: Catalogue, *, extends: int | None = None) -> int:
        """Return the number of a catalogue version; a new one is inserted, with its offers for people to read.

        `extends` is the number of the version that an import extended by the offers of its log: `latest` passes over it
        unless the same content is registered by itself.
        """
        connection = self._connection
        with connection.reading() as raw:
            row = raw.execute("SELECT id FROM catalogues WHERE version = ?", (catalogue.version,)).fetchone()
        if row is not None:
            if extends is None:
                self._register_given(int(row[0]))
            return int(row[0])
        self._check_hashed(catalogue)
        content = msgspec.json.encode(catalogue.to_dict()).decode()
        with connection.transaction():
            raw = connection.raw
            row = raw.execute(
                "INSERT INTO catalogues (version, name, n_offers, objective_event, objective_window, content) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (version) DO NOTHING RETURNING id",
                (
                    catalogue.version,
                    catalogue.name,
                    catalogue.n_offers,
                    catalogue.objective.event,
                    catalogue.objective.window,
                    content,
                ),
            ).fetchone()
            if row is None:  # another process has inserted it meanwhile
                row = raw.execute("SELECT id FROM catalogues WHERE version = ?", (catalogue.version,)).fetchone()
                return int(row[0])
            number = int(row[0])
            if extends is not None:
                raw.execute("INSERT INTO catalogue_extensions (catalogue_id, extends) VALUES (?, ?)", (number, extends))
            raw.executemany(
                "INSERT INTO offers (catalogue_id, offer, options) VALUES (?, ?, ?)",
                (
                    (number, offer, msgspec.json.encode(catalogue.offer(offer)).decode())
                    for offer in range(catalogue.n_offers if catalogue.n_offers <= MAX_DENSE_OFFERS else 0)
                ),
            )
            connection.chain.add_stored(raw, CATALOGUES, number)
        return number

    def _register_given(self, number: int) -> None:
        """Note that a version was given by itself, where it was known as the extension of another one."""
        if any(row.id == number and row.extends is not None for row in self.all()):
            with self._connection.transaction():
                raw = self._connection.raw
                raw.execute("DELETE FROM catalogue_extensions WHERE catalogue_id = ?", (number,))
                self._connection.chain.add_stored(raw, CATALOGUES, number)

    def get(self, catalogue_id: int) -> Catalogue:
        """Return a catalogue version; StoreError for an unknown number."""
        found = self._cache.get(catalogue_id)
        if found is None:
            with self._connection.reading() as raw:
                row = raw.execute("SELECT content, n_offers FROM catalogues WHERE id = ?", (catalogue_id,)).fetchone()
            if row is None:
                raise StoreError(f"{self._connection.path}: has no catalogue {catalogue_id}; register it first")
            with decoding(self._connection.path, f"catalogue {catalogue_id}"):
                content = msgspec.json.decode(row[0], type=dict[str, object])
            found = Catalogue.from_stored(
                content, where=f"catalogue {catalogue_id} of the store", fact_hash=self._fact_hash()
            )
            if row[1] != found.n_offers:
                raise StoreError(
                    f"{self._connection.path}: catalogue {catalogue_id} has {found.n_offers} offers and {row[1]} are "
                    "noted, so the file is damaged; restore it from a backup"
                )
            self._cache[catalogue_id] = found
        return found

    def all(self) -> tuple[CatalogueRow, ...]:
        """Return all versions, in the order of their registration."""
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT c.id, c.version, c.name, x.extends FROM catalogues c "
                "LEFT JOIN catalogue_extensions x ON x.catalogue_id = c.id ORDER BY c.id"
            ).fetchall()
        return tuple(CatalogueRow(*row) for row in rows)

    def latest(self) -> tuple[int, Catalogue] | None:
        """Return the version registered last that no import extended another one to, None without any."""
        rows = [row for row in self.all() if row.extends is None]
        return (rows[-1].id, self.get(rows[-1].id)) if rows else None

    def register_policy(self, catalogue_id: int, spec: Mapping[str, object]) -> int:
        """Return the number of the policy with these settings over this catalogue version; a new one is inserted."""
        self.get(catalogue_id)
        text = spec_text(spec)
        connection = self._connection
        with connection.reading() as raw:
            row = raw.execute(
                "SELECT id FROM policies WHERE catalogue_id = ? AND spec = ?", (catalogue_id, text)
            ).fetchone()
        if row is None:
            with connection.transaction():
                raw = connection.raw
                inserted = raw.execute(
                    "INSERT INTO policies (catalogue_id, spec) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (catalogue_id, text),
                ).rowcount
                row = raw.execute(
                    "SELECT id FROM policies WHERE catalogue_id = ? AND spec = ?", (catalogue_id, text)
                ).fetchone()
                if inserted == 1:
                    connection.chain.add_stored(raw, POLICIES, row[0])
        return int(row[0])

    def policy_spec(self, policy_id: int) -> tuple[int, Mapping[str, object]]:
        """Return the catalogue and the settings of a policy; StoreError for an unknown number."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT catalogue_id, spec FROM policies WHERE id = ?", (policy_id,)).fetchone()
        if row is None:
            raise StoreError(f"{self._connection.path}: has no policy {policy_id}; register it first")
        with decoding(self._connection.path, f"the description of policy {policy_id}"):
            return int(row[0]), msgspec.json.decode(row[1], type=dict[str, object])

    def policies(self) -> tuple[PolicyRow, ...]:
        """Return all policies in the order of their registration, without the placeholders of unknown ones."""
        return tuple(row for row in self._policy_rows() if row.spec != UNKNOWN_POLICY)

    def unknown_policy(self, catalogue_id: int) -> int:
        """Return the number of the placeholder policy under which decisions without propensities are imported."""
        return self.register_policy(catalogue_id, UNKNOWN_POLICY)

    def unknown_policies(self) -> tuple[int, ...]:
        """Return the numbers of the placeholder policies, at most one a catalogue version."""
        return tuple(row.id for row in self._policy_rows() if row.spec == UNKNOWN_POLICY)

    def _policy_rows(self) -> tuple[PolicyRow, ...]:
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT id, catalogue_id, spec, base_step, decides_from FROM policies ORDER BY id"
            ).fetchall()
            changed = raw.execute("SELECT policy_id, first_step, last_step FROM changed_states").fetchall()
        with decoding(self._connection.path, "the description of a policy"):
            return tuple(
                PolicyRow(
                    number,
                    catalogue,
                    msgspec.json.decode(spec, type=dict[str, object]),
                    base,
                    decides,
                    tuple((first, last) for policy_id, first, last in changed if policy_id == number),
                )
                for number, catalogue, spec, base, decides in rows
            )

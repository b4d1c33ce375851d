"""Checks the integrity of a store, and describes each problem in a sentence."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.catalogue import Catalogue
from bandit.errors import CatalogueError
from bandit.store.corruption import DECODING_FAULTS
from bandit.store.learning.ledger import state_hash
from bandit.store.maintenance.check_repeats import check_repeats
from bandit.store.schema.objects import objects_of_a_new_database, schema_objects
from bandit.store.tables.eligible_sets import set_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.store.connection import Connection

_MAX_PROBLEMS = 20
_ROWS_AT_ONCE = 8_192
_TOLERANCE = 1e-9


def check(connection: Connection) -> list[str]:
    """Return the problems, at most 20 of each kind; a file too damaged to be read is one problem."""
    problems: list[str] = []
    with connection.reading() as raw:
        for each in _CHECKS:
            try:
                found = each(raw)
                problems += [problem for problem, _ in zip(found, range(_MAX_PROBLEMS), strict=False)]
            except DECODING_FAULTS as fault:
                problems.append(
                    f"{connection.path}: has a value that is not of the kind that was written ({fault}); restore it "
                    "from a backup"
                )
            except sqlite3.DatabaseError as fault:
                problems.append(f"{connection.path}: cannot be read to its end ({fault}); restore it from a backup")
                break
    return problems


def _pages(raw: sqlite3.Connection) -> Iterator[str]:
    for (line,) in raw.execute("PRAGMA integrity_check(20)"):
        if line != "ok":
            yield f"the file is damaged: {line}; restore it from a backup"


def _schema(raw: sqlite3.Connection) -> Iterator[str]:
    """Compare each table, index, trigger and view with those of a new database; those of others are left alone."""
    expected, found = objects_of_a_new_database(), schema_objects(raw)
    for key, text in expected.items():
        kind, name = key[0], key[1]
        if key not in found:
            yield f"the {kind} {name} is not there; restore the file from a backup"
        elif found[key] != text:
            yield f"the {kind} {name} is not as this program made it; restore the file from a backup"
    ours = {name for kind, name, _ in expected if kind == "table"}
    for kind, name, table in found.keys() - expected.keys():
        if kind == "trigger" and table in ours:
            yield f"the trigger {name} on {table} is not of this program; drop it"


def _references(raw: sqlite3.Connection) -> Iterator[str]:
    for table, row, parent, _ in raw.execute("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} names a row of {parent} that is not there"


def _catalogues(raw: sqlite3.Connection) -> Iterator[str]:
    for number, version, n_offers, content in raw.execute("SELECT id, version, n_offers, content FROM catalogues"):
        try:
            catalogue = Catalogue.from_stored(msgspec.json.decode(content))
        except (CatalogueError, msgspec.DecodeError) as fault:
            yield f"catalogue {number} cannot be read: {fault}"
            continue
        if catalogue.version != version:
            yield f"catalogue {number} is stored as version {version} and its content is version {catalogue.version}"
        if catalogue.n_offers != n_offers:
            yield f"catalogue {number} is stored with {n_offers} offers and its content has {catalogue.n_offers}"


def _sets(raw: sqlite3.Connection) -> Iterator[str]:
    for number, digest, bits in raw.execute("SELECT id, digest, bits FROM eligible_sets"):
        if set_digest(bits) != digest:
            yield f"eligible set {number} has other content than when it was written"


def _propensities(raw: sqlite3.Connection) -> Iterator[str]:
    for decision_id, propensity in raw.execute(
        "SELECT decision_id, propensity FROM decisions WHERE NOT (propensity > 0 AND propensity <= 1)"
    ):
        yield f'decision "{decision_id}" has the propensity {propensity}, which is not in (0, 1]'


def _weights(raw: sqlite3.Connection) -> Iterator[str]:
    for decision_id, weight in raw.execute(
        "SELECT d.decision_id, w.weight FROM decision_weights w JOIN decisions d ON d.seq = w.seq "
        "WHERE NOT (w.weight > 0 AND w.weight < 9e999)"
    ):
        yield f'decision "{decision_id}" stands for {weight} decisions, which is not a finite number above 0'


def _contexts(raw: sqlite3.Connection) -> Iterator[str]:
    for (decision_id,) in raw.execute("SELECT decision_id FROM decisions WHERE NOT json_valid(context)"):
        yield f'decision "{decision_id}" has a context that is not JSON; restore it from a backup'


def _offers(raw: sqlite3.Connection) -> Iterator[str]:
    """Check each pair of eligible set and offer once, for all decisions with it."""
    rows = raw.execute(
        "SELECT d.offer, s.bits, c.n_offers, d.catalogue_id = s.catalogue_id, min(d.decision_id), count(*) "
        "FROM decisions d JOIN eligible_sets s ON s.id = d.eligible_set_id "
        "JOIN catalogues c ON c.id = d.catalogue_id GROUP BY d.eligible_set_id, d.catalogue_id, d.offer"
    )
    for offer, bits, n_offers, same, decision_id, n in rows:
        mask = np.unpackbits(np.frombuffer(bits, dtype=np.uint8))
        if not same:
            yield f'decision "{decision_id}" ({n} such) has an eligible set of another catalogue'
        elif not 0 <= offer < n_offers or not mask[offer]:
            yield f'decision "{decision_id}" ({n} such) has the offer {offer}, which is not in its eligible set'


def _vectors(raw: sqlite3.Connection) -> Iterator[str]:
    """Check that each logged vector is a distribution with the propensity at the offer."""
    cursor = raw.execute(
        "SELECT d.decision_id, d.offer, d.propensity, d.probabilities, c.n_offers FROM decisions d "
        "JOIN catalogues c ON c.id = d.catalogue_id WHERE d.probabilities IS NOT NULL"
    )
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        for decision_id, offer, propensity, vector, n_offers in rows:
            if len(vector) != 8 * n_offers:
                yield f'decision "{decision_id}" has {len(vector) // 8} probabilities for {n_offers} offers'
                continue
            probabilities = np.frombuffer(vector, dtype="<f8")
            if abs(probabilities.sum() - 1.0) > _TOLERANCE or probabilities.min() < 0:
                yield f'decision "{decision_id}" has probabilities that do not sum to 1'
            elif abs(probabilities[offer] - propensity) > _TOLERANCE:
                yield (
                    f'decision "{decision_id}" has the propensity {propensity} and the probability '
                    f"{probabilities[offer]} of its offer"
                )


def _steps(raw: sqlite3.Connection) -> Iterator[str]:
    rows = raw.execute(
        "SELECT p.policy_id, p.step, p.n, "
        "(SELECT count(*) FROM learned l WHERE l.policy_id = p.policy_id AND l.step = p.step), "
        "row_number() OVER (PARTITION BY p.policy_id ORDER BY p.step) - 1 FROM policy_steps p"
    )
    for policy, step, n, n_learned, place in rows:
        if step != place:
            yield f"policy {policy} lacks step {place}"
            return
        if n != n_learned:
            yield f"step {step} of policy {policy} is stored with {n} outcomes and {n_learned} are there"


def _snapshots(raw: sqlite3.Connection) -> Iterator[str]:
    for policy, step, state, digest in raw.execute(
        "SELECT s.policy_id, s.step, s.state, p.state_hash FROM snapshots s "
        "LEFT JOIN policy_steps p ON p.policy_id = s.policy_id AND p.step = s.step"
    ):
        if state_hash(state) != digest:
            yield f"the state of policy {policy} after step {step} is not the one that was written; rebuild it"


_CHECKS = (
    _pages, _schema, _references, _catalogues, _sets, _propensities, _weights, _contexts, _offers, _vectors, _steps,
    _snapshots, check_repeats,
)  # fmt: skip

"""Hashes the hashed facts of a database with one more key: in contexts, catalogues, policies and what names a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from bandit.catalogue import Catalogue
from bandit.catalogue.fact_hash import HASH_DIGITS, FactHash
from bandit.catalogue.hashed_values import hashed_condition
from bandit.store.chain.kinds import CATALOGUES, DECISIONS, IMPORTS, POLICIES, REPEATS, SETS, ChainedKind

if TYPE_CHECKING:
    import sqlite3

    from bandit.domain import Progress
    from bandit.store.chain.deletion import DeletedPlaces
    from bandit.store.chain.links import Chain

DECISIONS_AT_ONCE = 20_000
"""Numbers of decisions whose contexts one statement hashes again, between two reports of the progress."""

_CATALOGUES = "SELECT id, content FROM catalogues ORDER BY id"
_CONTENT = "SELECT content FROM catalogues WHERE id = ?"
_SET_CATALOGUE = "UPDATE catalogues SET version = ?, content = ? WHERE id = ?"
_SPECS = "SELECT id, spec FROM policies WHERE catalogue_id = ?"
_SET_SPEC = "UPDATE policies SET spec = ? WHERE id = ?"
_LAST = "SELECT COALESCE(MAX(seq), 0) FROM decisions"
_OF_CATALOGUE = "SELECT seq FROM decisions WHERE seq BETWEEN ? AND ? AND catalogue_id = ? ORDER BY seq"
_SET_CONTEXTS = """
UPDATE decisions SET context = facts_again(context) WHERE seq BETWEEN ? AND ? AND catalogue_id = ?
"""
_REPEATED = """
SELECT DISTINCT r.seq FROM repeats r JOIN decisions d ON d.seq = r.seq WHERE d.catalogue_id = ? ORDER BY r.seq
"""
_SET_REPEATS = """
UPDATE repeats SET context = facts_again(context)
WHERE seq IN (SELECT r.seq FROM repeats r JOIN decisions d ON d.seq = r.seq WHERE d.catalogue_id = ?)
"""
_SETS = "SELECT id, removals FROM eligible_sets WHERE removals IS NOT NULL"
_SET_REMOVALS = "UPDATE eligible_sets SET removals = ? WHERE id = ?"
_IMPORTS = "SELECT id, details FROM imports"
_SET_DETAILS = "UPDATE imports SET details = ? WHERE id = ?"

_FORM = re.compile(rf"(?<![0-9a-f])[0-9a-f]{{{HASH_DIGITS}}}(?![0-9a-f])")


class RehashedTexts:
    """Replaces the hashes of some facts in the JSON of contexts; `known` has the new hash of each that was seen."""

    def __init__(self, names: Sequence[str], again: Callable[[str], str]) -> None:
        words = "|".join(re.escape(name) for name in names)
        self._values = re.compile(rf'(?<=[{{,])"({words})":"([0-9a-f]{{{HASH_DIGITS}}})"')
        self._again = again
        self.known: dict[str, str] = {}

    def context(self, text: str) -> str:
        """Return a stored context with the new hashes."""
        return self._values.sub(lambda found: f'"{found[1]}":"{self.form(found[2])}"', text)

    def form(self, form: str) -> str:
        """Return the new hash of a value."""
        found = self.known.get(form)
        if found is None:
            found = self.known[form] = self._again(form)
        return found

    def words(self, text: str) -> str:
        """Return a text for people with the new hashes of the values that were seen."""
        return _FORM.sub(lambda found: self.known.get(found[0], found[0]), text)


def rehashed_contexts(
    raw: sqlite3.Connection, catalogue_id: int, contexts: Sequence[str], n_old: int, new: FactHash
) -> Sequence[str]:
    """Return contexts that were made under the first `n_old` keys as they are under all of them."""
    row = raw.execute(_CONTENT, (catalogue_id,)).fetchone()
    catalogue = None if row is None else Catalogue.from_stored(msgspec.json.decode(row[0]))
    if catalogue is None or not catalogue.hashed_facts:
        return contexts
    texts = RehashedTexts(catalogue.hashed_facts, lambda form: new.after(n_old, form))
    return list(map(texts.context, contexts))


def rehash_facts(
    raw: sqlite3.Connection,
    old: FactHash,
    new: FactHash,
    places: DeletedPlaces,
    progress: Progress | None = None,
) -> bool:
    """Hash the hashed facts of all catalogues again, inside a transaction that has lifted the guards; false for none.

    `places` has the rows that change; `chain_again` adds them to the chain.
    """
    catalogues = [
        (number, catalogue)
        for number, content in raw.execute(_CATALOGUES).fetchall()
        if (catalogue := Catalogue.from_stored(msgspec.json.decode(content), fact_hash=old)).hashed_facts
    ]
    if not catalogues:
        return False
    names = sorted({name for _, catalogue in catalogues for name in catalogue.hashed_facts})
    texts = RehashedTexts(names, lambda form: new.after(old.n_keys, form))
    raw.create_function("facts_again", 1, texts.context, deterministic=True)
    for number, catalogue in catalogues:
        _rehash_catalogue(raw, number, catalogue, new, texts, places)
        _rehash_contexts(raw, number, places, progress)
    for kind, statement, change in ((SETS, _SETS, _SET_REMOVALS), (IMPORTS, _IMPORTS, _SET_DETAILS)):
        for number, text in raw.execute(statement).fetchall():
            if (again := texts.words(text)) != text:
                raw.execute(change, (again, number))
                places.add(kind, [number], changed=True)
    return True


def chain_again(raw: sqlite3.Connection, chain: Chain, places: DeletedPlaces) -> None:
    """Add to the chain what the rows hold that `rehash_facts` has changed, part by part."""
    for kind in (CATALOGUES, SETS, IMPORTS, DECISIONS, REPEATS):
        for first, last in _runs(sorted(set(places.changed[kind.code])), kind):
            chain.add_stored(raw, kind, first, last)
            chain.write(raw)


def _rehash_catalogue(
    raw: sqlite3.Connection,
    number: int,
    catalogue: Catalogue,
    new: FactHash,
    texts: RehashedTexts,
    places: DeletedPlaces,
) -> None:
    for name in catalogue.hashed_facts:
        fact = catalogue.facts[name]
        for value in (*fact.values, *fact.value_aliases):
            texts.form(value)
    again = catalogue.under(new)
    raw.execute(_SET_CATALOGUE, (again.version, msgspec.json.encode(again.to_dict()).decode(), number))
    places.add(CATALOGUES, [number], changed=True)
    for policy_id, text in raw.execute(_SPECS, (number,)).fetchall():
        spec = _with_conditions(
            msgspec.json.decode(text), lambda when: hashed_condition(when, catalogue.hashed_facts, texts.form)
        )
        changed = msgspec.json.encode(spec, order="sorted").decode()
        if changed != text:
            raw.execute(_SET_SPEC, (changed, policy_id))
            places.add(POLICIES, [policy_id], changed=True)


def _rehash_contexts(
    raw: sqlite3.Connection, catalogue_id: int, places: DeletedPlaces, progress: Progress | None
) -> None:
    last = raw.execute(_LAST).fetchone()[0]
    for start in range(0, last, DECISIONS_AT_ONCE):
        part = start + 1, start + DECISIONS_AT_ONCE, catalogue_id
        places.add(DECISIONS, (row[0] for row in raw.execute(_OF_CATALOGUE, part)), changed=True)
        raw.execute(_SET_CONTEXTS, part)
        if progress is not None:
            progress(min(start + DECISIONS_AT_ONCE, last), last)
    places.add(REPEATS, (row[0] for row in raw.execute(_REPEATED, (catalogue_id,))), changed=True)
    raw.execute(_SET_REPEATS, (catalogue_id,))


def _with_conditions(value: object, new: Callable[[str], str]) -> object:
    """Return the settings of a policy with `new` applied to the conditions in it."""
    if isinstance(value, dict):
        plain = cast("dict[str, Any]", value)
        return {
            key: new(inner) if key == "when" and isinstance(inner, str) else _with_conditions(inner, new)
            for key, inner in plain.items()
        }
    return [_with_conditions(inner, new) for inner in value] if isinstance(value, list) else value


def _runs(numbers: Sequence[int], kind: ChainedKind) -> list[tuple[int, int]]:
    """Return the runs of consecutive numbers, each of at most some thousand rows."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1 and number - runs[-1][0] < _ROWS_AT_ONCE and not kind.several:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs


_ROWS_AT_ONCE = 4_096

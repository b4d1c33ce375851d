"""Compares the rows of a store with its chain, and the chain with an anchor that was kept elsewhere."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.printable import counted
from bandit.store.chain.anchor import ChainAnchor
from bandit.store.chain.kinds import (
    CHANGES,
    CUSTOMERS,
    DECISIONS,
    EVENTS,
    IMPORTS,
    JOURNAL,
    KINDS,
    MAX_NUMBER,
    REPEATS,
    STATES,
    STEPS,
    owners,
)
from bandit.store.chain.links import encode, row_hash
from bandit.store.chain.places import OWNER_STEP, ChainContent, Places, expected_places, read_chain
from bandit.store.numbers import NUMBERED, last_number
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.domain import IntArray, Progress
    from bandit.store.chain.kinds import ChainedKind, Row
    from bandit.store.connection import Connection
    from bandit.tabular import Cell

MAX_CHAIN_PROBLEMS = 100
"""Most problems of one kind of rows that are listed one by one."""

DELETING_RUNS = frozenset({"erase", "retain", "rotate key"})
"""The kinds of maintenance runs that remove rows or write them again."""

_ROWS_AT_ONCE = 8_192

_RUNS = "SELECT id, kind, time, details FROM upkeep"
_DECISION_ID = "SELECT decision_id FROM decisions WHERE seq = ?"
_NUMBERED = {
    DECISIONS: "decisions",
    EVENTS: "events",
    CUSTOMERS: "customers",
    CHANGES: "rollout_changes",
    IMPORTS: "imports",
}
"""The tables of whose numbers none is given twice."""

_SEQUENCES = "SELECT name, seq FROM sqlite_sequence"


@dataclass(frozen=True, slots=True)
class ChainReport(Tabular):
    """The result of checking the chain: its head, how many rows it covers, and the problems and notes as sentences.

    `n_rows` are the rows that were compared with their hashes, `n_deleted` those that erasures and retention runs
    removed and whose hashes are left. `anchored` is True where an anchor was given and the chain still contains it.
    """

    head: ChainAnchor
    n_rows: int
    n_deleted: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    anchored: bool | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "ok": not self.problems,
            "head": str(self.head),
            "n_rows": self.n_rows,
            "n_deleted": self.n_deleted,
            "anchored": self.anchored,
            "problems": list(self.problems),
            "notes": list(self.notes),
        }

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a problem or note."""
        found = (("problem", self.problems), ("note", self.notes))
        return [{"kind": kind, "sentence": sentence} for kind, sentences in found for sentence in sentences]


def check_chain(
    connection: Connection, anchor: ChainAnchor | None = None, progress: Progress | None = None
) -> ChainReport:
    """Check every link and every row that the chain covers; with an anchor, that the chain still contains that one."""
    with connection.reading() as raw:
        try:
            return _check(raw, anchor, progress)
        except (sqlite3.DatabaseError, UnicodeError, TypeError, ValueError, OverflowError) as fault:
            problem = f"{connection.path}: cannot be read to its end ({fault}); restore it from a backup"
            return ChainReport(ChainAnchor(0, b""), 0, 0, (problem,), (), None if anchor is None else False)


def _check(raw: sqlite3.Connection, anchor: ChainAnchor | None, progress: Progress | None) -> ChainReport:
    content = read_chain(raw, () if anchor is None else (anchor.number,), progress)
    problems, notes = list(content.problems), []
    n_rows = 0
    for kind in KINDS:
        compared, found = _compare(raw, kind, content.places[kind.code])
        n_rows += compared
        problems += [sentence for sentence, _ in zip(found, range(MAX_CHAIN_PROBLEMS), strict=False)]
        if len(found) > MAX_CHAIN_PROBLEMS:
            problems.append(f"and {counted(len(found) - MAX_CHAIN_PROBLEMS, 'more problem')} with a {kind.name}")
    n_deleted, found_runs = _deletions(raw, content)
    problems += found_runs
    problems += _sequences(raw, content)
    anchored = None
    if anchor is not None:
        contradiction = _against(anchor, content)
        anchored = contradiction is None
        if contradiction is None:
            notes += _since(raw, anchor, content)
        else:
            problems.append(contradiction)
    if content.began_after:
        links = counted(content.began_after, "link", ("is", "are"))
        notes.append(
            f"{links} over what was in the database before it had a chain: changes made before then do not show"
        )
    return ChainReport(
        ChainAnchor(content.n_links, content.head), n_rows, n_deleted, tuple(problems), tuple(notes), anchored
    )


def _compare(raw: sqlite3.Connection, kind: ChainedKind, places: Places) -> tuple[int, list[str]]:
    """Return how many rows of a kind were compared, and the problems."""
    expected, twice = expected_places(places, kind)
    problems = [f"{_name(raw, kind, key)} has several places in the chain" for key in twice]
    if kind.several:
        return _compare_several(raw, kind, expected, problems)
    seen = np.zeros(len(expected), dtype=np.bool_)
    n_rows = 0
    for page in _pages(raw, kind):
        n_rows += len(page)
        keys = np.array([row[0] * OWNER_STEP + row[1] for row in page], dtype=np.int64)
        at = np.searchsorted(expected.key, keys)
        known = at < len(expected)
        known[known] = expected.key[at[known]] == keys[known]
        strange = [_name(raw, kind, key) for key in keys[~known].tolist()]
        problems += [f"{name} is not in the chain: this program did not write it" for name in strange]
        at, rows = at[known], [page[place] for place in np.flatnonzero(known).tolist()]
        seen[at] = True
        found = [row_hash(salt, encode(row)) for salt, row in zip(_items(expected.salt[at]), rows, strict=True)]
        same = np.frombuffer(b"".join(found), dtype=expected.hash.dtype) == expected.hash[at]
        changed = [_name(raw, kind, key) for key in expected.key[at[~same]].tolist()]
        problems += [f"{name} is not as it was written" for name in changed]
    gone = [_name(raw, kind, key) for key in expected.key[~seen].tolist()]
    problems += [f"{name} is not there, and no recorded run removed it" for name in gone]
    return n_rows, problems


def _compare_several(
    raw: sqlite3.Connection, kind: ChainedKind, expected: Places, problems: list[str]
) -> tuple[int, list[str]]:
    """Compare rows that share numbers: each must have the hash of one place of its number."""
    left: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    for key, salt, digest in zip(expected.key.tolist(), _items(expected.salt), _items(expected.hash), strict=True):
        left[key].append((salt, digest))
    n_rows = 0
    for page in _pages(raw, kind):
        for row in page:
            n_rows += 1
            content, places = encode(row), left[row[0] * OWNER_STEP + row[1]]
            match = next((each for each in places if row_hash(each[0], content) == each[1]), None)
            if match is None:
                problems.append(f'the repeat "{row[2]}" is not as it was written, or this program did not write it')
            else:
                places.remove(match)
    for key, places in left.items():
        if places:
            what = _name(raw, DECISIONS, key)
            problems.append(f"{counted(len(places), 'repeat')} of {what} changed or missing, and no run removed them")
    return n_rows, problems


def _items(column: np.ndarray[tuple[int], np.dtype[np.void]]) -> list[bytes]:
    return [bytes(each) for each in column.tolist()]


def _pages(raw: sqlite3.Connection, kind: ChainedKind) -> Iterator[list[Row]]:
    for owner in owners(raw, kind):
        rows = kind.read(raw, owner, 0, MAX_NUMBER)
        while page := list(islice(rows, _ROWS_AT_ONCE)):
            yield page


def _name(raw: sqlite3.Connection, kind: ChainedKind, key: int) -> str:
    owner, number = divmod(key, OWNER_STEP)
    if kind in {DECISIONS, REPEATS}:
        row = raw.execute(_DECISION_ID, (number,)).fetchone()
        return f"decision number {number}" if row is None else f'decision "{row[0]}" (number {number})'
    if kind is STEPS:
        return f"what policy {owner} learned in step {number}"
    if kind is STATES:
        return f"the hash of the state of policy {owner} after step {number}"
    return f"{kind.name} {number}"


def _deletions(raw: sqlite3.Connection, content: ChainContent) -> tuple[int, list[str]]:
    """Return how many places were deleted, and the problems: each deletion must be one that a recorded run made."""
    runs = {number: (kind, details) for number, kind, _, details in raw.execute(_RUNS)}
    digests = deletion_digests(content)
    problems = []
    for number, (n, digest) in digests.items():
        kind, details = runs.get(number, (None, "{}"))
        try:
            recorded = msgspec.json.decode(details, type=dict[str, object])
        except msgspec.DecodeError:
            recorded = {}
        if kind not in DELETING_RUNS or recorded.get("places") != digest:
            problems.append(
                f"{counted(n, 'row')} marked as deleted by maintenance run {number}, which did not delete them"
            )
    for number, (kind, details) in runs.items():
        if number not in digests and kind in DELETING_RUNS and '"places":"' in details:
            problems.append(f"maintenance run {number} deleted rows that the chain does not mark as deleted")
    return sum(n for n, _ in digests.values()), problems


def deletion_digests(content: ChainContent) -> dict[int, tuple[int, str]]:
    """Return for each maintenance run how many places it deleted, and the digest of which."""
    found: dict[int, tuple[int, str]] = {}
    columns = [(places.run, code, places.key, places.link) for code, places in content.places.items()]
    numbers = {int(run) for column in columns for run in np.unique(column[0]).tolist() if run}
    for number in sorted(numbers):
        chosen = [(code, key[run == number], link[run == number]) for run, code, key, link in columns]
        found[number] = sum(len(key) for _, key, _ in chosen), places_digest(chosen)
    return found


def places_digest(chosen: list[tuple[int, IntArray, IntArray]]) -> str:
    """Return the digest of deleted places, given by kind as keys and links: blake2b-128 in hex (RFC 7693)."""
    digest = hashlib.blake2b(digest_size=16)
    for code, key, link in chosen:
        if len(key):
            order = np.lexsort((link, key))
            digest.update(encode((code, len(key))))
            digest.update(np.stack([key[order], link[order]]).astype("<i8").tobytes())
    return digest.hexdigest()


def _sequences(raw: sqlite3.Connection, content: ChainContent) -> Iterator[str]:
    """Check that no number can be given a second time."""
    kept = dict(raw.execute(_SEQUENCES).fetchall()) | {table: last_number(raw, table) for table in NUMBERED}
    for kind, table in _NUMBERED.items():
        keys = content.places[kind.code].key
        last = int(keys.max()) if len(keys) else 0
        # A repeat of a decision or an event takes a number and leaves it unused.
        skips = kind in {DECISIONS, EVENTS} and kept.get(table, 0) > last
        if kept.get(table, 0) != last and not skips:
            yield f"the counter of {table} is {kept.get(table, 0)}, and the last number that was given is {last}"


def _against(anchor: ChainAnchor, content: ChainContent) -> str | None:
    """Return what contradicts an anchor, None if the chain contains it."""
    missing = anchor.number - content.n_links
    if missing > 0:
        return (
            f"the chain ends {counted(missing, 'link')} before the anchor: what was written last is gone, or the file "
            "is an older copy or another one"
        )
    if anchor.number and content.links.get(anchor.number) != anchor.link:
        return (
            f"link {anchor.number} of the chain is not the one of the anchor: the log up to it was written again, or "
            "the anchor is one of another database"
        )
    return None


def _since(raw: sqlite3.Connection, anchor: ChainAnchor, content: ChainContent) -> list[str]:
    """Return what has happened to the anchored part since: rows that recorded runs deleted, rows that were restated."""
    after = content.places[JOURNAL.code]
    since = set(after.key[after.link > anchor.number].tolist())
    n = sum(
        int(np.isin(places.run[places.link <= anchor.number], list(since)).sum()) for places in content.places.values()
    )
    if not n:
        return []
    runs = sum(number in since and kind in DELETING_RUNS for number, kind, *_ in raw.execute(_RUNS))
    what = f"{counted(runs, 'deletion')} removed or wrote again {counted(n, 'row')} of what it covers"
    return [f"since the anchor, {what}; the hashes are still in the chain"]

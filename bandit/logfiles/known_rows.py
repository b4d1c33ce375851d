"""Which rows of a log without decision ids a store has already, from an earlier and shorter export of the same log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from bandit.errors import LogFileError
from bandit.logfiles.rejections import ImportFinding
from bandit.logfiles.row_digests import RowDigests, RowsDigest, digest_of, digests_json
from bandit.logfiles.row_names import ContentNames, LineRun, RowNames
from bandit.logfiles.sources.binary_file import opened
from bandit.logfiles.sources.csv import CsvSource
from bandit.logfiles.sources.dsjson import DsjsonSource
from bandit.printable import counted, plain
from bandit.store.tables.imports import import_day

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.sources.source import Source
    from bandit.store import Store
    from bandit.store.tables.imports import ImportRow

SURE_BITS = 20.0
"""Rows are taken for those of another log if they would be alike by chance with a probability below 2 ** -SURE_BITS."""

AS_NEW = "to take all rows as new decisions import with --as-new (as_new=True)"
"""How rows that look like earlier ones are imported all the same."""

_CHUNK_ROWS = 50_000
_LINES_AFTER = 200


@dataclass(frozen=True, slots=True)
class RowColumns:
    """The columns of a log: those that identify a row, those with what came of it, and those with its offer."""

    rows: Sequence[str]
    outcomes: Sequence[str]
    offers: Sequence[str]

    @staticmethod
    def of(mapping: LogMapping, columns: Sequence[str], outcomes: Sequence[str], offers: Sequence[str]) -> RowColumns:
        """Divide all columns that are read: those of the outcomes and the one that says what is closed from others."""
        closed = mapping.file.closed
        came_of_it = [*outcomes, *([closed] if isinstance(closed, str) else [])]
        return RowColumns([name for name in columns if name not in came_of_it], came_of_it, list(offers))


@dataclass(frozen=True, slots=True)
class KnownRows:
    """How the rows of a log are named, the earlier import whose rows it repeats, and what is to be said of that."""

    names: RowNames
    earlier: ImportRow | None = None
    findings: tuple[ImportFinding, ...] = ()

    def to_json(self, digests: RowDigests) -> dict[str, object]:
        """Return what the store keeps of an import, so that a later one recognises its rows."""
        return {
            "runs": [[run.last, run.digest] for run in self.names.runs],
            "content": self.names.content is not None,
            "keyed": self.names.content is not None and self.names.content.key is not None,
            "columns": digests.columns,
            "outcomes": digests.outcomes,
            "digests": digests_json(digests),
        }


def recognise(
    store: Store, mapping: LogMapping, source: Source, name: str, columns: RowColumns, *, as_new: bool
) -> KnownRows:
    """Return how to name the rows of a log that has no decision ids, or no customers.

    A file that was imported before keeps its names. Rows with a customer and a time are named by what they say. Other
    rows are named by file and line; where the first of them are all the rows of an earlier import, they keep its names.
    LogFileError where a log begins like an earlier one and then differs, since its rows may be there already.
    """
    given, digest = mapping.file.columns, source.digest
    if given.decision_id is not None:
        keys = store.customers.all_stored([f"{digest}-{line}" for line in range(1, _LINES_AFTER)])
        lines = not as_new and store.imports.has_customers(keys)
        return KnownRows(RowNames.of_lines(digest, line_customers=lines))
    if as_new:
        return KnownRows(RowNames.of_lines(digest))
    past = store.imports.all()
    same = next((row for row in past if row.digest == digest and "rows" in row.details), None)
    by_content = None
    if given.customer and given.time:
        keyed = all(map(_is_keyed, past)) if same is None else _is_keyed(same)
        by_content = ContentNames((str(given.customer), *columns.offers), store.customers.ids_key if keyed else None)
    if same is not None and same.details["rows"]["content"] and by_content is None:
        raise LogFileError(
            f"{name}: was imported on {import_day(same.time)} by a mapping with the customer and the time, and this "
            f"one does not have both; name them under [columns], or {AS_NEW}"
        )
    if same is not None:
        names = RowNames(_runs_of(same), by_content if same.details["rows"]["content"] else None)
        return KnownRows(names, same)
    if store.imports.has_lines_of(digest):
        return KnownRows(RowNames.of_lines(digest))
    earlier = _Earlier(source, name, columns, [row for row in past if _is_by_line(row)])
    found, notices = earlier.find(refuse=by_content is None)
    runs = [] if found is None else _runs_of(found)
    if found is None and isinstance(source, CsvSource | DsjsonSource):
        runs = _unrecorded(store, source, past)
    if by_content is not None:
        return KnownRows(RowNames(runs, by_content), found, notices)
    return KnownRows(RowNames.of_lines(digest, runs), found, notices)


def repeated_finding(known: KnownRows, n_repeated: int, n_rows: int, n_completed: int) -> ImportFinding:
    """Return the sentence that says how many rows were in the log before."""
    row = known.earlier
    origin = "" if row is None else f" (from {plain(row.file)}, imported on {import_day(row.time)})"
    have = "1 of them has an outcome" if n_completed == 1 else f"{n_completed:,} of them have outcomes"
    completed = f"; {have} not known before" if n_completed else ""
    whole = f"all {n_rows:,} rows" if n_repeated == n_rows else f"{n_repeated:,} of {counted(n_rows, 'row')}"
    text = f"{whole} were in the log before{origin} and are not counted again{completed}"
    return ImportFinding("repeated rows", text, AS_NEW, lasting=False)


class _Earlier:
    """Compares the first rows of a log with those of earlier imports that were named by their lines."""

    def __init__(self, source: Source, name: str, columns: RowColumns, past: Sequence[ImportRow]) -> None:
        self._name = name
        present = set(source.columns)
        groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[ImportRow]] = defaultdict(list)
        for row in past:
            details = row.details["rows"]
            key = (tuple(details["columns"]), tuple(details["outcomes"]))
            own = key == (tuple(columns.rows), tuple(columns.outcomes))
            if own or present.issuperset((*key[0], *key[1])):
                groups[key].append(row)
        self._groups = [(RowDigests(*key, at=[_last(row).n for row in rows]), rows) for key, rows in groups.items()]
        if self._groups:
            wanted = [name for digests, _ in self._groups for name in (*digests.columns, *digests.outcomes)]
            for chunk in source.chunks(list(dict.fromkeys(wanted)), _CHUNK_ROWS, None):
                for digests, _ in self._groups:
                    digests.add(chunk)

    def find(self, *, refuse: bool) -> tuple[ImportRow | None, tuple[ImportFinding, ...]]:
        """Return the longest earlier import whose rows the log begins with, and what is to be said of others.

        LogFileError, with `refuse`, where the log begins like one and then differs.
        """
        unsure: tuple[ImportFinding, ...] = ()
        every = [(digests, row) for digests, rows in self._groups for row in rows]
        for digests, row in sorted(every, key=lambda pair: -_last(pair[1]).n):
            last = _last(row)
            here = digests.kept.get(last.n)
            if here is None or (here.rows, here.line) != (last.rows, last.line):
                continue
            if digests.bits(last.n, whole=here.whole == last.whole) >= SURE_BITS:
                return row, ()
            unsure = (_unsure(row, last.n),)
        if refuse:
            for digests, row in every:
                self._refuse_alike(digests, row)
        return None, unsure

    def _refuse_alike(self, digests: RowDigests, row: ImportRow) -> None:
        """LogFileError where the first rows are those of an earlier import, and later ones are not."""
        for each in map(digest_of, reversed(row.details["rows"]["digests"])):
            here = digests.kept.get(each.n)
            if here is None or here.rows != each.rows or here.n == _last(row).n:
                continue
            if digests.bits(each.n, whole=here.whole == each.whole) < SURE_BITS:
                return
            n, before = digests.n, _last(row).n
            why = "has fewer rows" if n < before else "has other rows after them, or other lines between them"
            raise LogFileError(
                f"{self._name}: its first {each.n:,} rows are those of {plain(row.file)}, which was imported on "
                f"{import_day(row.time)}, but it {why} ({n:,} and {before:,}), so that it cannot be told which rows "
                "are in the log already; name a column with decision ids, or columns with the customer and the time, "
                f"in the mapping, or {AS_NEW}"
            )


def _unsure(row: ImportRow, n: int) -> ImportFinding:
    text = (
        f"the first {counted(n, 'row')} are the same as those of {plain(row.file)}, imported on "
        f"{import_day(row.time)}, and are taken as new decisions, since so few rows can be the same by chance"
    )
    cure = "if they are the same decisions, name columns with ids, or with the customer and the time, in the mapping"
    return ImportFinding("rows that may repeat", text, cure)


def _is_by_line(row: ImportRow) -> bool:
    return "rows" in row.details and not row.details["rows"]["content"]


def _is_keyed(row: ImportRow) -> bool:
    """Say whether an import made no ids of customers without the key, as earlier versions did."""
    rows = row.details.get("rows")
    return rows is None or not rows["content"] or bool(rows.get("keyed"))


def _last(row: ImportRow) -> RowsDigest:
    return digest_of(row.details["rows"]["digests"][-1])


def _runs_of(row: ImportRow) -> list[LineRun]:
    """Return how the lines of an earlier import were named, the last of its lines being the end."""
    details: Mapping[str, Any] = row.details["rows"]
    runs = [LineRun(last, digest) for last, digest in details["runs"]]
    if details["content"]:
        return runs
    return [*runs[:-1], LineRun(_last(row).line, runs[-1].digest)]


def _unrecorded(store: Store, source: CsvSource | DsjsonSource, past: Sequence[ImportRow]) -> list[LineRun]:
    """Return the first lines of a file that were imported before imports were recorded.

    Their ids have the digest of the bytes up to their last line.
    """
    recorded = {run.digest for row in past if "rows" in row.details for run in _runs_of(row)}
    wanted = {digest: last for digest, last in store.imports.line_ids() if digest not in recorded}
    if not wanted:
        return []
    found: list[LineRun] = []
    first, last = min(wanted.values()), max(wanted.values()) + _LINES_AFTER
    with opened(source.path) as (_, content):
        read = blake2b(digest_size=8)
        for number, line in enumerate(content, start=1):
            if number > last:
                break
            bare = line.rstrip(b"\r\n")
            read.update(bare)
            if number >= first and read.hexdigest() in wanted:
                found = [LineRun(number, read.hexdigest())]
            read.update(line[len(bare) :])
            if number >= first and read.hexdigest() in wanted:
                found = [LineRun(number, read.hexdigest())]
    return found

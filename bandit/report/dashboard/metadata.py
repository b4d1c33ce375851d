"""The metadata file that turns a database into pages of Datasette: titles, descriptions, queries, sorting, facets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from bandit.errors import InputError
from bandit.printable import plain
from bandit.report.dashboard.parts import without_marks
from bandit.report.dashboard.queries import DASHBOARD_QUERIES
from bandit.store.descriptions import DESCRIPTIONS, TableDescription

MetadataState: TypeAlias = Literal["written", "up to date", "kept"]
"""What was done with a metadata file: written, found as it would be written, or kept though it differs."""

_LONGEST_NAME = 100

IN_CLEAR = (
    "Customers are stored in the clear in this database, so these pages show them: keep them to people who may see "
    "personal data."
)
"""What the pages say where no customer key is set."""

HASHED = "Customers are shown as keyed hashes; the key is not in the database."
"""What the pages say where one is set."""

_ABOUT = (
    "Every decision with its propensity, every event, what was learned and how the roll-out went. Times in tables are "
    "microseconds since 1970-01-01 UTC; the queries show dates. Nothing can be changed from here."
)


@dataclass(frozen=True, slots=True)
class _Looks:
    """How a table is shown: sorted by which column, descending, with which columns counted beside it."""

    sort: str | None = None
    facets: tuple[str, ...] = ()
    label: str | None = None

    def to_metadata(self) -> dict[str, object]:
        plain: dict[str, object] = {"sort_desc": self.sort, "facets": list(self.facets), "label_column": self.label}
        return {name: value for name, value in plain.items() if value}


_LOOKS: Mapping[str, _Looks] = {
    "decisions": _Looks("seq", ("grp",)),
    "events": _Looks("id", ("event",)),
    "customers": _Looks("id", label="key"),
    "catalogues": _Looks("id", label="name"),
    "policies": _Looks("id"),
    "policy_steps": _Looks("recorded_at"),
    "decision_arms": _Looks("seq", ("arm",)),
    "repeats": _Looks("time"),
    "rollout_changes": _Looks("id"),
    "upkeep": _Looks("id"),
}
"""Only columns with an index, or of small tables: a view is not sorted, since that would compute all of it."""


@dataclass(frozen=True, slots=True)
class DashboardSubject:
    """What a metadata file is about: the database's name, its catalogue, and whether customers are in the clear.

    `database` is the file's name without its ending, under which Datasette knows it.
    """

    database: str
    catalogue: str | None = None
    in_clear: bool = False


def dashboard_metadata(subject: DashboardSubject) -> dict[str, object]:
    """Return the metadata as plain JSON values; every text is shown escaped, none is taken for HTML."""
    who = IN_CLEAR if subject.in_clear else HASHED
    name = "" if subject.catalogue is None else f": {plain(subject.catalogue, _LONGEST_NAME)}"
    return {
        "title": f"Offers{name}",
        "description": f"{_ABOUT} {who}",
        "databases": {
            subject.database: {
                "title": f"Decisions and what came of them{name}",
                "description": f"Begin with the queries below. {who}",
                "tables": {table: _table(table, words) for table, words in DESCRIPTIONS.items()},
                "queries": {query.name: query.to_metadata() for query in DASHBOARD_QUERIES},
            }
        },
    }


def _table(name: str, words: TableDescription) -> dict[str, object]:
    kept = " Rows are only added, except that an erasure or a retention run deletes some." if words.append_only else ""
    return {
        "title": words.title if words.title.lower() == name else f"{words.title} ({name})",
        "description": without_marks(words.text + kept),
        "columns": {column: without_marks(text) for column, text in words.columns.items()},
        **({"hidden": True} if words.internal else {}),
        **_LOOKS.get(name, _Looks()).to_metadata(),
    }


def write_metadata(file: Path, subject: DashboardSubject, *, renew: bool = False) -> MetadataState:
    """Write the metadata file where it is missing, or with `renew` anew, and say what was done.

    A file that is there is used as it is, since somebody may have changed it. InputError for a file that is no JSON
    object, which is never overwritten, and for one that cannot be read or written.
    """
    text = msgspec.json.format(msgspec.json.encode(dashboard_metadata(subject)), indent=1).decode() + "\n"
    try:
        before = file.read_bytes() if file.exists() else None
        if before is not None and not _is_object(before):
            raise InputError(f"{file}: is no JSON file of metadata; choose another name with --metadata")
        if before == text.encode():
            return "up to date"
        if before is not None and not renew:
            return "kept"
        file.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise InputError(f"{file}: cannot be written ({fault.strerror}); name another file with --metadata") from fault
    return "written"


def _is_object(content: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(content), dict)
    except msgspec.DecodeError:
        return False

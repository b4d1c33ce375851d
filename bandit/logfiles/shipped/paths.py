"""For each tool the paths at which its exports have what a mapping needs."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources

import msgspec

SHIPPED_MAPPINGS: dict[str, str] = {
    "braze": "braze.toml",
    "klaviyo": "klaviyo.toml",
    "rudderstack": "segment.toml",
    "segment": "segment.toml",
}
"""The mappings that ship, by the name that `--mapping` takes, with the file that has their paths."""


class ColumnPaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths of the columns of a row."""

    customer: list[str]
    decision_id: list[str]
    time: list[str]
    propensity: list[str]


class EventPaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths of the event and the order, and the events that are decisions.

    Of the events in a list of their own the first that a file has is taken, and all lists; of plain ones the first.
    """

    event: list[str]
    decision: list[str | list[str]]
    order: list[str]


class NamedPaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths in which `{name}` stands for the name of a dimension or of a fact."""

    paths: list[str]

    def of(self, name: str) -> list[str]:
        """Return the paths for a dimension or a fact."""
        return list(dict.fromkeys(path.replace("{name}", name) for path in self.paths))


class OutcomePaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of an outcome's events, and the paths of its amounts.

    `names` are paths beside that of the event at which a custom event has its name. `net` is an amount after the
    `discount`; `partial` says what was returned.
    """

    events: list[str]
    revenue: list[str]
    names: list[str] = []
    net: list[str] = []
    discount: list[str] = []
    partial: list[str] = []


class ShippedPaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a file of paths: for each thing the paths at which a tool's exports may have it."""

    about: str
    columns: ColumnPaths
    event_rows: EventPaths
    offer: NamedPaths
    context: NamedPaths
    purchase: OutcomePaths
    returned: OutcomePaths = msgspec.field(name="return")


def shipped_paths(name: str) -> ShippedPaths:
    """Return the paths of a tool."""
    return msgspec.toml.decode(shipped_text(name), type=ShippedPaths)


def shipped_text(name: str) -> str:
    """Return the file of paths of a tool."""
    return resources.files("bandit.logfiles.shipped").joinpath(SHIPPED_MAPPINGS[name]).read_text(encoding="utf-8")


def flat(groups: Iterable[str | list[str]]) -> list[str]:
    """Return events that are given one by one or in lists as one list."""
    return [event for each in groups for event in ([each] if isinstance(each, str) else each)]

"""The structure of a mapping file; errors name the path of the entry that does not fit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from bandit.errors import CatalogueError

Scalar: TypeAlias = str | int | float | bool


class _MappingSection(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A table of a mapping file; unknown keys are refused, so that a misspelt key is found."""


class ColumnsSection(_MappingSection, frozen=True):
    """[columns]: customer, decision id, time, propensity, group and eligible offers of a row.

    `time_unit` and `time_start` are for times that are plain numbers. The `propensity` "unknown" says that the log does
    not have it, and names no column. `eligible` has the eligible offers as `mask_text` writes them; without it they
    are those that the rules leave.
    """

    customer: str | None = None
    row_customer: bool = False
    decision_id: str | None = None
    time: str | None = None
    time_format: str = "iso"
    time_unit: Literal["us", "ms", "s", "min", "h", "d"] = "s"
    time_start: str | None = None
    propensity: str | int | float | None = None
    group: str | None = None
    eligible: str | None = None


class FactSource(_MappingSection, frozen=True):
    """The source of a fact: a column, other names for its values, and the value of a blank (default: missing)."""

    column: str
    map: dict[str, Scalar] = {}
    blank: Scalar | None = None


class OptionSource(_MappingSection, frozen=True):
    """The source of a dimension's option: a column, and the option that each of its values stands for."""

    column: str
    map: dict[str, str] = {}


class WhenSource(_MappingSection, frozen=True):
    """The condition under which an event happened: a column's number is `above` another, or its text `equals` one."""

    column: str
    above: float | None = None
    equals: str | list[str] | None = None


class NumbersSection(_MappingSection, frozen=True):
    """[numbers]: how the file writes numbers; `signs` such as "€" are left out, `missing` are words for no number."""

    decimal: str = "."
    thousands: str = ""
    signs: list[str] = []
    missing: list[str] = []


class OutcomeSection(_MappingSection, frozen=True):
    """One entry of [[outcomes]]: an event; without `when` it happened in every row."""

    event: str
    when: str | WhenSource | None = None
    revenue: str | None = None
    reward: str | None = None


class PropensitySection(_MappingSection, frozen=True):
    """One entry of [[propensity]]: the offers with the options named (all, without any), and their propensity."""

    value: str | int | float
    offer: dict[str, str] = {}


class LookupSection(_MappingSection, frozen=True):
    """[offer] as a table of whole offers: the values of one column, and the offer that each stands for."""

    column: str
    lookup: dict[str, dict[str, str]]


class MappingDocument(_MappingSection, frozen=True):
    """A mapping file without [offer], which has two shapes.

    `closed` says of which decisions no more events will come: all (true), none (false), or those that a column marks.
    """

    columns: ColumnsSection
    context: dict[str, str | FactSource] = {}
    propensity: list[PropensitySection] = []
    outcomes: list[OutcomeSection] = []
    numbers: NumbersSection = NumbersSection()
    closed: bool | str = True
    delimiter: str = ","


OfferSection: TypeAlias = LookupSection | dict[str, str | OptionSource]


def decode(mapping: Mapping[str, object], where: str) -> tuple[MappingDocument, OfferSection]:
    """Return the checked structure; CatalogueError names `where` and the path of the entry that does not fit."""
    plain = {key: _plain(value) for key, value in mapping.items()}
    offer = plain.pop("offer", None)
    if not isinstance(offer, dict) or not offer:
        raise CatalogueError(
            f'{where}: has no [offer]; write an option or {{ column = "..." }} for each dimension there'
        )
    try:
        file = msgspec.convert(plain, MappingDocument)
    except msgspec.ValidationError as fault:
        raise CatalogueError(f"{where}: {fault}") from fault
    try:
        return file, (
            msgspec.convert(offer, LookupSection)
            if "lookup" in offer
            else msgspec.convert(offer, dict[str, str | OptionSource])
        )
    except msgspec.ValidationError as fault:
        raise CatalogueError(f"{where}: {str(fault).replace('`$', '`$.offer')}") from fault


def _plain(value: object) -> object:
    """Return TOML's dates as text, which is what a mapping declares."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, (dt.date, dt.datetime, dt.time)):
        return value.isoformat()
    return value

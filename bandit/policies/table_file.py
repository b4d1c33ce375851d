"""The file of a policy table: segments of customers by checks of facts, and the probability of each offer in each.

Probabilities are written as decimals that sum to exactly 1, and beside each stands the sum so far, `up_to`: a number
that is drawn evenly from 0 to 1 chooses the first offer whose `up_to` is above it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from bandit.domain import FloatArray, IntArray
from bandit.errors import PolicyError

TABLE_FORMAT = "offer-bandit policy table"
"""What a file of a table says it is."""

TABLE_VERSION = 1
"""The version of the file's structure."""

DECIMALS = 4
"""Decimals of a written probability."""

UNIT = 10**DECIMALS
"""The sum of the probabilities of a row, in units of the last decimal."""


class _TableSection(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A part of the file; unknown keys are refused."""


class FactCheck(_TableSection, frozen=True):
    """What a segment asks of one fact: a known value passes if it is among `values` and within the bounds given.

    A value that is missing passes if `missing` is true, and a text that the table does not declare if `other` is.
    """

    fact: str
    at_least: float | None = None
    below: float | None = None
    values: list[str | bool] | None = None
    missing: bool = False
    other: bool = False


class TableOffer(_TableSection, frozen=True):
    """An offer with its probability, and the sum of the probabilities up to it."""

    offer: dict[str, str]
    probability: Annotated[float, Meta(gt=0, le=1)]
    up_to: Annotated[float, Meta(gt=0, le=1)]


class TableSegment(_TableSection, frozen=True):
    """A row of the table: the checks of its customers, the same in words, and its offers, the most probable first.

    `share` is the share of the sampled decisions that were in it, and `customers` the number of their customers.
    """

    when: str
    checks: list[FactCheck]
    share: float
    customers: int
    offers: Annotated[list[TableOffer], Meta(min_length=1)]


class TableFact(_TableSection, frozen=True):
    """A fact that segments ask for: its type, and the declared values of a text."""

    type: str
    values: list[str] = []


class TableSource(_TableSection, frozen=True):
    """The policy that the table was made of: its kind and name, and its number and step in a database."""

    kind: str
    name: str
    id: int | None = None
    step: int | None = None


class TableDocument(_TableSection, frozen=True):
    """A policy table as it is written; `id` is a digest of the rest, by which a change is noticed.

    `otherwise` is the row of customers whom no segment has, such as those of whom a fact is missing.
    """

    format: str
    version: int
    id: str
    catalogue: str
    made: str
    policy: TableSource
    decisions: int
    dimensions: list[str]
    facts: dict[str, TableFact]
    segments: list[TableSegment]
    otherwise: TableSegment
    draw: str = ""


def table_id(document: TableDocument) -> str:
    """Return the digest of a table's content: 16 hex digits."""
    content = msgspec.to_builtins(document)
    del content["id"]
    return hashlib.blake2b(msgspec.json.encode(content, order="sorted"), digest_size=8).hexdigest()


def with_id(document: TableDocument) -> TableDocument:
    """Return a table under the digest of its content."""
    return msgspec.structs.replace(document, id=table_id(document))


def read_document(given: object, where: str) -> TableDocument:
    """Return a table read from plain JSON values; PolicyError says what is wrong with them."""
    if not isinstance(given, Mapping) or given.get("format") != TABLE_FORMAT:
        raise PolicyError(f"{where}: is no policy table; make one with `offer-bandit table DB -o table.json`")
    if given.get("version") != TABLE_VERSION:
        raise PolicyError(
            f"{where}: is a policy table of version {given.get('version')}; this program reads version {TABLE_VERSION}"
        )
    try:
        document = msgspec.convert(dict(given), TableDocument)
    except msgspec.ValidationError as fault:
        raise PolicyError(f"{where}: is no policy table as it was written: {fault}") from fault
    if document.id != table_id(document):
        raise PolicyError(
            f"{where}: was changed after it was written: its content is not that of table {document.id}; "
            "make it again, since no propensity could be told from a changed table"
        )
    for number, segment in enumerate([*document.segments, document.otherwise], start=1):
        _check_sums(segment, f"{where}: row {number}")
    return document


def read_table_bytes(content: bytes, where: str) -> TableDocument:
    """Return a table read from the bytes of its file; PolicyError says what is wrong with them."""
    try:
        plain: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise PolicyError(f"{where}: is no JSON, so no policy table: {fault}") from fault
    return read_document(plain, where)


def table_bytes(document: TableDocument) -> bytes:
    """Return the content of a table's file."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def offer_rows(offers: Sequence[Mapping[str, str]], probability: FloatArray) -> list[TableOffer]:
    """Return offers with rounded probabilities (n,) that sum to exactly 1, the most probable first, without zeros.

    >>> [each.up_to for each in offer_rows([{"gift": "tote"}, {"gift": "mug"}, {"gift": "pen"}], np.full(3, 1 / 3))]
    [0.3334, 0.6667, 1.0]
    """
    units = in_units(probability)
    order = [place for place in np.argsort(-units, kind="stable").tolist() if units[place]]
    up_to = np.cumsum(units[order])
    return [
        TableOffer(dict(offers[place]), int(units[place]) / UNIT, int(reached) / UNIT)
        for place, reached in zip(order, up_to, strict=True)
    ]


def in_units(probability: FloatArray) -> IntArray:
    """Return probabilities (n,) as whole units of the last decimal that sum to `UNIT`, by largest remainders.

    (Balinski and Young 1982, "Fair representation": Hamilton's method.) What is not 0 can become 0.
    """
    exact = probability / probability.sum() * UNIT
    units: IntArray = np.floor(exact).astype(np.int64)
    left = UNIT - int(units.sum())
    most = np.argsort(-(exact - units), kind="stable")[:left]
    units[most] += 1
    return units


def _check_sums(segment: TableSegment, where: str) -> None:
    """PolicyError unless each probability has its decimals, and `up_to` is their sum and ends at 1."""
    reached = 0
    for each in segment.offers:
        units = round(each.probability * UNIT)
        reached += units
        if not math.isclose(each.probability * UNIT, units, abs_tol=1e-6) or each.up_to != reached / UNIT:
            raise PolicyError(f"{where}: probabilities have {DECIMALS} decimals, and up_to is their sum so far")
    if reached != UNIT:
        raise PolicyError(f"{where}: the probabilities sum to {reached / UNIT}, not to 1")

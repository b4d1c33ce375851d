"""A policy table as a policy: the first segment whose checks a customer passes has the probability of each offer.

Where the table is used without this program, an offer is drawn by a hash that anybody can compute again:

    digest = sha256(f"{table id}|{customer}|{period}")           # in UTF-8, as hex digits
    drawn  = int(digest[:13], 16) / 16**13                       # from 0 to 1, evenly
    offer  = the first offer of the customer's row whose up_to > drawn

so the same customer gets the same offer all through a period (a campaign, a week), and anew in the next one. The
probability of an offer under this draw is the one written, to 2**-52.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.catalogue.fact_regions import FactRange
from bandit.errors import OfferError, PolicyError
from bandit.policies.probabilities import one_hot, uniform_over
from bandit.policies.stateless import Stateless
from bandit.policies.table_file import UNIT, TableDocument, TableSegment, read_document, read_table_bytes, table_bytes

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.catalogue.facts import Fact
    from bandit.domain import BoolArray, Contexts, FloatArray, IntArray
    from bandit.policies.table_file import FactCheck

DRAW_DIGITS = 13
"""Hex digits of the hash that are read: 52 bits, which every language's numbers hold exactly."""

DRAW_RULE = (
    'digest = sha256("ID|CUSTOMER|PERIOD") as hex digits, with the id of this table; '
    "drawn = the number of its first 13 digits / 16**13; the offer is the first of the row whose up_to > drawn"
)
"""The draw as the file states it."""


class PolicyTable(Stateless):
    """A table of segments with a probability of each offer; where an offer is not eligible, the others share its part.

    Where no offer of the row is eligible it is the catalogue's fallback, and where that is not eligible either, every
    eligible offer has the same probability. Tables that `distil` makes have neither case under the catalogue that they
    were made for.
    """

    draw_sets = 1

    def __init__(self, catalogue: Catalogue, table: TableDocument | Mapping[str, object], where: str = "table") -> None:
        """Take a table as it was read; PolicyError where the catalogue lacks its offers or facts."""
        self.catalogue = catalogue
        self.document = table if isinstance(table, TableDocument) else read_document(table, where)
        self.name = f"table {self.document.id[:8]}"
        self._ranges = [_ranges(catalogue, segment, where) for segment in self.document.segments]
        self._offers, self._units = [], []
        for segment in self.rows:
            try:
                index = np.array([catalogue.offer_index(each.offer) for each in segment.offers], dtype=np.int64)
            except OfferError as fault:
                raise PolicyError(f"{where}: is of other offers than the catalogue: {fault}") from fault
            self._offers.append(index)
            self._units.append(np.array([round(each.probability * UNIT) for each in segment.offers], dtype=np.int64))

    @staticmethod
    def read(catalogue: Catalogue, path: str | Path) -> PolicyTable:
        """Read the JSON file of a table; PolicyError says what is wrong with it."""
        try:
            content = Path(path).read_bytes()
        except OSError as fault:
            raise PolicyError(f"{path}: cannot be read: {fault.strerror}; give the file of a policy table") from fault
        return PolicyTable(catalogue, read_table_bytes(content, str(path)), str(path))

    @property
    def rows(self) -> list[TableSegment]:
        """The segments and, at the end, the row of everybody else."""
        return [*self.document.segments, self.document.otherwise]

    @property
    def is_for_catalogue(self) -> bool:
        """Whether the table was made for this version of the catalogue."""
        return self.document.catalogue == self.catalogue.version

    def to_bytes(self) -> bytes:
        """Return the content of the table's file."""
        return table_bytes(self.document)

    @cached_property
    def _probabilities(self) -> FloatArray:
        """The probabilities of all offers in each row, (rows, N)."""
        table = np.zeros((len(self._offers), self.catalogue.n_offers))
        for row, (offers, units) in enumerate(zip(self._offers, self._units, strict=True)):
            np.add.at(table[row], offers, units / UNIT)
        return table

    def row_of(self, contexts: Contexts) -> IntArray:
        """Return the place in `rows` of each of n contexts, (n,): the first segment whose checks hold."""
        found = np.full(contexts.n, len(self._ranges), dtype=np.int64)
        for place in range(len(self._ranges) - 1, -1, -1):
            inside = np.ones(contexts.n, dtype=np.bool_)
            for fact, there in self._ranges[place].items():
                inside &= there.contains(contexts.columns[fact])
            found[inside] = place
        return found

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002
        """Return the probabilities of each context's row over its eligible offers, (n, N)."""
        chosen: FloatArray = self._probabilities[self.row_of(contexts)]
        lost = ((chosen > 0.0) & ~eligible).any(axis=1)
        if lost.any():
            kept = chosen[lost] * eligible[lost]
            total = kept.sum(axis=1, keepdims=True)
            chosen[lost] = np.where(total > 0.0, kept / np.where(total > 0.0, total, 1.0), self._last(eligible[lost]))
        return chosen

    def propensity(self, row: IntArray, offer: IntArray) -> FloatArray:
        """Return the written probability of n offers in their rows, (n,): 0 where a row does not have the offer."""
        return np.asarray(self._probabilities[row, offer])

    def drawn_offers(self, row: IntArray, drawn: FloatArray) -> IntArray:
        """Return the offer that a number from 0 to 1 chooses in its row, for n rows."""
        offer = np.empty(len(row), dtype=np.int64)
        for place in np.unique(row).tolist():
            here = row == place
            up_to = np.cumsum(self._units[place]) / UNIT
            offer[here] = self._offers[place][np.searchsorted(up_to, drawn[here], side="right")]
        return offer

    def spec(self) -> Mapping[str, object]:
        """Return the kind and the whole table."""
        return {"kind": "table", "table": msgspec.to_builtins(self.document)}

    def _last(self, eligible: BoolArray) -> FloatArray:
        """Return what is served where no offer of the row is eligible."""
        last = uniform_over(eligible)
        fallback = self.catalogue.fallback
        if fallback is not None:
            served = eligible[:, fallback]
            last[served] = one_hot(np.full(int(served.sum()), fallback), eligible.shape[1])
        return last


def drawn_numbers(table: str, customers: Sequence[str], periods: Sequence[str]) -> FloatArray:
    """Return the number from 0 to 1 by which a table's id draws for n customers in n periods, (n,).

    >>> float(drawn_numbers("0123456789abcdef", ["customer-42"], ["spring"])[0]) < 1.0
    True
    """
    texts = map("|".join, zip([table] * len(customers), customers, periods, strict=True))
    digests = (hashlib.sha256(text.encode()).hexdigest()[:DRAW_DIGITS] for text in texts)
    return np.fromiter((int(digest, 16) for digest in digests), dtype=np.float64, count=len(customers)) / (
        16.0**DRAW_DIGITS
    )


def _ranges(catalogue: Catalogue, segment: TableSegment, where: str) -> dict[str, FactRange]:
    """Return the range of each fact that a segment asks for; PolicyError where the catalogue lacks one."""
    found: dict[str, FactRange] = {}
    for check in segment.checks:
        fact = catalogue.facts.get(check.fact)
        if fact is None:
            declared = ", ".join(catalogue.facts) or "no facts"
            raise PolicyError(
                f'{where}: asks for the fact "{check.fact}", which the catalogue does not declare; declared are '
                f"{declared}"
            )
        found[check.fact] = _range(fact, check, where)
    return found


def _range(fact: Fact, check: FactCheck, where: str) -> FactRange:
    """Return the values of a fact that pass a check."""
    if fact.kind == "numeric":
        low = -np.inf if check.at_least is None else check.at_least
        high = np.inf if check.below is None else check.below
        return FactRange(low, low if check.values == [] else high, missing=check.missing)
    given: Sequence[str | bool] = [*fact.values] if fact.kind == "categorical" else [False, True]
    codes = set()
    for value in given if check.values is None else check.values:
        code = int(value) if isinstance(value, bool) else fact.declared_code(value)
        if code is None or isinstance(value, bool) != (fact.kind == "boolean"):
            raise PolicyError(f'{where}: asks for the value {value!r} of "{fact.name}", which the catalogue lacks')
        codes.add(code)
    if fact.kind == "categorical" and check.other:
        codes.add(len(fact.values))
    return FactRange(codes=frozenset(codes), missing=check.missing)

"""The groups of a catalogue: which customer is in which, by a keyed hash, and what each of them gets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import msgspec
import numpy as np

from bandit.catalogue.customer_numbers import customer_number, customer_numbers
from bandit.catalogue.facts import Fact
from bandit.catalogue.group_schema import GroupsFile, HoldoutFile, SegmentRulesFile
from bandit.catalogue.segments import compile_segments
from bandit.domain import FloatArray, IntArray, ObjectArray
from bandit.errors import CatalogueError, InputError, OfferError


@dataclass(frozen=True, slots=True)
class Groups:
    """The declared groups, each a share of the customers, and what they get.

    `names` are in the order of `GROUP_ORDER`; customer by customer the group is the first one whose entry in `levels`
    (the cumulative shares) is above the customer's number in [0, 1). `teaching` are the groups whose decisions the
    policy learns from. `rules` are the segment rules of the group of that name, and `holdout` is the only offer that
    the group of that name gets; each is None where the group is not declared.
    """

    names: tuple[str, ...]
    shares: tuple[float, ...]
    levels: tuple[float, ...]
    salt: str
    teaching: tuple[str, ...]
    rules: SegmentRulesFile | None
    holdout: int | None

    @property
    def silent(self) -> tuple[str, ...]:
        """The declared groups whose decisions the policy does not learn from."""
        return tuple(name for name in self.names if name not in self.teaching)

    def name_of(self, customer: str) -> str:
        """Return the group of one customer, in stored form."""
        return self.names[bisect_right(self.levels, customer_number(customer, self.salt))]

    def numbers(self, customers: Sequence[str] | ObjectArray) -> FloatArray:
        """Return the (n,) numbers in [0, 1) of customers in stored form: the first 53 bits of their keyed hashes."""
        return customer_numbers(customers, self.salt)

    def assign(self, customers: Sequence[str] | ObjectArray) -> IntArray:
        """Return the (n,) places in `names` of the groups of customers in stored form."""
        return np.searchsorted(np.array(self.levels), self.numbers(customers), side="right").astype(np.int64)

    def check_name(self, name: str) -> str:
        """Return the name of a declared group; InputError for any other."""
        if name not in self.names:
            raise InputError(f'the catalogue declares no group "{name}"; its groups are {", ".join(self.names)}')
        return name


def build_groups(
    file: GroupsFile,
    facts: Mapping[str, Fact],
    offer_index: Callable[[Mapping[str, str]], int],
    fallback: int | None,
    where: str,
) -> Groups:
    """Return the groups of a validated file; CatalogueError for rules or a holdout's offer that do not fit."""
    shares = file.shares
    names = tuple(shares)
    teaching = names if file.teach is True else ("policy",) if file.teach is False else tuple(file.teach)
    rules = None
    if file.rules is not None:
        plain = msgspec.to_builtins(file.rules)
        rules = msgspec.convert({key: plain[key] for key in plain if key != "share"}, SegmentRulesFile)
        compile_segments(rules, facts, offer_index, fallback, f"{where}: [groups] rules")
    holdout = fallback if file.holdout is not None else None
    if isinstance(file.holdout, HoldoutFile) and not isinstance(file.holdout.offer, str):
        try:
            holdout = offer_index(file.holdout.offer)
        except OfferError as fault:
            raise CatalogueError(f"{where}: [groups] holdout: {fault}") from fault
    return Groups(
        names,
        tuple(shares.values()),
        _levels(tuple(shares.values())),
        file.salt,
        tuple(name for name in names if name in teaching),
        rules,
        holdout,
    )


def _levels(shares: tuple[float, ...]) -> tuple[float, ...]:
    """Return the cumulative shares; the last group with a share ends at 1 exactly, whatever rounding made of the sum.

    >>> _levels((0.25, 0.5, 0.25, 0.0))
    (0.25, 0.75, 1.0, 1.0)
    """
    last = max(place for place, share in enumerate(shares) if share > 0.0)
    return tuple(1.0 if place >= last else level for place, level in enumerate(accumulate(shares)))

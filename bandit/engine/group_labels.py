"""The group of each decision: the caller's, the engine's, or the one that the catalogue assigns to the customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandit.catalogue.groups import Groups
from bandit.catalogue.plain_values import shown
from bandit.domain import ObjectArray
from bandit.engine.arguments import checked_text, checked_texts
from bandit.errors import InputError

DEFAULT_GROUP = "policy"
"""The group of decisions where nobody names one and the catalogue declares none."""


@dataclass(frozen=True, slots=True)
class GroupLabels:
    """Labels decisions with their groups.

    `default` is the engine's own setting. Where it is None, the catalogue's `groups` assign one to each customer.
    """

    groups: Groups | None
    default: str | None

    def __post_init__(self) -> None:
        """Raise InputError for a setting that is not among the declared groups."""
        if self.groups is not None and self.default is not None:
            self.groups.check_name(self.default)

    @property
    def common(self) -> str | None:
        """The group of all decisions where the caller names none; None if each customer has its own."""
        return self.default if self.default is not None or self.groups is not None else DEFAULT_GROUP

    def one(self, customer: str, given: str | None) -> str:
        """Return the group of a decision for a customer in stored form; `given` is the caller's, if there is one."""
        if given is not None:
            given = checked_text("group", given)
            return given if self.groups is None else self.groups.check_name(given)
        common = self.common
        if common is not None or self.groups is None:
            return common or DEFAULT_GROUP
        return self.groups.name_of(customer)

    def many(self, customers: ObjectArray, given: str | Sequence[str] | None) -> str | ObjectArray:
        """Return the groups of n decisions: one label for all where no groups are declared, and else (n,) labels."""
        n = len(customers)
        if given is not None and not isinstance(given, str):
            return self._column(given, n)
        if self.groups is None:
            return self.one("", given)
        names = np.array(self.groups.names, dtype=object)
        if given is None and self.default is None:
            return np.asarray(names[self.groups.assign(customers)])
        label = np.empty(n, dtype=object)
        label[:] = self.one("", given)
        return label

    def _column(self, given: Sequence[str], n: int) -> ObjectArray:
        _check_column(given)
        if len(given) != n:
            raise InputError(f"there are {len(given)} groups for {n} contexts; send one each, one for all, or none")
        given = checked_texts("group", given)
        if self.groups is not None:
            for name in dict.fromkeys(given):
                self.groups.check_name(name)
        column = np.empty(n, dtype=object)
        column[:] = list(given)
        return column


def _check_column(given: object) -> None:
    """Raise InputError for what is no column of groups."""
    if not isinstance(given, Sequence | np.ndarray) or np.ndim(given) == 0:
        raise InputError(f"groups are one text for all decisions or one each; seen {shown(given)}")

"""Adds pages of logged decisions to the sums of incrementality, without the customers seen in several groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.objective import Money
from bandit.evaluate.incrementality import INCREMENT_MEASURES, VALUE
from bandit.ope.clusters import ClusterIndex, share_numbers
from bandit.ope.incremental import ControlBatch, ControlOptions, IncrementTally, ServedBatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, LoggedBatch
    from bandit.domain.mixed_numbers import UnsignedArray
    from bandit.evaluate.option_probabilities import OptionProbabilities, UnknownOptions
    from bandit.store import DecisionColumns
    from bandit.store.available_offers import AvailableOffers


@dataclass(frozen=True, slots=True, eq=False)
class IncrementRead:
    """The sums of a log, its customers in several groups, and the decisions whose offer the catalogue does not have.

    `unknown` has the groups that cannot be asked what they would have given others, with the reason, and `personal`
    those whose policy looks at customers' histories. Parts of other customers add with `+`.
    """

    tally: IncrementTally
    several: int
    left_out: int
    unknown: Mapping[str, str]
    personal: frozenset[str]

    def __add__(self, other: IncrementRead) -> IncrementRead:
        return IncrementRead(
            self.tally + other.tally,
            self.several + other.several,
            self.left_out + other.left_out,
            {**other.unknown, **self.unknown},
            self.personal | other.personal,
        )


class IncrementReader:
    """Adds pages of decisions to the tally, without the customers seen in several groups."""

    def __init__(
        self,
        catalogue: Catalogue,
        groups: tuple[str, ...],
        baseline: str,
        several: frozenset[str],
        probabilities: OptionProbabilities | UnknownOptions,
    ) -> None:
        """`groups` are measured against `baseline`, without the customers `several`."""
        self._sides: dict[str, int | None] = {name: place for place, name in enumerate(groups)}
        self._sides[baseline] = None
        self._met: set[str] = set()
        self._left_out = 0
        self._several, self._catalogue, self._probabilities = several, catalogue, probabilities
        self._customers = {name: ClusterIndex() for name in self._sides}
        self._sizes = [len(dimension.options) for dimension in catalogue.dimensions]
        every = [option for dimension in catalogue.dimensions for option in dimension.options]
        self._money = Money(
            rate=np.array([option.rate for option in every]),
            contact_cost=np.array([option.contact_cost for option in every]),
            redemption_cost=np.array([option.redemption_cost for option in every]),
        )
        self._tally = IncrementTally(len(groups), INCREMENT_MEASURES, len(every), by_option=(0, VALUE))

    def result(self) -> IncrementRead:
        """Return the sums of what was read."""
        asked = self._probabilities
        return IncrementRead(
            self._tally, len(self._met), self._left_out, dict(asked.unknown), frozenset(asked.personal)
        )

    def read(self, offers: AvailableOffers, page: DecisionColumns) -> None:
        """Add one page."""
        rows, logged = offers.decisions(page)
        self._left_out += len(page) - len(rows)
        customer, group = page.customer[rows], page.group[rows]
        if self._several:
            single = ~np.fromiter(map(self._several.__contains__, customer), dtype=np.bool_, count=len(rows))
            self._met.update(customer[~single].tolist())
            kept = np.flatnonzero(single)
            rows, logged, customer, group = rows[kept], logged.take(kept), customer[kept], group[kept]
        for name, side in self._sides.items():
            chosen = np.flatnonzero(group == name)
            if not len(chosen):
                continue
            part = logged.take(chosen)
            ids, shares = self._customers[name].read(customer[chosen], len(chosen))
            numbers = np.empty(0, dtype=np.int64) if ids is None else ids
            keys = share_numbers(shares).astype(np.uint64)
            if side is None:
                self._tally.add_control(self._control(numbers, keys, part, page.take(rows[chosen])))
            else:
                weight = self._probabilities.weights(name, page.take(rows[chosen]))
                self._tally.add_served(side, self._served(numbers, keys, part, weight))

    def _served(
        self, customer: IntArray, keys: UnsignedArray, part: LoggedBatch, weight: FloatArray | None
    ) -> ServedBatch:
        has = self._options_of(part.offer)
        cost = np.where(has, self._money.contact_cost + self._on_purchase(part), 0.0)
        return ServedBatch(customer, self._outcomes(part), has, cost, weight, keys)

    def _control(
        self, customer: IntArray, keys: UnsignedArray, part: LoggedBatch, columns: DecisionColumns
    ) -> ControlBatch:
        would_cost = np.where(part.converted[:, None], self._money.contact_cost + self._on_purchase(part), 0.0)
        given = self._probabilities.read(columns)
        options = [None if each is None else ControlOptions(each.pooled, each.served * would_cost) for each in given]
        return ControlBatch(customer, self._outcomes(part), tuple(options), keys)

    def _on_purchase(self, part: LoggedBatch) -> FloatArray:
        """Return the (n, O) discount and redemption cost of each option on what was bought, 0 without a purchase."""
        paid = part.revenue[:, None] * self._money.rate + self._money.redemption_cost
        return np.where(part.converted[:, None], paid, 0.0)

    def _outcomes(self, part: LoggedBatch) -> FloatArray:
        """Return the (n, M) measures."""
        catalogue, every = self._catalogue, np.arange(len(part))
        money = catalogue.money_of(part.offer)
        revenue = np.where(part.converted, part.revenue, 0.0)
        profit = replace(catalogue.objective, kind="profit").reward(money, every, part.converted, part.revenue, revenue)
        value = part.reward if catalogue.objective.kind == "reward" else profit
        spent = revenue * money.rate + np.where(part.converted, money.redemption_cost, 0.0) + money.contact_cost
        unanswered = np.where(part.converted, 0.0, money.contact_cost)
        return np.stack([part.converted.astype(np.float64), revenue, value, spent, unanswered], axis=1)

    def _options_of(self, offer: IntArray) -> BoolArray:
        """Return (n, O): which options the offers have."""
        options = self._catalogue.options[offer]
        return np.concatenate([options[:, [d]] == np.arange(size) for d, size in enumerate(self._sizes)], axis=1)

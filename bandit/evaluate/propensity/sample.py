"""A uniform sample of a log's choices in bounded memory, and its facts as columns with steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import Contexts, ObjectArray
from bandit.domain.mixed_numbers import mixed
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import fit_scales
from bandit.errors import InputError
from bandit.evaluate.distinct_masks import DistinctMasks
from bandit.ope.clusters import share_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, LoggedBatch

NUMERIC_STEPS = 16
"""How many parts of about equally many decisions a numeric fact is cut into."""

_NO_CUSTOMERS: ObjectArray = np.empty(0, dtype=object)


class FactColumns:
    """Facts as numbers: the encoder's columns without the intercept, and for a numeric fact one column a step.

    A step's column is 1 where the fact is above one of its quantiles, so that the penalty makes neighbouring parts
    alike unless the data say otherwise. Quantiles and scales are those of the contexts given.
    """

    def __init__(self, catalogue: Catalogue, contexts: Contexts) -> None:
        self._encoder = Encoder(catalogue, fit_scales(catalogue, contexts), pairs=False)
        self._cuts: dict[str, FloatArray] = {}
        for name, fact in catalogue.facts.items():
            column = contexts.columns[name]
            known = column[~np.isnan(column)] if fact.kind == "numeric" else column[:0]
            if len(known):
                cuts = np.unique(np.quantile(known, np.arange(1, NUMERIC_STEPS) / NUMERIC_STEPS, method="lower"))
                self._cuts[name] = np.asarray(cuts[cuts < known.max()], dtype=np.float64)

    def of(self, contexts: Contexts) -> FloatArray:
        """Return the (n, d) columns."""
        parts = [self._encoder.context_matrix(contexts)[:, 1:]]
        # A comparison with NaN is false: a missing fact is above no quantile; the encoder has a column for missing.
        parts += [(contexts.columns[name][:, None] > cuts).astype(np.float64) for name, cuts in self._cuts.items()]
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class SampledChoices:
    """n sampled decisions: contexts, chosen offers, distinct eligible sets (u, N) and that of each row, shares.

    `shares` (n,) in [0, 1) are those of the rows' customers. `weight` (n,), with a mean of 1, is how much each counts,
    empty where all count alike.
    """

    contexts: Contexts
    offer: IntArray
    masks: BoolArray
    which: IntArray
    shares: FloatArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.offer)


@dataclass(frozen=True, slots=True, eq=False)
class ChoiceRows:
    """Decisions of a sample with a random number each, (n,): those with the smallest numbers are kept.

    `facts` are columns of the contexts, and `which` the number of each row's eligible set.
    """

    numbers: FloatArray
    facts: Mapping[str, FloatArray | IntArray]
    offer: IntArray
    which: IntArray
    shares: FloatArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: IntArray | BoolArray) -> ChoiceRows:
        """Return some rows."""
        return ChoiceRows(
            numbers=self.numbers[rows],
            facts={name: column[rows] for name, column in self.facts.items()},
            offer=self.offer[rows],
            which=self.which[rows],
            shares=self.shares[rows],
            weight=self.weight[rows],
        )

    @staticmethod
    def concat(parts: Sequence[ChoiceRows]) -> ChoiceRows:
        """Return the rows of all parts."""
        names = ("numbers", "offer", "which", "shares", "weight")
        facts = {name: np.concatenate([part.facts[name] for part in parts]) for name in parts[0].facts}
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return ChoiceRows(facts=facts, **columns)


class ChoiceSample:
    """At most `most` decisions of those added, each equally likely to be among them, in random order.

    Which they are depends on the seed, on each decision's customer and on how many of the customer's decisions came
    before: so parts of a log whose customers are different merge with `+`, in any order, to the sample of the whole.
    Once a decision of unknown propensity (NaN) is added, only such decisions are kept.
    """

    def __init__(self, most: int, seed: int) -> None:
        self.most, self.seed, self.n_seen = most, seed, 0
        self._limit = 1.0
        self._unknown_only = self._closed = False
        self._masks = DistinctMasks()
        self._parts: list[ChoiceRows] = []
        self._kept = 0
        self._before = np.zeros(0, dtype=np.int64)

    def add(self, batch: LoggedBatch, customer: IntArray | None, shares: FloatArray) -> None:
        """Add decisions with the numbers of their customers, None where these are not known, and shares in [0, 1).

        Both are (n,), those of a `ClusterIndex` over the log. InputError for a closed or merged sample.
        """
        if self._closed:
            raise InputError("this sample is closed; add the decisions to another one and merge the two")
        unknown = np.isnan(batch.propensity)
        if unknown.any() and not self._unknown_only:
            self._keep_unknown_only()
        numbers = self._numbers(customer, shares)
        usable = unknown if self._unknown_only else np.ones(len(batch), dtype=np.bool_)
        self.n_seen += int(usable.sum())
        rows = np.flatnonzero(usable & (numbers < self._limit))
        if not len(rows):
            return
        eligible = batch.eligible
        # All rows of a batch may share one set without a copy each; indexing by rows would make the copies.
        which = self._masks.number(eligible[: len(rows)] if eligible.strides[0] == 0 else eligible[rows])
        facts = {name: column[rows] for name, column in batch.contexts.columns.items()}
        self._parts.append(
            ChoiceRows(numbers[rows], facts, batch.offer[rows], which, shares[rows], batch.weights[rows])
        )
        self._kept += len(rows)
        if self._kept > 2 * self.most:
            self._thin()

    def __add__(self, other: ChoiceSample) -> ChoiceSample:
        """Return the sample of the decisions of both; InputError where they were drawn in other ways."""
        if (self.most, self.seed) != (other.most, other.seed):
            raise InputError("these samples have other sizes or seeds; merge only parts of one log")
        both = ChoiceSample(self.most, self.seed)
        both._closed, both._unknown_only = True, self._unknown_only or other._unknown_only
        for part in (self, other):
            if part._unknown_only != both._unknown_only:
                continue  # it has decisions of known propensities only
            both.n_seen += part.n_seen
            both._limit = min(both._limit, part._limit)
            if not part._parts:
                continue
            numbers = both._masks.number(part._masks.stack())
            both._parts += [replace(rows, which=numbers[rows.which]) for rows in part._parts]
            both._kept += part._kept
        both._parts = [rows.take(rows.numbers < both._limit) for rows in both._parts]
        both._kept = sum(map(len, both._parts))
        if both._kept > both.most:
            both._thin()
        return both

    def close(self) -> None:
        """Take no further decisions: those of its customers that came before are not known any more."""
        self._closed, self._before = True, np.zeros(0, dtype=np.int64)

    def result(self) -> SampledChoices:
        """Return the sample so far."""
        if self._kept > self.most:
            self._thin()
        if not self._parts:
            none = np.empty(0, dtype=np.int64)
            return SampledChoices(
                Contexts(0, {}, {}, _NO_CUSTOMERS),
                none,
                np.zeros((0, 0), dtype=np.bool_),
                none,
                np.empty(0),
                np.empty(0),
            )
        whole = ChoiceRows.concat(self._parts)
        rows = whole.take(np.argsort(whole.numbers, kind="stable"))
        weight = np.empty(0) if (rows.weight == 1.0).all() else rows.weight / rows.weight.mean()
        contexts = Contexts(len(rows), rows.facts, {}, _NO_CUSTOMERS)
        masks, number = np.unique(self._masks.stack(), axis=0, return_inverse=True)
        return SampledChoices(contexts, rows.offer, masks, number.reshape(-1)[rows.which], rows.shares, weight)

    def _keep_unknown_only(self) -> None:
        self._unknown_only, self._limit, self._kept, self.n_seen = True, 1.0, 0, 0
        self._parts.clear()

    def _numbers(self, customer: IntArray | None, shares: FloatArray) -> FloatArray:
        """Return a random number in [0, 1) for each of the next decisions, (n,)."""
        before = np.zeros(len(shares), dtype=np.int64) if customer is None else self._places(customer)
        key = mixed(share_numbers(shares).astype(np.uint64) + np.uint64(self.seed))
        return (mixed(key + before.astype(np.uint64)) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def _places(self, customer: IntArray) -> IntArray:
        """Return how many decisions of its customer came before each of the next ones, (n,)."""
        n_customers = int(customer.max(initial=-1)) + 1
        if n_customers > len(self._before):
            more = np.zeros(max(n_customers, 2 * len(self._before)) - len(self._before), dtype=np.int64)
            self._before = np.concatenate([self._before, more])
        order = np.argsort(customer, kind="stable")
        ids, first, sizes = np.unique(customer[order], return_index=True, return_counts=True)
        places = np.empty(len(customer), dtype=np.int64)
        places[order] = np.arange(len(customer)) - np.repeat(first, sizes) + np.repeat(self._before[ids], sizes)
        self._before[ids] += sizes
        return places

    def _thin(self) -> None:
        """Drop the decisions with the largest numbers, so that `most` are left."""
        numbers = np.concatenate([part.numbers for part in self._parts])
        self._limit = float(np.partition(numbers, self.most)[self.most])
        self._parts = [part.take(part.numbers < self._limit) for part in self._parts]
        self._kept = sum(map(len, self._parts))

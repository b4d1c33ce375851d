"""Decisions as stored, translated into the numbers of one catalogue."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, LoggedBatch, ObjectArray
from bandit.errors import ContextError, OfferError, StoreError
from bandit.store.records import object_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.catalogue.facts import Fact
    from bandit.catalogue.objective import Objective
    from bandit.store.records import DecisionColumns
    from bandit.store.store import Store

_PLAIN = {
    "numeric": frozenset({int, float, type(None)}),
    "boolean": frozenset({bool, type(None)}),
    "categorical": frozenset[type](),
}

_PLAIN_JSON = frozenset[type]({str, int, float, bool, type(None)})


class ContextReader:
    """Turns stored JSON texts into a checked batch, a declared fact at a time; facts not declared are passed over."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._facts = tuple(catalogue.facts.items())
        # A struct with a field a fact lets msgspec build no dictionaries and skip what is not declared.
        names = [f"f{place}" for place in range(len(self._facts))]
        row = msgspec.defstruct(
            "Row",
            [(name, Any, None) for name in names],
            rename=dict(zip(names, catalogue.facts, strict=True)),
            gc=False,
        )
        self._decoder = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]

    def read(self, texts: ObjectArray, customers: ObjectArray) -> Contexts:
        """Return n contexts; a value that does not fit the fact's type, which it once had another of, is missing."""
        if not self._facts:
            return self._catalogue.contexts({}, customers)
        try:
            rows = self._decoder.decode(f"[{','.join(texts)}]")
        except msgspec.MsgspecError as fault:
            raise StoreError(
                "a stored context is not the JSON that was written; `offer-bandit verify` says which, restore the file "
                "from a backup"
            ) from fault
        columns = {
            name: _column(list(map(attrgetter(f"f{place}"), rows)), fact.kind)
            for place, (name, fact) in enumerate(self._facts)
        }
        try:
            return self._catalogue.contexts(columns, customers)
        except ContextError:
            fitting = {name: _fitting(fact, columns[name]) for name, fact in self._facts}
            return self._catalogue.contexts(fitting, customers)


class OfferMap:
    """Takes the offers and eligible sets of any catalogue version in the store to those of one catalogue, by name."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue
        self._maps: dict[int, IntArray] = {}

    def offers(self, catalogue_ids: IntArray, offers: IntArray) -> IntArray:
        """Return the (n,) offers of the catalogue, -1 where it does not have them."""
        mapped = np.full(len(offers), -1, dtype=np.int64)
        for number in np.unique(catalogue_ids).tolist():
            rows = catalogue_ids == number
            names = self._map(number)
            if offers[rows].max() >= len(names):
                raise StoreError(
                    f"{self._store.path}: a decision has an offer that catalogue {number} does not have; "
                    "`offer-bandit verify` says which, restore the file from a backup"
                )
            mapped[rows] = names[offers[rows]]
        return mapped

    def masks(self, catalogue_ids: IntArray, set_ids: IntArray) -> BoolArray:
        """Return the (n, N) masks over the catalogue's offers."""
        distinct, first, back = np.unique(set_ids, return_index=True, return_inverse=True)
        if len(distinct) == 1 and self._store.catalogues.get(int(catalogue_ids[0])).version == self._catalogue.version:
            mask = self._store.eligible_sets.mask(int(distinct[0]))
            return np.broadcast_to(mask, (len(set_ids), len(mask)))
        table = np.zeros((len(distinct), self._catalogue.n_offers), dtype=np.bool_)
        for place, (set_id, catalogue_id) in enumerate(
            zip(distinct.tolist(), catalogue_ids[first].tolist(), strict=True)
        ):
            mapped = self._map(catalogue_id)[self._store.eligible_sets.mask(set_id)]
            table[place, mapped[mapped >= 0]] = True
        return table[back]

    def _map(self, catalogue_id: int) -> IntArray:
        found = self._maps.get(catalogue_id)
        if found is None:
            older = self._store.catalogues.get(catalogue_id)
            every = np.arange(older.n_offers, dtype=np.int64)
            if older.version == self._catalogue.version:
                found = every
            else:
                try:
                    found = self._catalogue.offer_indices(older.offers(every))
                except OfferError:  # it has other dimensions: none of its offers is one of ours
                    found = np.full(older.n_offers, -1, dtype=np.int64)
            self._maps[catalogue_id] = found
        return found


class CatalogueTranslation:
    """Translates columns of stored decisions into a `LoggedBatch` of one catalogue's offers, facts and rewards.

    Creating one reads nothing; each call reads as much as its decisions need, whatever the size of the log.
    """

    def __init__(self, store: Store, catalogue: Catalogue, objective: Objective | None = None) -> None:
        """Take rewards from `objective`, or from the catalogue's own where none is given."""
        self._store = store
        self._unknown_policies: tuple[int, ...] = ()
        self._newest_policy = -1
        self.catalogue = catalogue
        self.objective = catalogue.objective if objective is None else objective
        self.contexts = ContextReader(catalogue)
        self.offer_map = OfferMap(store, catalogue)

    def decisions(self, columns: DecisionColumns, *, masks: bool = True) -> tuple[IntArray, LoggedBatch]:
        """Return which of these decisions the catalogue has an offer for, and those as a batch.

        Without `masks` what was eligible is not read, and the batch's mask has no columns.
        """
        mapped = self.offer_map.offers(columns.catalogue_id, columns.offer)
        rows = np.flatnonzero(mapped >= 0)
        kept, offer = (columns, mapped) if len(rows) == len(columns) else (columns.take(rows), mapped[rows])
        money, every = self.catalogue.money_of(offer), np.arange(len(offer))
        reward = self.objective.reward(money, every, kept.converted, kept.revenue, kept.value)
        return rows, LoggedBatch(
            contexts=self.contexts.read(kept.context, kept.customer),
            offer=offer,
            eligible=self.offer_map.masks(kept.catalogue_id, kept.eligible_set_id) if masks else _no_masks(len(kept)),
            propensity=self._propensity(kept),
            converted=kept.converted,
            revenue=kept.revenue,
            reward=reward,
            time=kept.time,
        )

    def _propensity(self, columns: DecisionColumns) -> FloatArray:
        newest = int(columns.policy_id.max(initial=-1))
        if newest > self._newest_policy:  # not known yet: an import may have come since the last call
            self._newest_policy, self._unknown_policies = newest, self._store.catalogues.unknown_policies()
        if not self._unknown_policies:
            return columns.propensity
        return np.where(np.isin(columns.policy_id, self._unknown_policies), np.nan, columns.propensity)


def _no_masks(n: int) -> BoolArray:
    return np.zeros((n, 0), dtype=np.bool_)


def _fitting(fact: Fact, values: Sequence[object] | ObjectArray) -> Sequence[object] | ObjectArray:
    """Return the column with None in place of what does not fit; each distinct value of a type is tried once."""
    try:
        fact.parse(values)
    except ContextError:
        kinds = list(map(type, values))
        keys = list(zip(kinds, values, strict=True))
        if set(kinds) <= _PLAIN_JSON:
            table = {key: _fits(fact, key[1]) for key in set(keys)}
            fits = np.fromiter(map(table.__getitem__, keys), dtype=np.bool_, count=len(keys))
        else:  # a list or an object has no hash
            fits = np.array([_fits(fact, value) for value in values])
        fitting = object_array(list(values))
        fitting[~fits] = None
        return fitting.tolist()  # type: ignore[no-any-return]
    return values


def _fits(fact: Fact, value: object) -> bool:
    try:
        fact.parse([value])
    except ContextError:
        return False
    return True


def _column(values: Sequence[object], kind: str) -> Sequence[object] | ObjectArray:
    """Return whole columns of plain numbers as arrays, in which NaN is what is missing."""
    if set(map(type, values)) <= _PLAIN[kind]:
        numbers: ObjectArray = np.array(values, dtype=np.float64)
        return numbers
    return values

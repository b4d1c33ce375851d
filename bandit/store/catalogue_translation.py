"""Translates stored decisions into the offers, facts and rewards of one catalogue."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from bandit.catalogue.context_batch import parse_stored_one
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, LoggedBatch, ObjectArray
from bandit.errors import ContextError, OfferError, StoreError
from bandit.store.records import object_array
from bandit.store.tables.learned_stages import stage_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.catalogue.facts import Fact
    from bandit.catalogue.objective import Objective
    from bandit.store.learning.one_outcome import OneDue
    from bandit.store.records import DecisionColumns
    from bandit.store.translated import TranslatedLog

_PLAIN = {
    "numeric": frozenset({int, float, type(None)}),
    "boolean": frozenset({bool, type(None)}),
    "categorical": frozenset[type](),
}

_PLAIN_JSON = frozenset[type]({str, int, float, bool, type(None)})


class ContextDecoder:
    """Decodes stored JSON texts into a checked batch, column by column; facts that are not declared are skipped.

    Texts are read as they were when the decision was made (`exact`), which is what repeats a decision or a step of
    learning. Without `exact` they are compared in normal form, as new ones are: for the analysis of a log.
    """

    def __init__(self, catalogue: Catalogue, *, exact: bool = True) -> None:
        self._catalogue = catalogue
        self._exact = exact
        self._facts = tuple(catalogue.facts.items())
        self._categorical = tuple(each for each in self._facts if each[1].kind == "categorical")
        # Decoding into a struct with one field a fact builds no dictionaries and skips undeclared facts.
        fields = {f"f{place}": name for place, name in enumerate(catalogue.facts)}
        self._earlier = {
            f"f{place}": [f"f{place}_{number}" for number in range(len(fact.aliases))]
            for place, (_, fact) in enumerate(self._facts)
            if fact.aliases
        }
        for place, (_, fact) in enumerate(self._facts):
            fields |= {f"f{place}_{number}": alias for number, alias in enumerate(fact.aliases)}
        row = msgspec.defstruct("Row", [(name, Any, None) for name in fields], rename=fields, gc=False)
        self._decoder = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]
        self._one_decoder = msgspec.json.Decoder(row)

    def read(self, texts: ObjectArray, customers: ObjectArray) -> Contexts:
        """Return n contexts; a value that does not fit the declared type, which may have changed since, is missing."""
        if not self._facts:
            return self._catalogue.contexts({}, customers, stored=True)
        try:
            rows = self._decoder.decode(f"[{','.join(texts)}]")
        except (msgspec.MsgspecError, TypeError) as fault:  # a damaged page may give bytes in place of a text
            raise StoreError(
                "a stored context is not the JSON that was written; `offer-bandit verify` says which, restore the file "
                "from a backup"
            ) from fault
        if self._exact and len(rows) == 1 and not self._earlier:
            one = parse_stored_one(self._catalogue.facts, msgspec.structs.astuple(rows[0]), customers)
            if one is not None:
                return one
        columns = {
            name: _column(self._values(rows, f"f{place}"), fact.kind) for place, (name, fact) in enumerate(self._facts)
        }
        try:
            return self._catalogue.contexts(columns, customers, exact=self._exact, stored=True)
        except ContextError:
            valid = {name: only_valid(fact, columns[name]) for name, fact in self._facts}
            return self._catalogue.contexts(valid, customers, exact=self._exact, stored=True)

    def reads_as(self, contexts: Contexts) -> bool:
        """Say whether reading the stored text of a context, a batch of one, gives the same arrays.

        Numbers and booleans are stored as they are; a categorical value may be compared in another form when it is new.
        """
        return self._exact and all(
            fact.stored_code(contexts.text[name].item()) == contexts.columns[name].item()
            for name, fact in self._categorical
        )

    def read_one(self, text: str, customer: str) -> Contexts:
        """Return what `read` returns for one context."""
        customers = object_array([customer])
        if self._exact and self._facts and not self._earlier:
            try:
                row = self._one_decoder.decode(text)
            except (msgspec.MsgspecError, TypeError):
                pass  # `read` says what is wrong
            else:
                one = parse_stored_one(self._catalogue.facts, msgspec.structs.astuple(row), customers)
                if one is not None:
                    return one
        return self.read(object_array([text]), customers)

    def _values(self, rows: Sequence[object], field: str) -> list[object]:
        """Return a fact's value in each row, by its name or, where that is not there, by an earlier name of it."""
        values = list(map(attrgetter(field), rows))
        for earlier in self._earlier.get(field, ()):
            values = [
                old if value is None else value
                for value, old in zip(values, map(attrgetter(earlier), rows), strict=True)
            ]
        return values


class OfferMap:
    """Maps the offers and eligible sets of any stored catalogue version to those of one catalogue, by option names."""

    def __init__(self, store: TranslatedLog, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue
        self._maps: dict[int, IntArray] = {}
        self._same: dict[int, bool] = {}

    def offer(self, catalogue_id: int, offer: int) -> int:
        """Return one offer in the numbers of the catalogue, -1 for one that it does not have."""
        table = self._map(catalogue_id)
        if not 0 <= offer < len(table):
            raise self._unknown_offer(catalogue_id)
        return table.item(offer)

    def mask(self, catalogue_id: int, set_id: int) -> BoolArray:
        """Return the (1, N) mask of one decision over the catalogue's offers."""
        if self.is_same(catalogue_id):
            return self._store.eligible_sets.mask(set_id)[None]
        return self.masks(np.array([catalogue_id]), np.array([set_id]))

    def is_same(self, catalogue_id: int) -> bool:
        """Say whether a stored version is the catalogue."""
        same = self._same.get(catalogue_id)
        if same is None:
            same = self._same[catalogue_id] = (
                self._store.catalogues.get(catalogue_id).version == self._catalogue.version
            )
        return same

    def _unknown_offer(self, catalogue_id: int) -> StoreError:
        return StoreError(
            f"{self._store.path}: a decision has an offer that catalogue {catalogue_id} does not have; "
            "`offer-bandit verify` says which, restore the file from a backup"
        )

    def offers(self, catalogue_ids: IntArray, offers: IntArray) -> IntArray:
        """Return the (n,) offers in the numbers of the catalogue, -1 for those that it does not have."""
        mapped = np.full(len(offers), -1, dtype=np.int64)
        for number in catalogue_ids.tolist() if len(offers) == 1 else np.unique(catalogue_ids).tolist():
            rows = catalogue_ids == number
            table = self._map(number)
            if offers[rows].max() >= len(table) or offers[rows].min() < 0:
                raise self._unknown_offer(number)
            mapped[rows] = table[offers[rows]]
        return mapped

    def masks(self, catalogue_ids: IntArray, set_ids: IntArray) -> BoolArray:
        """Return the (n, N) masks over the catalogue's offers."""
        if len(set_ids) == 1:
            distinct, first, back = set_ids, np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        else:
            distinct, first, back = np.unique(set_ids, return_index=True, return_inverse=True)
        if len(distinct) == 1 and self.is_same(int(catalogue_ids[0])):
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
                except OfferError:  # it has other dimensions, so it shares no offer
                    found = np.full(older.n_offers, -1, dtype=np.int64)
            self._maps[catalogue_id] = found
        return found


class CatalogueTranslation:
    """Translates columns of stored decisions into a `LoggedBatch` of one catalogue's offers, facts and rewards.

    Creating one reads nothing; each call reads only what its decisions need, independent of the size of the log.
    """

    def __init__(
        self,
        store: TranslatedLog,
        catalogue: Catalogue,
        objective: Objective | None = None,
        *,
        exact: bool = True,
        contexts: ContextDecoder | None = None,
    ) -> None:
        """Compute rewards by `objective`, by default that of the catalogue.

        `exact` is that of `ContextDecoder`, which reads the contexts unless `contexts` does.
        """
        self._store = store
        self._unknown_policies: tuple[int, ...] = ()
        self._newest_policy = -1
        self.catalogue = catalogue
        self.objective = catalogue.objective if objective is None else objective
        self.contexts = ContextDecoder(catalogue, exact=exact) if contexts is None else contexts
        self.offer_map = OfferMap(store, catalogue)

    def decisions(
        self, columns: DecisionColumns, *, masks: bool = True, stage: IntArray | None = None
    ) -> tuple[IntArray, LoggedBatch]:
        """Return the rows whose offer the catalogue has, and these decisions as a batch.

        Without `masks` the eligible sets are not read, and the mask of the batch has no columns. `stage` (n,) is how
        many stages each has reached, by default what their events say.
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
            propensity=self.propensity(kept),
            converted=kept.converted,
            revenue=kept.revenue,
            reward=reward,
            time=kept.time,
            weight=stored_weights(kept.weight),
            stages=self.stages(kept, None if stage is None else stage[rows]),
        )

    def one(self, due: OneDue, *, masks: bool = True) -> LoggedBatch | None:
        """Return what `decisions` returns for one decision; None where the catalogue does not have its offer.

        For an objective without stages.
        """
        _, _, time, customer, catalogue_id, policy_id, _, context, set_id, offer, propensity, *_ = due.decision
        mapped = self.offer_map.offer(catalogue_id, offer)
        if mapped < 0:
            return None
        known = policy_id not in self._placeholders(policy_id)
        weight = np.array([due.stands_for], dtype=np.float64)
        return LoggedBatch(
            contexts=self._context(catalogue_id, context, customer),
            offer=np.array([mapped], dtype=np.int64),
            eligible=self.offer_map.mask(catalogue_id, set_id) if masks else _no_masks(1),
            propensity=np.array([propensity if known else math.nan], dtype=np.float64),
            converted=np.array([due.converted]),
            revenue=np.array([due.revenue]),
            reward=np.array([self.reward_of_one(mapped, due.converted, due.revenue, due.value)]),
            time=np.array([time], dtype=np.int64),
            weight=weight[:0] if due.stands_for == 1.0 else weight,
            stages=_no_masks(0),
        )

    def _context(self, catalogue_id: int, text: str, customer: str) -> Contexts:
        """Return one stored context: as it was decided on, where that is known and decoding gives the same."""
        if self.offer_map.is_same(catalogue_id):
            known = self._store.recent_contexts.get(catalogue_id, text, customer)
            if known is not None and self.contexts.reads_as(known):
                return known
        return self.contexts.read_one(text, customer)

    def reward_of_one(self, offer: int, converted: bool, revenue: float, value: float) -> float:
        """Return the reward of one outcome of an offer of the catalogue."""
        catalogue = self.catalogue
        if catalogue.n_offers > MAX_DENSE_OFFERS:
            money, place = catalogue.money_of(np.array([offer])), 0
        else:
            money, place = catalogue.money, offer
        return self.objective.reward_of_one(money, place, converted, revenue, value)

    def stages(self, columns: DecisionColumns, stage: IntArray | None = None) -> BoolArray:
        """Return the stages that some decisions have reached, (n, S), empty where the objective has none."""
        n_stages = len(self.objective.stages)
        if not n_stages:
            return _no_masks(0)
        reached = self._store.decisions.stages(columns.seq, self.objective) if stage is None else stage
        return stage_columns(reached, n_stages)

    def propensity(self, columns: DecisionColumns) -> FloatArray:
        """Return the propensities of some decisions, NaN where they are not known."""
        unknown = self._placeholders(int(columns.policy_id.max(initial=-1)))
        if not unknown:
            return columns.propensity
        return np.where(np.isin(columns.policy_id, unknown), np.nan, columns.propensity)

    def _placeholders(self, newest: int) -> tuple[int, ...]:
        """Return the placeholders of unknown policies, up to a number of a policy at least."""
        if newest > self._newest_policy:  # new policies, perhaps placeholders: there was an import since the last call
            self._newest_policy, self._unknown_policies = newest, self._store.catalogues.unknown_policies()
        return self._unknown_policies


def stored_weights(weight: FloatArray) -> FloatArray:
    """Return the weights, empty where all are 1."""
    return weight[:0] if (weight == 1.0).all() else weight


def _no_masks(n: int) -> BoolArray:
    return np.zeros((n, 0), dtype=np.bool_)


def only_valid(fact: Fact, values: Sequence[object] | ObjectArray) -> Sequence[object] | ObjectArray:
    """Return the column with None in place of invalid values; each distinct value is checked once."""
    try:
        fact.parse(values, exact=True)
    except ContextError:
        kinds = list(map(type, values))
        keys = list(zip(kinds, values, strict=True))
        if set(kinds) <= _PLAIN_JSON:
            table = {key: _is_valid(fact, key[1]) for key in set(keys)}
            valid = np.fromiter(map(table.__getitem__, keys), dtype=np.bool_, count=len(keys))
        else:  # a list or an object has no hash
            valid = np.array([_is_valid(fact, value) for value in values])
        column = object_array(list(values))
        column[~valid] = None
        return column.tolist()  # type: ignore[no-any-return]
    return values


def _is_valid(fact: Fact, value: object) -> bool:
    try:
        fact.parse([value], exact=True)
    except ContextError:
        return False
    return True


def _column(values: Sequence[object], kind: str) -> Sequence[object] | ObjectArray:
    """Return a column of nothing but numbers as an array, with NaN for missing values; others unchanged."""
    if set(map(type, values)) <= _PLAIN[kind]:
        numbers: ObjectArray = np.array(values, dtype=np.float64)
        return numbers
    return values

"""Decisions for a whole audience, part by part: in bounded memory, with progress, and to be resumed after a kill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.context_json import contexts_json
from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray, Progress
from bandit.errors import DuplicateError, InputError, StoreError
from bandit.tabular import Cell, Tabular

if TYPE_CHECKING:
    from bandit.engine.engine import Engine


@dataclass(frozen=True, slots=True, eq=False)
class AudiencePart:
    """n customers of an audience, with the ids that their decisions are given and columns of facts."""

    decision_ids: Sequence[str]
    customers: Sequence[str]
    contexts: Mapping[str, Sequence[object]]


@dataclass(frozen=True, slots=True, eq=False)
class DecidedPart(Tabular):
    """The decisions of one part: the options of each dimension (n,), numbers of offers (n,), propensities (n,).

    `is_new` (n,) says which were made now; the others were in the log already.
    """

    decision_ids: tuple[str, ...]
    customers: tuple[str, ...]
    offers: Mapping[str, ObjectArray]
    offer: IntArray
    propensity: FloatArray
    is_new: BoolArray

    def __len__(self) -> int:
        return len(self.decision_ids)

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row for each decision: its id, the customer, an option of each dimension, the propensity."""
        columns = {
            "decision_id": self.decision_ids,
            "customer": self.customers,
            **{dimension: options.tolist() for dimension, options in self.offers.items()},
            "propensity": self.propensity.tolist(),
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def decide_audience(
    engine: Engine, parts: Iterable[AudiencePart], progress: Progress | None = None, total: int = 0
) -> Iterator[DecidedPart]:
    """Decide for an audience part by part, and yield the decisions of each as soon as they are in the log.

    A part is what is in memory at a time: 10,000 customers are a good size. The parts of a run that was killed are
    given again, with the same ids: what is in the log already is read from there, and the rest is decided, so that each
    customer has one decision however often the run is resumed. Nothing is learned; call `engine.learn()` at the end.
    `progress` is called with decisions done and `total`, 0 where that is not known.

    InputError for parts whose lengths differ; DuplicateError for an id that the log has for another customer, context
    or catalogue, or that is there twice; StoreError where a part can be written nowhere.
    """
    done = 0
    for part in parts:
        if len(part.decision_ids) != len(part.customers):
            raise InputError(
                f"there are {len(part.decision_ids)} decision ids for {len(part.customers)} customers; send one each"
            )
        try:
            found = _decided(engine, part)
        except DuplicateError:
            found = _resumed(engine, part)
        done += len(found)
        if progress is not None:
            progress(done, total)
        yield found


def _decided(engine: Engine, part: AudiencePart) -> DecidedPart:
    batch = engine.decide_batch(part.customers, part.contexts, decision_ids=part.decision_ids)
    if not batch.logged:
        raise StoreError(f"{batch.fault}; run it again with the same ids: what was decided before is kept")
    return DecidedPart(
        batch.decision_ids,
        batch.customers,
        batch.offers,
        batch.offer_index,
        batch.propensity,
        np.ones(len(batch.decision_ids), dtype=np.bool_),
    )


def _resumed(engine: Engine, part: AudiencePart) -> DecidedPart:
    """Return the decisions of a part of which some are in the log: these as they are there, the others made now."""
    ids = tuple(part.decision_ids)
    stored = {} if len(set(ids)) < len(ids) else _stored(engine, part)
    if not stored:  # an id that is there twice, or one that waits in a spool: as of any batch
        return _decided(engine, part)
    offer, propensity = np.zeros(len(ids), dtype=np.int64), np.zeros(len(ids))
    for place, (number, chance) in stored.items():
        offer[place], propensity[place] = number, chance
    is_new = np.ones(len(ids), dtype=np.bool_)
    is_new[list(stored)] = False
    missing = np.flatnonzero(is_new)
    if len(missing):
        rest = _decided(engine, _taken(part, missing))
        offer[missing], propensity[missing] = rest.offer, rest.propensity
    return DecidedPart(ids, tuple(part.customers), engine.catalogue.offers(offer), offer, propensity, is_new)


def _stored(engine: Engine, part: AudiencePart) -> dict[int, tuple[int, float]]:
    """Return offer and propensity of what the log has, by place in the part; a repeat has those of its original.

    DuplicateError where it answered another request.
    """
    decisions, objective = engine.store.decisions, engine.catalogue.objective
    known, repeated = decisions.seqs_of(part.decision_ids), engine.store.repeats.originals(part.decision_ids)
    found = repeated | known
    seqs = {place: found[decision_id] for place, decision_id in enumerate(part.decision_ids) if decision_id in found}
    if not seqs:
        return {}
    contexts = _contexts_of_repeats(engine, {decision_id for decision_id in repeated if decision_id not in known})
    numbers, row_of = np.unique(np.array(list(seqs.values()), dtype=np.int64), return_inverse=True)
    rows = decisions.by_seq(numbers, objective.event, objective.window)
    mine = _taken(part, np.array(list(seqs), dtype=np.int64))
    asked = engine.catalogue.contexts(mine.contexts, engine.store.customers.all_stored(mine.customers))
    texts = contexts_json(engine.catalogue.facts, asked)
    for number, (place, row) in enumerate(zip(seqs, row_of.tolist(), strict=True)):
        context = contexts.get(part.decision_ids[place], rows.context[row])
        request = asked.customers[number], texts[number], engine.catalogue_id
        if request != (rows.customer[row], context, rows.catalogue_id[row]):
            raise DuplicateError(
                f'the decision id "{part.decision_ids[place]}" is already in the log for another customer, context or '
                "catalogue; give the ids of the same run again, or new ones"
            )
    return {
        place: (int(rows.offer[row]), float(rows.propensity[row]))
        for place, row in zip(seqs, row_of.tolist(), strict=True)
    }


def _contexts_of_repeats(engine: Engine, decision_ids: Iterable[str]) -> dict[str, str]:
    """Return the stored context of each repeat, of which a run has few."""
    repeats = (engine.store.repeats.get(decision_id) for decision_id in decision_ids)
    return {repeat.decision_id: repeat.context for repeat in repeats if repeat is not None}


def _taken(part: AudiencePart, rows: IntArray) -> AudiencePart:
    places = rows.tolist()
    return AudiencePart(
        [part.decision_ids[place] for place in places],
        [part.customers[place] for place in places],
        {name: [column[place] for place in places] for name, column in part.contexts.items()},
    )

"""Decisions for a whole audience under the name of a campaign: decided once, and the same when asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.context_json import contexts_json
from bandit.engine.arguments import checked_keys, checked_text
from bandit.errors import DuplicateError, InputError, StoreError
from bandit.printable import counted
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from bandit.clock import Time
    from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray, Progress
    from bandit.engine.engine import Engine
    from bandit.store import Store
    from bandit.tabular import Cell

CAMPAIGN_CHUNK = 5_000
"""Customers that are looked up and decided for at a time."""

LONGEST_CAMPAIGN = 100
"""Most characters of a campaign's name."""

_ID_BYTES = 12
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, eq=False)
class CampaignOffers(Tabular):
    """The offers of n customers in a campaign, column by column, (n,) each, in the order they were given.

    `new` says which were decided now; the others had been before, of which `n_changed` with other facts: they keep
    their offer. `fault` says why the fallback was served to some of the new ones, None where it was not.
    """

    campaign: str
    customers: tuple[str, ...]
    decision_ids: tuple[str, ...]
    offers: Mapping[str, ObjectArray]
    propensity: FloatArray
    group: ObjectArray
    new: BoolArray
    n_changed: int = 0
    fault: str | None = None

    def __len__(self) -> int:
        return len(self.customers)

    @property
    def n_new(self) -> int:
        """The number of decisions made now."""
        return int(self.new.sum())

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a customer: the decision's id, the options, the propensity and the group."""
        columns = {
            "customer": self.customers,
            "decision_id": self.decision_ids,
            **{name: column.tolist() for name, column in self.offers.items()},
            "propensity": self.propensity.tolist(),
            "group": self.group.tolist(),
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def to_dict(self) -> dict[str, object]:
        """Return the numbers of decisions as plain JSON values, without the customers."""
        return {
            "campaign": self.campaign,
            "n": len(self),
            "n_new": self.n_new,
            "n_decided_before": len(self) - self.n_new,
            "n_changed": self.n_changed,
            "fault": self.fault,
        }


def decide_campaign(
    engine: Engine,
    campaign: str,
    customers: Sequence[str],
    contexts: Mapping[str, Sequence[object] | ObjectArray],
    *,
    time: Time = None,
    progress: Progress | None = None,
) -> CampaignOffers:
    """Choose an offer for each customer of an audience, once in a campaign.

    A decision's id is a hash of the campaign and the customer, under the database's key where it has one: asked again,
    whole or in parts, also after a run that was stopped, a customer has the decision of the first time, whatever the
    facts are by now. `contexts` has a column of each fact. InputError where a customer is there twice, and for a
    campaign's name that is empty or too long; else the errors of `Engine.decide_batch`.
    """
    campaign = checked_text("campaign", campaign)
    if len(campaign) > LONGEST_CAMPAIGN:
        raise InputError(f"a campaign's name has at most {LONGEST_CAMPAIGN} characters; seen {len(campaign)}")
    customers = checked_keys("customer", customers)
    repeated = len(customers) - len(set(customers))
    if repeated:
        raise InputError(
            f"the audience has {counted(repeated, 'row')} of customers that it has already; give each customer once"
        )
    parts, done = [], 0
    for start in range(0, len(customers), CAMPAIGN_CHUNK):
        rows = slice(start, min(start + CAMPAIGN_CHUNK, len(customers)))
        ids = campaign_decision_ids(engine.store, campaign, customers[rows])
        columns = {name: column[rows] for name, column in contexts.items()}
        parts.append(_decide_part(engine, campaign, list(customers[rows]), ids, columns, time))
        done += len(ids)
        if progress is not None:
            progress(done, len(customers))
    return _joined(engine, campaign, parts)


def campaign_decision_ids(store: Store, campaign: str, customers: Sequence[str]) -> list[str]:
    """Return the ids that the decisions of a campaign have for customers: the same ones after a rotation of the key."""
    key = (store.customers.ids_key or b"")[:64]
    digests = (blake2b(f"{campaign}\x1f{customer}".encode(), digest_size=_ID_BYTES, key=key) for customer in customers)
    return [f"{campaign}-{digest.hexdigest()}" for digest in digests]


def _decide_part(
    engine: Engine,
    campaign: str,
    customers: list[str],
    ids: list[str],
    columns: Mapping[str, Sequence[object] | ObjectArray],
    time: Time,
) -> CampaignOffers:
    """Decide for those of a part who have no decision yet; another process may be doing the same."""
    for attempt in range(_ATTEMPTS):
        known = engine.store.decisions.seqs_of(ids)
        held = engine.store.repeats.originals(ids)
        missing = np.array([each not in known and each not in held for each in ids], dtype=np.bool_)
        rows = np.flatnonzero(missing)
        if not len(rows):
            return _before(engine, campaign, customers, ids, {**held, **known}, columns)
        wanted = rows.tolist()
        try:
            made = engine.decide_batch(
                [customers[row] for row in wanted],
                {name: _taken(column, rows) for name, column in columns.items()},
                time=time,
                decision_ids=[ids[row] for row in wanted],
            )
        except DuplicateError:
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        if not made.logged:
            raise StoreError(f"{made.fault}; run the campaign again: who has an offer already keeps it")
        group = made.group if not isinstance(made.group, str) else np.full(len(made), made.group, dtype=object)
        now = CampaignOffers(
            campaign,
            made.customers,
            made.decision_ids,
            made.offers,
            made.propensity,
            group,
            np.ones(len(made), dtype=np.bool_),
            fault=made.fault,
        )
        if len(rows) == len(ids):
            return now
        others = np.flatnonzero(~missing)
        before = _before(
            engine,
            campaign,
            [customers[row] for row in others.tolist()],
            [ids[row] for row in others.tolist()],
            {**held, **known},
            {name: _taken(column, others) for name, column in columns.items()},
        )
        return _in_order(_joined(engine, campaign, [now, before]), np.concatenate([rows, others]))
    raise DuplicateError(f'the campaign "{campaign}" is being decided by another process; run it again')


def _before(
    engine: Engine,
    campaign: str,
    customers: list[str],
    ids: list[str],
    seqs: Mapping[str, int],
    columns: Mapping[str, Sequence[object] | ObjectArray],
) -> CampaignOffers:
    """Return the decisions that the database has for these ids."""
    objective = engine.catalogue.objective
    seq = np.array([seqs[each] for each in ids], dtype=np.int64)
    distinct, place = np.unique(seq, return_inverse=True)
    found = engine.store.decisions.by_seq(distinct, objective.event, objective.window).take(place.reshape(-1))
    keys = engine.store.customers.all_stored(customers)
    if not np.array_equal(found.customer, keys):
        raise DuplicateError(
            f'the campaign "{campaign}" has decisions under these ids for other customers; give it another name'
        )
    facts = contexts_json(engine.catalogue.facts, engine.catalogue.contexts(columns or [{}] * len(ids), keys))
    names = engine.catalogue.dimension_names
    offers = {name: np.full(len(ids), "", dtype=object) for name in names}
    for number in np.unique(found.catalogue_id).tolist():
        rows = found.catalogue_id == number
        options = engine.store.catalogues.get(int(number)).offers(found.offer[rows])
        for name in names:
            if name in options:
                offers[name][rows] = options[name]
    changed = sum(one != other for one, other in zip(facts, found.context.tolist(), strict=True))
    return CampaignOffers(
        campaign,
        tuple(customers),
        tuple(ids),
        offers,
        found.propensity,
        found.group,
        np.zeros(len(ids), dtype=np.bool_),
        n_changed=changed,
    )


def _joined(engine: Engine, campaign: str, parts: Sequence[CampaignOffers]) -> CampaignOffers:
    """Return the rows of parts as one."""
    empty: ObjectArray = np.empty(0, dtype=object)
    return CampaignOffers(
        campaign,
        tuple(each for part in parts for each in part.customers),
        tuple(each for part in parts for each in part.decision_ids),
        {
            name: np.concatenate([empty, *(part.offers[name] for part in parts)])
            for name in engine.catalogue.dimension_names
        },
        np.concatenate([np.empty(0), *(part.propensity for part in parts)]),
        np.concatenate([empty, *(part.group for part in parts)]),
        np.concatenate([np.zeros(0, dtype=np.bool_), *(part.new for part in parts)]),
        sum(part.n_changed for part in parts),
        next((part.fault for part in parts if part.fault is not None), None),
    )


def _in_order(given: CampaignOffers, places: IntArray) -> CampaignOffers:
    """Return rows in the order of the places that they had."""
    order = np.argsort(places)
    which = order.tolist()
    return replace(
        given,
        customers=tuple(given.customers[row] for row in which),
        decision_ids=tuple(given.decision_ids[row] for row in which),
        offers={name: column[order] for name, column in given.offers.items()},
        propensity=given.propensity[order],
        group=given.group[order],
        new=given.new[order],
    )


def _taken(column: Sequence[object] | ObjectArray, rows: IntArray) -> Sequence[object] | ObjectArray:
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows.tolist()]

"""A policy that has learned a store's log elsewhere and joins the store: its state, and what that state has learned."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import Policy
from bandit.errors import InputError
from bandit.store import DueColumns, OfferMap, Store, StoreLog, state_hash

CANDIDATE_PAGE = 16_384
"""Decisions whose outcomes are read at once."""


def add_candidate(
    store: Store, catalogue: Catalogue, policy: Policy, log: StoreLog, source: Store | None = None
) -> int:
    """Add a policy with its state as its first step, and return its number.

    The decisions of `log`, which the policy has learned, are recorded as learned with the outcomes that `source` has of
    them: a later `learn` learns only what is new, and changes of these outcomes. Where others write meanwhile, `source`
    is the store of the log, in whose `one_state` the policy learned; by default it is `store`. All is written in one
    transaction. InputError for a policy whose settings, the name among them, the store knows already.
    """
    state = policy.dumps()
    with store.transaction():
        catalogue_id = store.catalogues.register(catalogue)
        policy_id = store.catalogues.register_policy(catalogue_id, policy.spec())
        if store.ledger.latest_step(policy_id) is not None:
            raise InputError(
                f'{store.path}: policy {policy_id} has these settings and the name "{policy.name}" already; give the '
                "new one another name"
            )
        store.ledger.record_first_step(policy_id, _learned(source or store, catalogue, log), state_hash(state), state)
    return policy_id


def _learned(store: Store, catalogue: Catalogue, log: StoreLog) -> Iterator[DueColumns]:
    """Yield the decisions of a log as outcomes that are learned for the first time, in full."""
    objective, offers, after = catalogue.objective, OfferMap(store, catalogue), 0
    while True:
        page = store.decisions.page(
            objective.event,
            objective.window,
            after_seq=after,
            through_seq=log.through,
            limit=CANDIDATE_PAGE,
            where=log.where,
        )
        if not len(page):
            return
        after = int(page.seq[-1])
        kept = page.take(np.flatnonzero(offers.offers(page.catalogue_id, page.offer) >= 0))
        zero, no = np.zeros(len(kept)), np.zeros(len(kept), dtype=np.bool_)
        stage = store.decisions.stages(kept.seq, objective)
        yield DueColumns(
            kept, np.ones(len(kept)), no, zero, no, zero, zero, None, stage, np.zeros(len(kept), dtype=np.int64)
        )

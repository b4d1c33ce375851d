"""Serving decisions: choose an offer for each context and log the choices before they are returned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.context_json import contexts_json
from bandit.catalogue.eligibility import MASK_CACHE_BYTES
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS
from bandit.decide import Choice, choose, generator_for
from bandit.domain import Contexts, DecisionBatch, IntArray, ObjectArray, SparsePolicy
from bandit.engine.counters import EngineCounters
from bandit.engine.live_rollout import BatchPart, LiveRollout
from bandit.engine.results import join_choices, reordered
from bandit.errors import PolicyError, StoreError
from bandit.store import ArmRows, DecisionRows, SpooledWriter, Store, is_closed
from bandit.store.sqlite_errors import is_committed_elsewhere

MAX_DECISIONS_AT_ONCE = 512
"""Most decisions that share one generator and one transaction; fewer if there are many offers."""

UNSEARCHED = "whether another process has answered this id could not be looked up"
"""What the fault of a decision adds where its id is the caller's and the database could not be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """n requests for decisions: checked contexts, ids, customers as the caller names them, times and groups.

    `named` says that the ids are the caller's, so that another process may be asked for the same.
    """

    contexts: Contexts
    ids: Sequence[str]
    customers: Sequence[str]
    times: IntArray
    group: str | Sequence[str]
    named: bool = False

    def part(self, rows: slice) -> Requests:
        """Return consecutive requests."""
        group = self.group if isinstance(self.group, str) else self.group[rows]
        return Requests(
            self.contexts.take(rows), self.ids[rows], self.customers[rows], self.times[rows], group, self.named
        )

    def take(self, rows: IntArray) -> Requests:
        """Return some of the requests."""
        places = rows.tolist()
        return Requests(
            self.contexts.take(rows),
            tuple(self.ids[place] for place in places),
            [self.customers[place] for place in places],
            self.times[rows],
            self.group if isinstance(self.group, str) else [self.group[place] for place in places],
            self.named,
        )


@dataclass(frozen=True, slots=True)
class DecisionService:
    """Makes and logs the decisions of the live policies in one store, with one seed.

    Each decision is made by the policy of its group and, under a roll-out, by its customer's arm.
    """

    store: Store
    catalogue: Catalogue
    catalogue_id: int
    rollout: LiveRollout
    writer: SpooledWriter
    counters: EngineCounters
    seed: str
    keep_probabilities: bool

    def __post_init__(self) -> None:
        """Raise PolicyError if the policy computes a probability for each of more offers than it can."""
        policy, n_offers = self.rollout.current.champion.policy, self.catalogue.n_offers
        if n_offers > MAX_DENSE_OFFERS and not (isinstance(policy, SparsePolicy) and policy.sparse):
            raise PolicyError(
                f'the policy "{policy.name}" weighs every offer, and the catalogue has {n_offers:,} (at most '
                f"{MAX_DENSE_OFFERS:,}); use Thompson sampling, which searches, or leave out options"
            )

    def decide(
        self,
        contexts: Contexts,
        ids: Sequence[str],
        customers: Sequence[str],
        times: IntArray,
        group: str | Sequence[str],
        *,
        named: bool = False,
    ) -> Choice:
        """Draw an offer for one context, and log the decision before it is returned.

        With `named` the id is the caller's: DuplicateError if another process has answered it meanwhile.
        """
        self.rollout.check()
        (part,) = self.rollout.parts(contexts.customers, group)
        return self._decide(Requests(contexts, ids, customers, times, group, named), part, slice(0, contexts.n))

    def _decide(self, requests: Requests, part: BatchPart, rows: slice) -> Choice:
        """Draw an offer for each of some rows of a part and log the decisions in one transaction.

        `requests` are those rows. If the database does not take them in time, the fallback is chosen for them and kept
        in the spool.
        """
        contexts, ids = requests.contexts, requests.ids
        current = part.learner.current
        server = self.rollout.server
        outage, committed = self.writer.outage(), False
        if outage is None:
            try:
                plan = self.rollout.plan(part, current, contexts.customers, rows)
                choice, arms = server.serve(
                    current.policy, contexts, ids, self.seed, requests.group, plan, current.fault
                )
                self.writer.decisions(self._rows(requests, part, choice, current.step, arms), named=requests.named)
            except StoreError as fault:
                if is_closed(fault):
                    raise
                outage, committed = fault, is_committed_elsewhere(fault)
            else:
                self.counters.count_decisions(len(ids), choice.fault)
                return choice
        with self.writer.turn_to_spool(ids if requests.named else (), committed=committed) as searched:
            reason = f"StoreError: {outage}" if searched else f"StoreError: {outage}; {UNSEARCHED}"
            choice = choose(current.policy, self.catalogue, contexts, generator_for(self.seed, ids), reason)
            failure = self.writer.spool_decisions(
                self._rows(requests, part, choice, current.step, None), list(contexts.customers)
            )
        self.counters.count_decisions(len(ids), reason, logged=failure is None)
        if failure is None:
            return choice
        return replace(choice, fault=f"{reason}; {failure}; it was not logged", logged=False)

    def decide_batch(
        self,
        contexts: Contexts,
        ids: tuple[str, ...],
        customers: Sequence[str],
        times: IntArray,
        group: str | ObjectArray,
        *,
        named: bool = False,
    ) -> DecisionBatch:
        """Do what `decide` does in parts that bound the memory for masks, and return all choices as columns.

        Challengers have parts of their own: what is logged together is of one policy.
        """
        self.rollout.check()
        labels = group if isinstance(group, str) else group.tolist()
        requests = Requests(contexts, ids, customers, times, labels, named)
        parts = self.rollout.parts(contexts.customers, labels)
        choices = [choice for part in parts for choice in self._decide_part(requests, part)]
        choice = join_choices(choices, self.catalogue.n_offers, with_probabilities=self.keep_probabilities)
        if len(parts) > 1:
            order = np.argsort(np.concatenate([part.rows for part in parts if part.rows is not None]))
            choice = reordered(choice, order)
        return DecisionBatch(
            decision_ids=ids,
            customers=tuple(customers),
            offers=self.catalogue.offers(choice.offer),
            offer_index=choice.offer,
            propensity=choice.propensity,
            eligible=choice.eligible,
            probabilities=choice.probabilities if self.keep_probabilities else None,
            time=times,
            group=group,
            fault=choice.fault,
            logged=choice.logged,
            arm=choice.arm,
        )

    def _decide_part(self, requests: Requests, part: BatchPart) -> Iterator[Choice]:
        mine = requests if part.rows is None else requests.take(part.rows)
        n = mine.contexts.n
        # The eligible offers of a piece, a byte each, are kept until the piece is logged.
        size = max(1, min(MAX_DECISIONS_AT_ONCE, MASK_CACHE_BYTES // self.catalogue.n_offers))
        for start in range(0, n, size):
            rows = slice(start, min(start + size, n))
            yield self._decide(mine if n <= size else mine.part(rows), part, rows)

    def _rows(
        self, requests: Requests, part: BatchPart, choice: Choice, step: int, arms: ArmRows | None
    ) -> DecisionRows:
        contexts = requests.contexts
        texts = contexts_json(self.catalogue.facts, contexts)
        if contexts.n == 1:
            self.store.recent_contexts.put(self.catalogue_id, texts[0], self.catalogue.kept(contexts))
        return DecisionRows(
            decision_ids=requests.ids,
            time=requests.times,
            customers=requests.customers,
            catalogue_id=self.catalogue_id,
            policy_id=part.learner.policy_id,
            policy_step=step,
            contexts_json=texts,
            eligible=choice.eligible if choice.sets is None or len(choice.sets.masks) > 1 else choice.sets.masks,
            offer=choice.offer,
            propensity=choice.propensity,
            group=requests.group,
            seed=self.seed,
            batch=requests.ids[0],
            probabilities=choice.probabilities if self.keep_probabilities else None,
            fault=choice.fault,
            removals=lambda row: _removals_json(self.catalogue, contexts, row),
            customer_keys=contexts.customers,
            arms=arms,
        )


def _removals_json(catalogue: Catalogue, contexts: Contexts, row: int) -> str:
    removals = catalogue.removals(contexts.take(slice(row, row + 1)))
    return msgspec.json.encode([{"rule": removal.rule, "reason": removal.reason} for removal in removals]).decode()

"""Sticky offers: for a while after a decision, further requests of the same customer are answered with it.

A request that is answered with an earlier decision, its original, is a repeat: nothing is drawn for it, and its row is
one of the table `repeats`, not of `decisions`. So learning and evaluation see one decision with its true propensity
and everything that came of it. This is what a catalogue's [sticky] asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.context_json import contexts_json
from bandit.catalogue.rollout import StickyOffers
from bandit.domain import BoolArray, Contexts, Decision, DecisionBatch, IntArray, ObjectArray
from bandit.engine.counters import EngineCounters
from bandit.engine.explainer import DecisionExplainer
from bandit.engine.results import decision_of, stored_choice
from bandit.errors import StoreError
from bandit.store import ContextDecoder, HeldDecisions, HoldRequest, RepeatRows, SpooledWriter, Store, is_outage
from bandit.store.sqlite_errors import is_broken_reference

LOOKUP_ROWS = 4_096
"""Most requests that are looked up, and repeats that are written, at once."""

DecideRows = Callable[
    [Contexts, tuple[str, ...], Sequence[str], IntArray, str | ObjectArray],
    DecisionBatch,
]
"""Decides the requests for which no offer is held, given as in `DecisionService.decide_batch`."""


@dataclass(frozen=True, slots=True)
class StickyHolds:
    """Finds the decisions that customers still hold, and answers their requests with them.

    A customer holds the newest decision of the last `sticky.duration`, up to the request's time, that did not end in a
    fault. Nothing is held once one of the events `sticky.until` was recorded on it with a time up to the request's;
    where its offer is not eligible for the new context; where it was made under another catalogue version or in
    another group, or was imported; and while the database does not answer. `held_after` returns the number of a
    decision: those up to it are not held; None stands for all.
    """

    store: Store
    catalogue: Catalogue
    catalogue_id: int
    writer: SpooledWriter
    counters: EngineCounters
    sticky: StickyOffers
    held_after: Callable[[], int | None]
    decoder: ContextDecoder
    keep_probabilities: bool
    explainer: DecisionExplainer | None = None

    def held(self, contexts: Contexts, times: IntArray, groups: str | Sequence[str]) -> HeldDecisions | None:
        """Return the decisions held by the customers of n requests; None where there is none, and in an outage."""
        if self.writer.spooled:
            self.writer.fold_some()  # an event that ends a hold may wait there
        not_before_seq = self.held_after()
        if not_before_seq is None or self.writer.outage() is not None:
            return None
        hold = HoldRequest(
            self.catalogue_id,
            self.sticky.duration,
            self.sticky.until,
            not_before_seq,
            probabilities=self.keep_probabilities or contexts.n == 1,
        )
        try:
            found = self.store.repeats.held(contexts.customers, times, groups, hold)
        except StoreError as fault:
            if not is_outage(fault):
                raise
            return None
        if not len(found):
            return None
        legal = self._legal(contexts if len(found) == contexts.n else contexts.take(found.row), found.offer)
        return found if legal.all() else found.take(np.flatnonzero(legal)) if legal.any() else None

    def _legal(self, contexts: Contexts, offer: IntArray) -> BoolArray:
        """Return which of the (m,) offers are eligible for their contexts; the fallback where no offer is."""
        fired = self.catalogue.fired(contexts)
        if not (fired.size and fired.any()):
            return np.ones(len(offer), dtype=np.bool_)
        sets = self.catalogue.eligible_sets(fired)
        legal = sets.masks[sets.which, offer]
        if self.catalogue.fallback is not None:
            legal |= (offer == self.catalogue.fallback) & (sets.n_eligible == 0)
        return np.asarray(legal)

    def decide(self, contexts: Contexts, decision_id: str, customer: str, time: int, group: str) -> Decision | None:
        """Answer one request with the decision that its customer holds, and log that; None where none is held."""
        times = np.array([time], dtype=np.int64)
        found = self.held(contexts, times, group)
        if found is None or not self._log(found, (decision_id,), times, contexts):
            return None
        original = self.decoder.read(found.context, contexts.customers)
        choice = stored_choice(
            self.catalogue,
            found.offer,
            found.propensity,
            self.store.eligible_sets.mask(int(found.eligible_set_id[0])),
            found.probabilities[0],
        )
        if found.arm[0] is not None:
            choice = replace(choice, arm=found.arm)
        return decision_of(
            self.catalogue,
            decision_id,
            customer,
            original,
            choice,
            time,
            group,
            held_from=str(found.decision_id[0]),
            explainer=self.explainer,
        )

    def decide_batch(
        self,
        decide: DecideRows,
        contexts: Contexts,
        ids: tuple[str, ...],
        customers: Sequence[str],
        times: IntArray,
        groups: str | ObjectArray,
    ) -> DecisionBatch:
        """Answer the requests of customers who hold a decision with it, and the others by `decide`.

        All requests are looked up before any is decided, so two of one customer hold nothing of each other.
        """
        found = self._held_of_all(contexts, times, groups)
        if found is not None:
            found = self._log_in_parts(found, ids, times, contexts)
        if found is None:
            return decide(contexts, ids, customers, times, groups)
        rest = np.delete(np.arange(contexts.n), found.row)
        decided = None
        if len(rest):
            places = rest.tolist()
            decided = decide(
                contexts.take(rest),
                tuple([ids[row] for row in places]),
                [customers[row] for row in places],
                times[rest],
                groups if isinstance(groups, str) else groups[rest],
            )
        return self._merged(found, rest, decided, ids, customers, times, groups)

    def _held_of_all(self, contexts: Contexts, times: IntArray, groups: str | ObjectArray) -> HeldDecisions | None:
        """Do what `held` does, in parts of at most `LOOKUP_ROWS`."""
        parts = []
        for start in range(0, contexts.n, LOOKUP_ROWS):
            rows = slice(start, start + LOOKUP_ROWS)
            part = contexts if contexts.n <= LOOKUP_ROWS else contexts.take(rows)
            group = groups if isinstance(groups, str) else groups[rows].tolist()
            found = self.held(part, times[rows], group)
            if found is not None:
                parts.append(found.shifted(start))
        return HeldDecisions.concat(parts) if parts else None

    def _log_in_parts(
        self, found: HeldDecisions, ids: Sequence[str], times: IntArray, contexts: Contexts
    ) -> HeldDecisions | None:
        """Write the repeats, at most `LOOKUP_ROWS` in a transaction; return those written before an outage."""
        for start in range(0, len(found), LOOKUP_ROWS):
            part = found.take(slice(start, start + LOOKUP_ROWS))
            if not self._log(part, [ids[row] for row in part.row.tolist()], times[part.row], contexts.take(part.row)):
                return found.take(slice(0, start)) if start else None
        return found

    def _merged(
        self,
        found: HeldDecisions,
        rest: IntArray,
        decided: DecisionBatch | None,
        ids: tuple[str, ...],
        customers: Sequence[str],
        times: IntArray,
        groups: str | ObjectArray,
    ) -> DecisionBatch:
        """Return the held decisions and those of the other requests, `rest`, as one batch."""
        n, n_offers = len(ids), self.catalogue.n_offers
        offer, propensity = np.empty(n, dtype=np.int64), np.empty(n)
        offer[found.row], propensity[found.row] = found.offer, found.propensity
        held_from = np.full(n, None, dtype=object)
        held_from[found.row] = found.decision_id
        probabilities = np.full((n, n_offers), np.nan) if self.keep_probabilities else None
        if probabilities is not None:
            for row, vector in zip(found.row.tolist(), found.probabilities, strict=True):
                if vector is not None:
                    probabilities[row] = np.frombuffer(vector, dtype="<f8")
        if decided is not None:
            offer[rest], propensity[rest] = decided.offer_index, decided.propensity
            if probabilities is not None and decided.probabilities is not None:
                probabilities[rest] = decided.probabilities
        return DecisionBatch(
            decision_ids=ids,
            customers=tuple(customers),
            offers=self.catalogue.offers(offer),
            offer_index=offer,
            propensity=propensity,
            eligible=self._masks(found, rest, None if decided is None else decided.eligible, n),
            probabilities=probabilities,
            time=times,
            group=groups,
            fault=None if decided is None else decided.fault,
            logged=decided is None or decided.logged,
            arm=self._arms(found, rest, decided, n),
            held_from=held_from,
        )

    def _arms(self, found: HeldDecisions, rest: IntArray, decided: DecisionBatch | None, n: int) -> ObjectArray | None:
        """Return what served the (n,) rows; None where no roll-out concerned any of them."""
        arms = np.full(n, None, dtype=object)
        arms[found.row] = found.arm
        if decided is not None and decided.arm is not None:
            arms[rest] = decided.arm
        return arms if any(arm is not None for arm in arms) else None

    def _masks(self, found: HeldDecisions, rest: IntArray, decided: BoolArray | None, n: int) -> BoolArray:
        """Return the (n, N) masks of held and decided rows; a read-only view if all rows share one set."""
        first = self.store.eligible_sets.mask(int(found.eligible_set_id[0]))
        if (found.eligible_set_id == found.eligible_set_id[0]).all():
            one = decided is None or decided.strides[0] == 0 or len(decided) == 1
            if one and (decided is None or np.array_equal(decided[0], first)):
                return np.broadcast_to(first, (n, len(first)))
        masks = np.empty((n, len(first)), dtype=np.bool_)
        masks[found.row] = self.store.eligible_sets.masks(found.eligible_set_id, len(first))
        if decided is not None:
            masks[rest] = decided
        return masks

    def _log(self, found: HeldDecisions, ids: Sequence[str], times: IntArray, contexts: Contexts) -> bool:
        """Write m repeats and count them; False, and nothing written, in an outage or if an original was erased."""
        texts = contexts_json(self.catalogue.facts, contexts)
        try:
            self.writer.repeats(RepeatRows(ids, found.seq, times, texts, found.through))
        except StoreError as fault:
            if not (is_outage(fault) or is_broken_reference(fault)):
                raise
            return False
        self.counters.count_decisions(len(ids), None)
        return True

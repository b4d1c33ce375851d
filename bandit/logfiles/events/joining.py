"""Which decision each outcome of a file with a row an event belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bandit.domain import BoolArray, IntArray
from bandit.logfiles.columns.values import INVALID_TIME
from bandit.logfiles.events import counts
from bandit.logfiles.events.rows import NO_KEY, DecisionEvents, OutcomeRows

JOINED, WITHOUT_DECISION, WITHOUT_PURCHASE, WITHOUT_KEY, WITHOUT_TIME, TOO_EARLY = range(6)
_REASONS = {
    WITHOUT_PURCHASE: counts.NO_PURCHASE_BEFORE,
    WITHOUT_KEY: counts.KEY_BLANK,
    WITHOUT_TIME: counts.TIME_UNREADABLE,
    TOO_EARLY: counts.BEFORE_DECISION,
}


@dataclass(frozen=True, slots=True)
class JoinRule:
    """How outcomes find their decision; times and `window` are in microseconds.

    With `by_id` they have its id, else they are of the same customer and the decision is the latest one at or before
    them within the window (last touch). `times_known` is whether the file has times. `returns` says of each entry of
    [[outcomes]] whether it is a return, `purchases` whether it is what may be returned.
    """

    by_id: bool
    window: int
    times_known: bool
    returns: tuple[bool, ...]
    purchases: tuple[bool, ...]

    def reason(self, code: int) -> str:
        """Return why an outcome with a code other than JOINED belongs to no decision."""
        none = counts.NO_DECISION if self.by_id else counts.NO_DECISION_BEFORE
        return _REASONS.get(code, none)


@dataclass(frozen=True, slots=True, eq=False)
class JoinedRows:
    """D decisions and the outcomes that belong to them, in the order of the file.

    `outcomes` has the E outcomes of the file whose event id is new; `decision` (E,) is the number of the decision of
    each, -1 for none, and `code` (E,) why. `contradicted` (D,) marks decisions of which rows name several offers.
    """

    decisions: DecisionEvents
    outcomes: OutcomeRows
    decision: IntArray
    code: IntArray
    contradicted: BoolArray
    n_repeated: int
    n_further: int


def join(decisions: DecisionEvents, outcomes: OutcomeRows, rule: JoinRule) -> JoinedRows:
    """Return the decisions of a file and the decision of each of its outcomes.

    A return, which is an outcome of negative revenue or of an entry that says so, goes to the decision of its order
    where it has an order's number, and else, by customer, to that of the latest purchase at or before it.
    """
    keep_decisions, keep_outcomes, n_repeated = _first_of_each(decisions, outcomes)
    decisions = _take(decisions, keep_decisions)
    outcomes = outcomes.take(keep_outcomes)
    if rule.by_id:
        decisions, decision, contradicted, n_further = _by_id(decisions, outcomes)
    else:
        decisions, decision = _by_customer(decisions, outcomes, rule)
        contradicted, n_further = np.zeros(len(decisions.place), dtype=np.bool_), 0
    code = np.where(decision >= 0, JOINED, WITHOUT_DECISION)
    decision, code = _returns_by_purchase(outcomes, decision, code, rule)
    time_lost = rule.times_known & (outcomes.time == INVALID_TIME)
    for fault, rows in ((WITHOUT_KEY, outcomes.key == NO_KEY), (WITHOUT_TIME, time_lost)):
        code[(code != JOINED) & rows] = fault
    if rule.times_known:
        decided = decisions.time[np.maximum(decision, 0)] if len(decisions.time) else outcomes.time
        early = (code == JOINED) & ~time_lost & (decided != INVALID_TIME) & (outcomes.time < decided)
        decision, code = np.where(early, -1, decision), np.where(early, TOO_EARLY, code)
    return JoinedRows(decisions, outcomes, decision, code, contradicted, n_repeated, n_further)


def _take(decisions: DecisionEvents, rows: IntArray) -> DecisionEvents:
    return DecisionEvents(*(getattr(decisions, name)[rows] for name in decisions.__slots__))


def _first_of_each(decisions: DecisionEvents, outcomes: OutcomeRows) -> tuple[IntArray, IntArray, int]:
    """Return the rows of both tables whose event id no earlier row of the file has, and how many others there are."""
    place = np.concatenate((decisions.place, outcomes.place))
    ids = np.concatenate((decisions.event_id, outcomes.event_id))
    order = np.lexsort((place, ids))
    first_place = np.empty_like(place)
    starts = np.flatnonzero(np.diff(ids[order], prepend=ids[order][:1] - 1)) if len(ids) else np.zeros(0, np.int64)
    lengths = np.diff(np.append(starts, len(ids)))
    first_place[order] = np.repeat(place[order][starts], lengths)
    repeated = (ids != NO_KEY) & (place != first_place)
    n = len(decisions.place)
    rows = np.unique(place[repeated])
    return np.flatnonzero(~repeated[:n]), np.flatnonzero(~repeated[n:]), len(rows)


def _by_id(decisions: DecisionEvents, outcomes: OutcomeRows) -> tuple[DecisionEvents, IntArray, BoolArray, int]:
    """Return the decisions, one for each id; the decision of each outcome; contradictions; and how many rows repeat."""
    order = np.lexsort((decisions.place, decisions.time, decisions.rank, decisions.key))
    key = decisions.key[order]
    is_first = np.ones(len(order), dtype=np.bool_)
    is_first[1:] = (key[1:] != key[:-1]) | (key[1:] == NO_KEY)
    group = np.cumsum(is_first) - 1
    firsts = order[is_first]
    same_rank = decisions.rank[order] == decisions.rank[firsts][group]
    other_offer = same_rank & (decisions.offer[order] != decisions.offer[firsts][group])
    contradicted = np.bincount(group, weights=other_offer, minlength=len(firsts)) > 0
    n_further = int((same_rank & ~is_first).sum())
    by_place = np.argsort(decisions.place[firsts])
    chosen = _take(decisions, firsts[by_place])
    keys = np.argsort(chosen.key, kind="stable")
    decision = _found(chosen.key[keys], outcomes.key)
    decision = np.where(decision >= 0, keys[decision], -1) if len(keys) else decision
    return chosen, np.where(outcomes.key == NO_KEY, -1, decision), contradicted[by_place], n_further


def _found(sorted_keys: IntArray, wanted: IntArray) -> IntArray:
    """Return the place of each wanted key among sorted ones, -1 where it is not there."""
    if not len(sorted_keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    return np.where(sorted_keys[at] == wanted, at, -1)


def _by_customer(decisions: DecisionEvents, outcomes: OutcomeRows, rule: JoinRule) -> tuple[DecisionEvents, IntArray]:
    """Return the decisions and that of each outcome, by last touch.

    Rows of the first event of [event_rows] decision are decisions; those of a later one only where they are not within
    the window of an earlier one.
    """
    rank = decisions.rank
    chosen = np.flatnonzero(rank == 0)
    for later in range(1, int(rank.max(initial=0)) + 1):
        rows = np.flatnonzero(rank == later)
        touched = _last_touch(_take(decisions, chosen), decisions.key[rows], decisions.time[rows], rule.window)
        chosen = np.concatenate((chosen, rows[touched < 0]))
    chosen.sort()
    kept = _take(decisions, chosen)
    decision = _last_touch(kept, outcomes.key, outcomes.time, rule.window)
    itself = _found(kept.place, outcomes.place)
    return kept, np.where(itself >= 0, itself, decision)


def _last_touch(decisions: DecisionEvents, key: IntArray, time: IntArray, window: int) -> IntArray:
    """Return for each outcome the latest decision of its key at or before it, within the window; -1 for none."""
    known = np.flatnonzero((decisions.time != INVALID_TIME) & (decisions.key != NO_KEY))
    latest = _latest_before(decisions.key[known], decisions.time[known], key, time)
    found = np.where(latest >= 0, known[latest], -1) if len(known) else latest
    since = time - decisions.time[np.maximum(found, 0)] if len(decisions.time) else time
    return np.where((found >= 0) & (key != NO_KEY) & (time != INVALID_TIME) & (since <= window), found, -1)


def _latest_before(key: IntArray, time: IntArray, wanted: IntArray, at: IntArray) -> IntArray:
    """Return for each of n wanted keys the last row of the same key whose time is at most `at`, -1 for none, (n,)."""
    m, n = len(key), len(wanted)
    kind = np.concatenate((np.zeros(m, dtype=np.int64), np.ones(n, dtype=np.int64)))
    keys, times = np.concatenate((key, wanted)), np.concatenate((time, at))
    order = np.lexsort((kind, times, keys))
    is_row = kind[order] == 0
    last = np.maximum.accumulate(np.where(is_row, np.arange(m + n), -1))
    row = np.where(last >= 0, order[np.maximum(last, 0)], -1)
    row = np.where((row >= 0) & (keys[order] == keys[np.maximum(row, 0)]), row, -1)
    found = np.full(m + n, -1, dtype=np.int64)
    found[order] = row
    return found[m:]


def _returns_by_purchase(
    outcomes: OutcomeRows, decision: IntArray, code: IntArray, rule: JoinRule
) -> tuple[IntArray, IntArray]:
    """Return decisions and codes of the outcomes, with returns at the decision of their order or latest purchase."""
    flagged = np.array(rule.returns, dtype=np.bool_)[outcomes.outcome]
    returned = flagged | (outcomes.revenue < 0.0)
    purchase = np.array(rule.purchases, dtype=np.bool_)[outcomes.outcome]
    bought = np.flatnonzero(~returned & (decision >= 0) & purchase)
    ordered = bought[outcomes.order[bought] != NO_KEY]
    ordered = ordered[np.argsort(outcomes.order[ordered], kind="stable")]
    by_order = _found(outcomes.order[ordered], outcomes.order)
    linked = returned & (outcomes.order != NO_KEY) & (by_order >= 0) & ((not rule.by_id) | (decision < 0))
    decision = np.where(linked, decision[ordered[by_order]], decision) if len(ordered) else decision
    if not rule.by_id:
        latest = _latest_before(outcomes.key[bought], outcomes.time[bought], outcomes.key, outcomes.time)
        before = np.where(latest >= 0, decision[bought[latest]], -1) if len(bought) else latest
        usable = (outcomes.key != NO_KEY) & (outcomes.time != INVALID_TIME)
        alone = returned & ~linked
        decision = np.where(alone, np.where(usable, before, -1), decision)
        code = np.where(alone & (decision < 0), WITHOUT_PURCHASE, code)
    return decision, np.where(decision >= 0, JOINED, code)


def with_full_returns(joined: JoinedRows, returns: Sequence[bool]) -> JoinedRows:
    """Return the rows with the amount of each return that names none: what its order, or its decision, has left.

    Of several such returns of one order the first pays all back, and the others nothing. A return of which nothing is
    known to have been paid cannot be read.
    """
    outcomes, decision = joined.outcomes, joined.decision
    blank = np.array(returns, dtype=np.bool_)[outcomes.outcome] & np.isnan(outcomes.revenue) & ~outcomes.unreadable
    blank &= decision >= 0
    if not blank.any():
        return joined
    named = outcomes.order != NO_KEY
    group = np.unique(np.stack((decision, np.where(named, outcomes.order, 0))), axis=1, return_inverse=True)[1].ravel()
    by_decision = np.unique(decision, return_inverse=True)[1].ravel()
    amount = np.where(np.isnan(outcomes.revenue) | (decision < 0), 0.0, outcomes.revenue)
    of_order = np.bincount(group, weights=amount)[group]
    of_decision = np.bincount(by_decision, weights=amount)[by_decision]
    paid = np.maximum(np.where(named, of_order, of_decision), 0.0)
    gross = np.maximum(amount, 0.0)
    gross_of = np.bincount(group, weights=gross)[group], np.bincount(by_decision, weights=gross)[by_decision]
    unknown = blank & (np.where(named, *gross_of) <= 0.0)
    rows = np.flatnonzero(blank & ~unknown)
    rows = rows[np.lexsort((outcomes.place[rows], outcomes.time[rows], group[rows]))]
    first = np.ones(len(rows), dtype=np.bool_)
    first[1:] = group[rows][1:] != group[rows][:-1]
    revenue = outcomes.revenue.copy()
    revenue[rows] = np.where(first, -paid[rows], 0.0)
    unreadable = outcomes.unreadable | unknown
    return replace(joined, outcomes=replace(outcomes, revenue=revenue, unreadable=unreadable))

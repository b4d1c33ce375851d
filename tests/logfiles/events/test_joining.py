"""Outcomes join decisions: the columns against one row after the other."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.logfiles.events.joining import JOINED, JoinRule, join, with_full_returns
from bandit.logfiles.events.rows import DecisionEvents, OutcomeRows

WINDOW = 5
RULE = JoinRule(by_id=False, window=WINDOW, times_known=True, returns=(False, True), purchases=(True, False))

CUSTOMERS = st.integers(1, 3)
TIMES = st.integers(0, 12)
DECISIONS = st.lists(st.tuples(CUSTOMERS, TIMES), max_size=8)
OUTCOMES = st.lists(st.tuples(CUSTOMERS, TIMES, st.integers(0, 1), st.integers(0, 2)), max_size=10)


def ints(values):
    return np.array(list(values), dtype=np.int64)


def tables(decisions, outcomes):
    """Decisions of (customer, time) and, in the rows after them, outcomes of (customer, time, entry, order)."""
    n, m = len(decisions), len(outcomes)
    zeros = np.zeros(n, dtype=np.int64)
    made = DecisionEvents(
        np.arange(n), ints(t for _, t in decisions), zeros, ints(c for c, _ in decisions), zeros.copy(), zeros.copy()
    )
    revenue = np.array([10.0 if not entry else -4.0 for _, _, entry, _ in outcomes])
    came = OutcomeRows(
        n + np.arange(m),
        n + np.arange(m),
        ints(each[1] for each in outcomes),
        ints(each[0] for each in outcomes),
        ints(each[2] for each in outcomes),
        ints(each[3] for each in outcomes),
        np.zeros(m, dtype=np.int64),
        revenue,
        np.full(m, np.nan),
        np.zeros(m, dtype=np.bool_),
    )
    return made, came


def touched(decisions, customer, time):
    """The latest decision of a customer at or before a time, within the window; of equal times the last row."""
    known = [(t, row) for row, (c, t) in enumerate(decisions) if c == customer and time - WINDOW <= t <= time]
    return max(known)[1] if known else -1


def one_by_one(decisions, outcomes):
    """The decision of each outcome, row by row."""
    bought = [
        (t, row, touched(decisions, c, t), order)
        for row, (c, t, entry, order) in enumerate(outcomes)
        if not entry and touched(decisions, c, t) >= 0
    ]
    for customer, time, entry, order in outcomes:
        if not entry:
            yield touched(decisions, customer, time)
            continue
        of_order = [decision for _, _, decision, its in bought if order and its == order]
        before = [(t, row, decision) for t, row, decision, _ in bought if outcomes[row][0] == customer and t <= time]
        if of_order:
            at = of_order[0]
            yield at if decisions[at][1] <= time else -1
        else:
            yield max(before)[2] if before else -1


@settings(max_examples=150, deadline=None)
@given(DECISIONS, OUTCOMES)
def test_last_touch_is_that_of_a_loop_over_the_rows(decisions, outcomes):
    """For any rows the columns find the decision that a loop finds: purchases by last touch within the window, returns
    by their order's first purchase, else by the customer's latest purchase.
    """
    joined = join(*tables(decisions, outcomes), RULE)
    assert joined.decision.tolist() == list(one_by_one(decisions, outcomes))
    assert ((joined.decision >= 0) == (joined.code == JOINED)).all()


def test_a_return_without_an_amount_pays_back_what_is_left_of_its_order():
    """Order 1: 10, then 4 back; order 2: 10, nothing back yet. A return of order 1 pays back 6, one of order 2, 10."""
    decisions, outcomes = tables([(1, 0)], [(1, 1, 0, 1), (1, 1, 0, 2), (1, 2, 1, 1), (1, 3, 1, 1), (1, 3, 1, 2)])
    outcomes.revenue[3:] = np.nan
    joined = with_full_returns(join(decisions, outcomes, RULE), RULE.returns)
    assert joined.outcomes.revenue.tolist() == [10.0, 10.0, -4.0, -6.0, -10.0]


def test_rows_with_an_event_id_of_an_earlier_row_are_left_out():
    """Three purchases, two of them under id 7: two count."""
    decisions, outcomes = tables([(1, 0)], [(1, 1, 0, 0), (1, 1, 0, 0), (1, 1, 0, 0)])
    outcomes.event_id[:] = [7, 7, 8]
    joined = join(decisions, outcomes, RULE)
    assert (len(joined.outcomes.place), joined.n_repeated) == (2, 1)


def test_an_outcome_before_its_decision_never_counts():
    """By id, a purchase at time 3 of a decision of time 4 belongs to nothing."""
    decisions, outcomes = tables([(1, 4)], [(1, 3, 0, 0), (1, 4, 0, 0)])
    joined = join(decisions, outcomes, JoinRule(True, WINDOW, True, RULE.returns, RULE.purchases))
    assert joined.decision.tolist() == [-1, 0]


def test_two_offers_under_one_decision_id_contradict_each_other():
    """The second row of decision 1 names another offer: it is marked, and counted as a further row."""
    decisions, outcomes = tables([(1, 0), (1, 0), (2, 0)], [])
    decisions.offer[:] = [5, 6, 5]
    joined = join(decisions, outcomes, JoinRule(True, WINDOW, True, RULE.returns, RULE.purchases))
    assert joined.contradicted.tolist() == [True, False]
    assert joined.n_further == 1

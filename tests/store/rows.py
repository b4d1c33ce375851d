"""Rows of decisions and events in one line, and files filled with them."""

import numpy as np

from bandit.catalogue import Catalogue
from bandit.store import DecisionRows, EventRows, Store, state_hash
from tests.conftest import SPRING

HOUR = 3_600_000_000
DAY = 24 * HOUR
WEEK = 7 * DAY
NAN = float("nan")


def decisions(catalogue_id, n_offers, ids, **changes):
    """Decisions one second apart from time 0, all offers eligible, offer i mod N."""
    n = len(ids)
    columns = {
        "decision_ids": list(ids),
        "time": np.arange(n) * 1_000_000,
        "customers": [f"customer-{i}" for i in range(n)],
        "catalogue_id": catalogue_id,
        "policy_id": None,
        "policy_step": 0,
        "contexts_json": ['{"gender":"f","recency":1.5,"loyal":true}'] * n,
        "eligible": np.ones((1, n_offers), dtype=np.bool_),
        "offer": np.arange(n) % n_offers,
        "propensity": np.full(n, 1 / n_offers),
    }
    return DecisionRows(**(columns | changes))


def events(ids, event="purchase", time=1, revenue=NAN, reward=NAN, **changes):
    """One event a decision; scalars are spread over all."""
    n = len(ids)
    return EventRows(
        event,
        np.broadcast_to(np.asarray(time, dtype=np.int64), n),
        np.broadcast_to(np.asarray(revenue, dtype=np.float64), n),
        np.broadcast_to(np.asarray(reward, dtype=np.float64), n),
        decision_ids=list(ids),
        **changes,
    )


def outcome(store, decision_id, window=WEEK):
    """(converted, revenue, value, closed) of one decision."""
    columns = store.decisions.one(decision_id, "purchase", window)
    return (
        bool(columns.converted[0]),
        float(columns.revenue[0]),
        float(columns.value[0]),
        bool(columns.closed[0]),
    )


def read(store, **options):
    """A page of decisions with their outcomes within a week."""
    return store.decisions.page("purchase", WEEK, **options)


def fill(path, ids=("a", "b"), **options):
    """Append these decisions to the store of a path."""
    with Store.open(path, durability="process", **options) as store:
        number = store.catalogues.register(Catalogue.from_dict(SPRING))
        store.decision_writer.append(decisions(number, 10, ids))


def due(store, now=0, **options):
    return store.ledger.due(1, "purchase", WEEK, now, **options)


def names(rows):
    return "".join(rows.decisions.decision_id)


def learn(store, now=0, **options):
    """Learn everything that is due; return the names step by step."""
    done = []
    while len(rows := due(store, now, **options)):
        step = store.ledger.latest_step(1) + 1
        state = str(step).encode()
        store.ledger.record_step(1, step, rows, state_hash(state), state)
        done.append(names(rows))
    return done


def weights(store):
    """The weights with which a decision was learned, step by step, by name."""
    found = {}
    for step in store.ledger.steps(1):
        rows = store.ledger.learned_rows(1, step.step, "purchase", WEEK)
        for name, weight in zip(rows.decisions.decision_id, rows.weight.tolist(), strict=True):
            found.setdefault(name, []).append(weight)
    return found

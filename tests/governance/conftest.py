"""What the tests of erasure and retention share: logs with a customer to be erased."""

import tempfile
from pathlib import Path

import numpy as np

import bandit
from bandit.learning.carry_source import policy_at_newest
from bandit.store import Store
from bandit.store.spool.file import Spool
from bandit.store.spool.records import spooled_decisions
from tests.engine.conftest import KEY, Clock, clock, open_engine, path
from tests.store.rows import DAY, decisions, events

__all__ = ["KEY", "RECENCY", "REVENUE", "WHO", "Clock", "clock", "open_engine", "path"]

WHO = "anna.lindqvist@example.org"
REVENUE = 7_654.321987
RECENCY = 1_234.56789

POLICIES = {
    "thompson": bandit.ThompsonSampling,
    "thompson that forgets": lambda catalogue: bandit.ThompsonSampling(catalogue, half_life="20d"),
    "vw": lambda catalogue: bandit.VowpalWabbit(catalogue, warm_up=50),
}


START = Clock().now


_MADE = {}
"""The logs that were made: (state, {suffix: content}) by everything that they follow from."""


def explored_log(path, catalogue, policy, *, without=(), rounds=3, n=240, key=KEY):
    """An engine's log of explored decisions, a fifth of which convert, learned round by round; WHO is customer 7.

    The same log is made once, and then copied. The policy that is given says what learns; it may learn nothing itself.
    """
    known = (catalogue.version, repr(policy.spec()), policy.dumps(), without, rounds, n, key)
    if known not in _MADE:
        with tempfile.TemporaryDirectory() as folder:
            state = _explore(Path(folder) / "log", catalogue, policy, without, rounds, n, key)
            content = {name.removeprefix("log"): data for name, data in files(Path(folder)).items()}
        _MADE[known] = state, content
    state, content = _MADE[known]
    for suffix, data in content.items():
        made = path.with_name(path.name + suffix)
        made.touch(mode=0o600)
        made.write_bytes(data)
    return state


def _explore(path, catalogue, policy, without, rounds, n, key):
    clock = Clock()
    with bandit.Engine.open(
        path, catalogue, policy, seed=7, clock=clock, customer_key=key, durability="process"
    ) as engine:
        for number in range(rounds):
            _explore_round(engine, clock, number, n, without)
        return engine.policy.dumps()


def _explore_round(engine, clock, number, n, without):
    rng, catalogue = np.random.default_rng(number), engine.catalogue
    facts = [{"gender": "fm"[row % 2], "recency": float(row % 50), "loyal": row % 3 == 0} for row in range(n)]
    facts = [fact | {"recency": RECENCY} if row % 40 == 7 else fact for row, fact in enumerate(facts)]
    mask = catalogue.eligible(catalogue.contexts(facts))
    offer = np.array([rng.choice(np.flatnonzero(row)) for row in mask])
    bought, revenue = rng.random(n) < 0.2, rng.lognormal(4.0, 0.5, n)
    who = [WHO if row % 40 == 7 else f"customer-{row % 40}" for row in range(n)]
    bought[7], revenue[7] = True, REVENUE
    rows = [row for row in range(n) if who[row] not in without]
    engine.store.decision_writer.append(
        decisions(
            engine.catalogue_id,
            catalogue.n_offers,
            [f"id-{number}-{who[row].partition('@')[0]}-{row}" for row in rows],
            time=np.full(len(rows), clock.now),
            customers=[who[row] for row in rows],
            contexts_json=[
                f'{{"gender":"{facts[row]["gender"]}","recency":{facts[row]["recency"]},'
                f'"loyal":{str(facts[row]["loyal"]).lower()}}}'
                for row in rows
            ],
            eligible=mask[rows],
            offer=offer[rows],
            propensity=1.0 / mask[rows].sum(axis=1),
        )
    )
    ids = [f"id-{number}-{who[row].partition('@')[0]}-{row}" for row in rows if bought[row]]
    amounts = [revenue[row] for row in rows if bought[row]]
    engine.store.events.append(events(ids, time=clock.now + DAY, revenue=amounts))
    clock.now += 8 * DAY
    engine.learn()


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def traces(stored):
    """Everything that could give the customer away, as bytes in the file."""
    numbers = [np.array(number, dtype=order).tobytes() for number in (REVENUE, RECENCY) for order in ("<f8", ">f8")]
    return [WHO.encode(), WHO.partition("@")[0].encode(), stored.encode(), str(RECENCY).encode(), *numbers]


def newest_state(store, policy_id=1):
    """The state after the newest step, which is folded from the newest snapshot."""
    (row,) = [row for row in store.catalogues.policies() if row.id == policy_id]
    return policy_at_newest(store, row).policy.dumps()


def served_log(path, catalogue, policy, rounds=2):
    """An engine that decided for 30 customers in batches and one by one, and learned."""
    clock = Clock()
    with bandit.Engine.open(
        path, catalogue, policy, seed=7, clock=clock, customer_key=KEY, durability="process"
    ) as engine:
        serve_rounds(engine, clock, rounds)


def serve_rounds(engine, clock, rounds):
    for _ in range(rounds):
        who = [WHO, *(f"customer-{row}" for row in range(29))]
        facts = [{"gender": "fm"[row % 2], "recency": float(row), "loyal": row % 3 == 0} for row in range(30)]
        for turn in range(3):  # the customer is first, last and in the middle of a batch
            order = np.roll(np.arange(30), (0, -1, 15)[turn])
            batch = engine.decide_batch([who[row] for row in order], [facts[row] for row in order])
            engine.record_batch(batch.decision_ids[::4], "purchase", revenue=np.full(8, 30.0 + turn))
        for row in (0, 5):
            engine.decide(who[row], facts[row])
        clock.now += 8 * DAY
        engine.learn()


def spooled_decision(path, decision_id):
    """Write a decision of WHO to a spool of this process, as a database that is locked makes an engine do."""
    with Store.open(path, customer_key=KEY) as store:
        spool = Spool(path, sync=False)
        rows = decisions(1, store.catalogues.get(1).n_offers, [decision_id], customers=[WHO])
        spool.append(spooled_decisions(rows, [store.customers.stored(WHO)], store.customers.check))
    return spool

"""A store in which every kind of row is chained, as bytes: a copy of it costs nothing."""

import sqlite3

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.store import ArmRows, CarriedPolicyRow, RepeatRows, Store, state_hash
from bandit.store.tables.imports import ImportRow
from tests.conftest import SPRING
from tests.store.rows import DAY, decisions, events, learn


@pytest.fixture(scope="session")
def chained_bytes(tmp_path_factory):
    """A closed store with rows of every kind: decisions in a batch, alone, with a weight and with arms."""
    path = tmp_path_factory.mktemp("chained") / "offers.db"
    with Store.open(path, durability="process") as store:
        fill_all(store)
    return path.read_bytes()


@pytest.fixture
def chained(tmp_path, chained_bytes):
    """A copy of that store, as a path."""
    path = tmp_path / "chained.db"
    path.write_bytes(chained_bytes)
    return path


def fill_all(store):
    """Write rows of every kind through the writers of the store."""
    number = store.catalogues.register(Catalogue.from_dict(SPRING))
    policy = store.catalogues.register_policy(number, {"kind": "uniform"})
    other = store.catalogues.register_policy(number, {"kind": "thompson"})
    store.ledger.record_step(policy, 0, None, state_hash(b"0"), b"0")
    change = store.rollout_changes.append(5, "ops", "set", "first weeks", "{}")
    writer = store.decision_writer
    writer.append(decisions(number, 10, [f"d{row}" for row in range(40)], policy_id=policy, seed="7", batch="d0"))
    writer.append(decisions(number, 10, ["alone"], policy_id=policy, seed="8", fault="ValueError: a broken model"))
    writer.append(decisions(number, 10, ["heavy"], weights=np.array([3.0])))
    arms = ArmRows(
        change.id,
        np.arange(2),
        np.array(["policy", "rules"], dtype=object),
        np.full((2, 2), 0.5),
        np.full((2, 2), 0.5),
        np.zeros(2, dtype=np.int64),
    )
    writer.append(decisions(number, 10, ["arm0", "arm1"], arms=arms))
    narrow = np.ones((1, 10), dtype=np.bool_)
    narrow[0, 9] = False
    writer.append(decisions(number, 10, ["narrow"], eligible=narrow, removals=lambda _: '{"rule":[9]}'))
    store.events.append(events([f"d{row}" for row in range(0, 40, 3)], revenue=3.0))
    store.events.append(events(["d1"], revenue=-0.0, reward=2.5))
    store.events.append(events(["d1"], revenue=5.0), correct=True)
    store.events.append(events(["d2", "d3"], revenue=[9.0, 3.0]))
    store.repeats.append(RepeatRows(["r1", "r2"], np.array([1, 1]), np.array([5, 6]), ["{}", '{"gender":"f"}'], 3))
    store.imports.append(ImportRow(5, "log.csv", "abc", number, 3, 2, 1, 0, {"findings": []}))
    store.carried.add(CarriedPolicyRow(other, policy, 0, 5, {"what": "all"}))
    learn(store, now=40 * DAY)
    store.backup(store.path.with_name("copy.db"))


def change(path, *statements):
    """Change a file behind the program's back: without its guards and without its checks."""
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA foreign_keys = OFF")
    guards = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    raw.execute("PRAGMA ignore_check_constraints = ON")
    for name, _ in guards:
        raw.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        raw.execute(statement)
    for _, text in guards:
        raw.execute(text)
    raw.commit()
    raw.close()


def problems(path, anchor=None):
    """What the chain shows."""
    with Store.open(path, read_only=True) as store:
        return store.check_chain(anchor).problems

"""An exception from a signal's handler at any line of a call leaves nothing open, locked, lost or half done."""

import collections
import sqlite3
import threading
import warnings

import pytest

import bandit
from bandit.governance.erasure import erase
from bandit.governance.retention import retain
from bandit.logfiles import import_log
from bandit.store.holdings import HOLDINGS
from tests.interrupts import Interrupter, places_of

pytestmark = [
    # Python itself ignores an exception that comes while it drops a generator, and nothing is amiss then.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <generator:pytest.PytestUnraisableExceptionWarning"),
    # Where it comes between `open` and the `with` around it, Python closes the file as it drops it.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"),
]

CATALOGUE = bandit.Catalogue.from_dict(
    {
        "dimensions": [
            {"name": "discount", "options": [{"name": "0"}, {"name": "10"}, {"name": "20"}]},
            {"name": "gift", "options": [{"name": "none"}, {"name": "tote"}]},
        ],
        "context": {"age": {"type": "numeric"}, "sex": {"type": "categorical", "values": ["f", "m"]}},
    }
)
KEY = b"0123456789abcdef"
LOG = """id,who,at,age,sex,discount,gift,p,bought
{0}1,anna,2026-03-01T12:00:00,1.5,f,0,none,0.5,1
{0}2,bert,2026-03-01T13:00:00,2.5,m,10,tote,0.5,0
"""
MAPPING = {
    "columns": {"customer": "who", "decision_id": "id", "time": "at", "propensity": "p"},
    "context": {"age": "age", "sex": "sex"},
    "offer": {"discount": {"column": "discount"}, "gift": {"column": "gift"}},
    "outcomes": [{"event": "purchase", "when": "bought"}],
}


class Campaign:
    """An engine under interrupts: what it acknowledged, and the checks after each of them."""

    def __init__(self, folder):
        self.path, self.folder = folder / "offers.db", folder
        self.acknowledged = []
        self.n = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.engine = bandit.Engine.open(
                self.path,
                CATALOGUE,
                bandit.ThompsonSampling(CATALOGUE),
                seed=7,
                customer_key=KEY,
                durability="process",
                busy_timeout=0.3,
            )
        for _ in range(20):
            self.visit()
        self.engine.learn()

    def decide(self, customer=None):
        self.n += 1
        made = self.engine.decide(
            customer or f"c{self.n % 50}", {"age": self.n % 7 / 3, "sex": "fm"[self.n % 2]}, decision_id=f"id{self.n}"
        )
        self.acknowledged.append(made.decision_id)
        return made

    def visit(self, customer=None):
        made = self.decide(customer)
        self.engine.record(made.decision_id, "purchase", revenue=2.0)
        return made

    def check(self):
        """Others can write at once, other threads and this one go on as ever, no lease is left, and it learns."""
        raw = sqlite3.connect(self.path, timeout=0.5, isolation_level=None)
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("ROLLBACK")
        raw.close()
        assert HOLDINGS.taken == []
        made = []
        thread = threading.Thread(target=lambda: made.append(self.decide()), daemon=True)
        thread.start()
        thread.join(20)
        assert made, "a lock is held"
        assert made[0].fault is None
        assert self.visit().fault is None
        assert self.engine.store.leases.all() == ()
        assert self.engine.learn().n > 0
        assert not self.engine._worker.learning
        assert self.engine.store._connection.raw.execute("PRAGMA foreign_keys").fetchone() == (1,)

    def close(self):
        """The log has what was acknowledged, once; a rebuild gives the state in memory; verify finds nothing."""
        assert self.engine.rebuild().same
        assert self.engine.verify().problems == ()
        counts = collections.Counter(
            row[0] for row in self.engine.store._connection.raw.execute("SELECT decision_id FROM decisions")
        )
        assert max(counts.values()) == 1
        made, batches = self.engine.status().decisions, 2 * self.n
        assert len(self.acknowledged) <= made <= batches
        self.engine.close()
        return counts


@pytest.fixture
def campaign(tmp_path):
    """A campaign of a thread that holds nothing: tests that take a lease for another engine leave it behind."""
    HOLDINGS.taken.clear()
    yield Campaign(tmp_path)
    HOLDINGS.taken.clear()


def _decide(campaign):
    return campaign.decide


def _decide_batch(campaign):
    campaign.n += 2
    ids = [f"id{campaign.n - 1}", f"id{campaign.n}"]
    columns = {"age": [1.0, 2.0], "sex": ["f", "m"]}

    def call():
        campaign.engine.decide_batch(["a", "b"], columns, decision_ids=ids)
        campaign.acknowledged += ids

    return call


def _record(campaign):
    made = campaign.decide()
    return lambda: campaign.engine.record(made.decision_id, "purchase", revenue=2.0)


def _learn(campaign):
    campaign.visit()
    return campaign.engine.learn


def _learn_much(campaign):
    for _ in range(40):
        campaign.visit()
    return campaign.engine.learn


def _sync(campaign):
    with bandit.Engine.open(
        campaign.path, CATALOGUE, bandit.ThompsonSampling(CATALOGUE), seed=8, customer_key=KEY, durability="process"
    ) as other:
        made = other.decide("c", {"age": 1.0, "sex": "f"})
        other.record(made.decision_id, "purchase", revenue=2.0)
        other.learn()
    return campaign.engine.sync


def _rebuild(campaign):
    return campaign.engine.rebuild


def _erase(campaign):
    campaign.visit("gone")
    campaign.engine.learn()
    return lambda: erase(campaign.engine.store, "gone", timeout=1.0)


def _retain(campaign):
    before = campaign.visit().time
    campaign.engine.learn()
    return lambda: retain(campaign.engine.store, before, timeout=1.0)


def _import(campaign):
    campaign.n += 1
    log = campaign.folder / "log.csv"
    log.write_text(LOG.format(f"log{campaign.n}-"))
    return lambda: import_log(campaign.engine.store, CATALOGUE, MAPPING, log)


def _kill(campaign):
    """An engine that was interrupted in `kill` serves by what the log says; the check needs the policies to serve."""
    rollout = campaign.engine.rollout

    def call():
        rollout.kill(author="test", reason="")
        rollout.resume(author="test", reason="")

    return call


def _fold_spool(campaign):
    """A spool of three lines, folded by the next decision: each line is in the log once, whenever that is cut short."""
    raw = sqlite3.connect(campaign.path, timeout=5, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campaign.engine.store._connection, "busy_timeout", 0.0)
        patch.setattr(campaign.engine.store._connection, "_lock_timeout", 0.0)
        for _ in range(3):
            assert campaign.decide().logged
    raw.execute("ROLLBACK")
    raw.close()
    campaign.engine._writer._retry_at = 0.0
    assert campaign.engine.status().spooled == 3
    return campaign.decide


CALLS = {
    "decide": _decide,
    "decide_batch": _decide_batch,
    "record": _record,
    "learn": _learn,
    "learn much": _learn_much,
    "sync": _sync,
    "rebuild": _rebuild,
    "erase": _erase,
    "retain": _retain,
    "import": _import,
    "kill": _kill,
    "fold a spool": _fold_spool,
}


def interrupted_at(campaign, prepare, places):
    """Make the call once for each place with an exception there, and check the engine after each."""
    n_raised = 0
    for place in places:
        call = prepare(campaign)
        interrupter = Interrupter(place)
        raised, _ = interrupter.run(call)
        n_raised += raised
        if prepare is _kill:
            halted = campaign.engine.rollout.state.halted is not None
            assert (campaign.engine.status().halted is not None) == halted, interrupter.where
            if halted:
                campaign.engine.rollout.resume(author="test", reason="")
        try:
            campaign.check()
        except Exception as fault:
            raise AssertionError(f"after an exception at {interrupter.where} (place {place}): {fault}") from fault
    return n_raised


@pytest.mark.parametrize("name", CALLS)
def test_an_exception_at_sampled_lines_leaves_nothing_open_and_nothing_held(campaign, name):
    """Five places spread evenly over each call; the last one may lie beyond the end of a shorter call."""
    prepare = CALLS[name]
    total = min(places_of(prepare(campaign)) for _ in range(2))  # the first call of its kind may have more to do
    step = total // 5
    assert interrupted_at(campaign, prepare, range(step // 2, total, step)) >= 4
    counts = campaign.close()
    if name not in {"erase", "retain"}:
        assert set(campaign.acknowledged) <= set(counts)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_an_exception_at_any_line_leaves_nothing_open_and_nothing_held(campaign, name):
    """Every place of the calls that the service makes; of the others, 400 places."""
    prepare = CALLS[name]
    total = places_of(prepare(campaign))
    step = 1 if name in {"decide", "record"} else max(1, total // 400)
    interrupted_at(campaign, prepare, range(0, total, step))
    counts = campaign.close()
    if name not in {"erase", "retain"}:
        assert set(campaign.acknowledged) <= set(counts)

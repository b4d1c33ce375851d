"""Deferred activation in an engine: what is recorded as shown is learned, what is not is no outcome."""

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bandit
from bandit.analysis.group_variance import _sums
from bandit.evaluate.lift_log import LiftLogOptions, lift_of
from bandit.logfiles import export
from bandit.store import StoreLog, Where
from tests.conftest import SPRING
from tests.engine.conftest import DAY, KEY, Clock, context

ACTIVE = copy.deepcopy(SPRING) | {"objective": SPRING["objective"] | {"activation": "shown"}}


@pytest.fixture
def catalogue():
    return bandit.Catalogue.from_dict(ACTIVE)


def decide(engine, n, prefix):
    customers = [f"customer-{row % 40}" for row in range(n)]
    ids = [f"{prefix}{row}" for row in range(n)]
    return engine.decide_batch(customers, [context(row) for row in range(n)], decision_ids=ids)


def test_only_what_was_shown_is_learned_also_when_all_windows_are_over(open_engine, clock):
    """Of 60 decisions 20 are shown at noon of the next day and 10 more are reported when the window is over."""
    engine = open_engine()
    ids = decide(engine, 60, "d").decision_ids
    engine.record_batch(ids[:3], "purchase", revenue=np.full(3, 50.0))
    assert engine.learn().n == 0
    made, clock.now = clock.now, clock.now + DAY // 2
    engine.record_batch(ids[:20], "shown")
    clock.now += 8 * DAY
    assert engine.learn().n == 20
    engine.record_batch(ids[20:30], "shown", time=made + DAY)
    engine.record_batch(ids[30:], "shown")  # after their windows
    assert engine.learn().n == 10
    assert engine.learn().n == 0
    assert engine.rebuild().same
    assert engine.verify().problems == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 4)), min_size=1, max_size=5), st.integers(0, 1000))
def test_learning_as_it_comes_is_rebuilt_and_learns_the_decisions_of_the_log(tmp_path_factory, rounds, seed):
    """However showing, buying and learning alternate: the log rebuilds to the same state, and another policy that
    learns everything at once at the end learns the same decisions, which are those of the store's log."""
    catalogue, clock, rng = bandit.Catalogue.from_dict(ACTIVE), Clock(), np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("e") / "e.db"

    def opened(**settings):
        policy = bandit.ThompsonSampling(catalogue, **settings)
        return bandit.Engine.open(path, catalogue, policy, customer_key=KEY, clock=clock, durability="process")

    made = []
    with opened() as engine:
        for number, (n, days) in enumerate(rounds):
            made += decide(engine, n, f"{number}-").decision_ids
            shown = [name for name in made if rng.random() < 0.3]
            bought = [name for name in made if rng.random() < 0.2]
            engine.record_batch(shown, "shown", event_ids=[f"{number}"] * len(shown))
            amounts = rng.lognormal(4.0, 0.5, len(bought))
            engine.record_batch(bought, "purchase", revenue=amounts, event_ids=[f"{number}-b"] * len(bought))
            engine.learn()
            clock.now += days * DAY
        clock.now += 9 * DAY
        engine.learn()
        assert engine.rebuild().same
        online = learned(engine)
        log = StoreLog(engine.store, catalogue, where=Where(settled_before=clock.now - 7 * DAY))
        assert (log.n, log.n + log.not_activated) == (len(online), len(made))
        assert engine.verify().problems == ()
    with opened(draws=8) as batch:
        batch.learn()
        assert learned(batch) == online


def learned(engine):
    """The last outcome that an engine's policy learned of each decision."""
    found = {}
    for step in engine.store.ledger.steps(engine.policy_id):
        rows = engine.store.ledger.learned_rows(engine.policy_id, step.step, "purchase", 7 * DAY)
        columns = (rows.decisions.seq, rows.weight, rows.decisions.converted, rows.decisions.revenue)
        found |= {seq: tuple(rest) for seq, *rest in zip(*(column.tolist() for column in columns), strict=True)}
    return found


@pytest.fixture
def grouped(open_engine, clock):
    """60 settled decisions in two groups, the first 40 shown; 5 open ones."""
    engine = open_engine()
    ids = []
    for group in ("policy", "rules"):
        customers = [f"{group}-{row}" for row in range(30)]
        ids += engine.decide_batch(customers, [context(row) for row in range(30)], group=group).decision_ids
    engine.record_batch(ids[:20] + ids[30:50], "shown")
    clock.now += 8 * DAY
    engine.decide_batch([f"open-{row}" for row in range(5)], [context(row) for row in range(5)], group="rules")
    return engine


def test_lift_compares_what_was_shown_and_counts_the_rest(grouped, catalogue, clock):
    report = lift_of(grouped.store, catalogue, LiftLogOptions(), now=clock.now)
    assert [each.decisions for each in report.lift.groups] == [20, 20]
    assert (report.still_open, report.not_activated) == (5, 20)
    assert report.to_dict()["not_activated"] == 20


def test_the_variance_that_a_plan_uses_is_that_of_what_was_shown(grouped, catalogue, clock):
    """20 decisions of each group were shown, of 60 settled and 5 open ones; without activation it is 30 of each."""
    where = Where(settled_before=clock.now - 7 * DAY)
    sizes = {}
    for each in (catalogue, bandit.Catalogue.from_dict(SPRING)):
        found = _sums(StoreLog(grouped.store, each, where=where), lambda _page: None)
        sizes[each.version] = (found.overall.n, found.by_group["rules"].n)
    assert list(sizes.values()) == [(40, 20), (60, 30)]


def test_an_export_leaves_out_what_was_never_shown_also_with_open_decisions(grouped, catalogue, tmp_path):
    """Times are of 2023, so every window is over by the machine's clock: 40 shown, 25 not."""
    written = export(grouped.store, catalogue, tmp_path / "all.csv", include_open=True)
    assert (written.n, written.not_activated, written.activation) == (40, 25, "shown")
    plain = bandit.Catalogue.from_dict(SPRING)
    assert export(grouped.store, plain, tmp_path / "plain.csv").n == 65

"""Outcomes that cannot be learned: set aside, named, and left out by every fold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.domain import Outcomes
from bandit.errors import PolicyError
from bandit.governance.erasure import erase
from bandit.learning.guarded_update import guarded_update
from bandit.policies.thompson.online import OnlineLearning
from bandit.store import Store
from tests.conftest import SPRING
from tests.engine.conftest import context

KEY = b"a key of at least sixteen bytes"
NOON = 1_790_000_000_000_000
POISON = 13.0
"""A revenue at which the belief of `breaks_at_poison` breaks."""

CATALOGUE = Catalogue.from_dict(
    {
        "objective": {"kind": "revenue", "window": "7d"},
        "context": {"loyal": {"type": "boolean"}},
        "dimensions": [{"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}],
    }
)


@pytest.fixture
def breaks_at_poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the belief raise half way through a batch with a revenue of POISON, as a matrix that is singular would."""
    learn = OnlineLearning._learn

    def failing(self: OnlineLearning, outcomes: Outcomes) -> None:
        learn(self, outcomes)
        if (outcomes.revenue == POISON).any():
            raise np.linalg.LinAlgError("singular matrix")

    monkeypatch.setattr(OnlineLearning, "_learn", failing)


def _open(path: Path) -> Engine:
    policy = ThompsonSampling(CATALOGUE)
    return Engine.open(path, CATALOGUE, policy, seed=7, customer_key=KEY, clock=lambda: NOON)


def _visit(engine: Engine, number: int, revenue: float) -> None:
    decision = engine.decide(f"customer-{number}", {"loyal": number % 2 == 0}, decision_id=f"visit-{number}")
    engine.record(decision.decision_id, "purchase", revenue=revenue)


@pytest.mark.usefixtures("breaks_at_poison")
@pytest.mark.parametrize("at_once", [1, 60])
def test_one_outcome_that_cannot_be_learned_is_set_aside_and_the_others_are_learned(
    tmp_path: Path, at_once: int
) -> None:
    """Of 120 outcomes number 50 raises: 119 are learned, one by one or 60 at once, and the engine goes on deciding."""
    path = tmp_path / "offers.db"
    with _open(path) as engine:
        learned = aside = 0
        for number in range(120):
            _visit(engine, number, POISON if number == 50 else 40.0 + number)
            if number % at_once == at_once - 1:
                report = engine.learn()
                learned, aside = learned + report.n, aside + report.n_set_aside
        assert (learned, aside) == (119, 1)
        assert engine.status().policy_fault is None
        assert engine.status().set_aside == 1
        assert engine.decide("another", {"loyal": True}).fault is None
        assert engine.rebuild().same
    with _open(path) as engine:
        assert engine.decide("one more", {"loyal": True}).fault is None
        assert engine.verify().problems == ()
    with Store.open(path, customer_key=KEY) as store:
        named = store.ledger.set_aside.decisions(1)
        assert [each.decision_id for each in named] == ["visit-50"]
        assert "singular matrix" in named[0].reason
        assert store.check() == []


@pytest.mark.usefixtures("breaks_at_poison")
def test_the_state_is_that_of_a_log_without_the_outcome(tmp_path: Path) -> None:
    """The same visits with and without the one that raises, learned in the same two steps, give the same bytes."""
    states = []
    for name, poisoned in (("with", True), ("without", False)):
        with _open(tmp_path / f"{name}.db") as engine:
            for number in range(80):
                if number != 60 or poisoned:
                    _visit(engine, number, POISON if number == 60 else 40.0 + number)
                if number == 39:
                    engine.learn()
            engine.learn()
            states.append(engine.policy.dumps())
    assert states[0] == states[1]


@pytest.mark.usefixtures("breaks_at_poison")
def test_an_erasure_folds_around_what_was_set_aside(tmp_path: Path) -> None:
    """Erasing another customer leaves the outcome set aside; erasing the customer of the outcome leaves nothing."""
    path = tmp_path / "offers.db"
    with _open(path) as engine:
        for number in range(60):
            _visit(engine, number, POISON if number == 20 else 40.0 + number)
        engine.learn()
    with Store.open(path, customer_key=KEY) as store:
        assert erase(store, "customer-3").decisions == 1
        assert len(store.ledger.set_aside.decisions(1)) == 1
    with _open(path) as engine:
        assert engine.rebuild().same
        assert engine.decide("another", {"loyal": True}).fault is None
    with Store.open(path, customer_key=KEY) as store:
        assert erase(store, "customer-20").decisions == 1
        assert store.ledger.set_aside.decisions(1) == ()
    with _open(path) as engine:
        assert engine.rebuild().same
        assert engine.verify().problems == ()


@pytest.mark.usefixtures("breaks_at_poison")
def test_a_correction_of_an_outcome_that_was_set_aside_is_learned_as_new(tmp_path: Path) -> None:
    """The purchase is corrected to 41: the outcome is learned, as one of which nothing was learned before."""
    path = tmp_path / "offers.db"
    with _open(path) as engine:
        for number in range(30):
            _visit(engine, number, POISON if number == 20 else 40.0 + number)
        engine.learn()
        engine.record("visit-20", "purchase", revenue=41.0, correct=True)
        report = engine.learn()
        assert (report.n, report.n_restated, report.n_set_aside) == (1, 0, 0)
        assert engine.status().set_aside == 0
        assert engine.rebuild().same
        assert engine.verify().problems == ()


def test_what_was_set_aside_is_looked_up_and_the_journal_not_read(tmp_path: Path) -> None:
    """Each step with an outcome that is set aside adds an entry: a fold that read all of them would be quadratic."""
    with Store.open(tmp_path / "offers.db", customer_key=KEY) as store:
        aside, raw = store.ledger.set_aside, store._connection.raw
        with store.transaction():
            for step in range(1, 41):
                aside.add(1 + step % 2, step, [step, 100 + step], "of a test")
        statements: list[str] = []
        raw.set_trace_callback(statements.append)
        assert [each.step for each in aside.of(1)] == list(range(2, 41, 2))
        assert aside.in_step(1, 8) == {8, 108}
        assert aside.in_step(2, 8) == frozenset()
        raw.set_trace_callback(None)
        reads = [each for each in statements if "upkeep" in each]
        plans = [row[3] for each in reads for row in raw.execute(f"EXPLAIN QUERY PLAN {each}")]
        assert len(plans) == len(reads) == 3
        assert all(plan.startswith("SEARCH upkeep USING INDEX upkeep_set_aside") for plan in plans)


def test_an_error_of_the_policy_itself_is_raised_and_sets_nothing_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: where no outcome of several can be learned, the fault is not theirs."""
    policy = ThompsonSampling(CATALOGUE)
    before = policy.dumps()
    contexts = CATALOGUE.contexts([{"loyal": True}] * 3)
    three = np.ones(3)
    outcomes = Outcomes.new(
        contexts, np.zeros(3, dtype=np.int64), np.ones((3, 2), dtype=np.bool_), three, three > 0, three, three
    )

    def broken(*_: object) -> None:
        raise ValueError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(OnlineLearning, "_learn", broken)
        with pytest.raises(ValueError, match="broken"):
            guarded_update(policy, outcomes, lambda: before)
    assert policy.dumps() == before


def test_a_belief_that_is_not_finite_says_so() -> None:
    """One mean that is infinite is enough, and one that is not a number."""
    for number in (np.inf, np.nan):
        policy = ThompsonSampling(CATALOGUE)
        assert policy.is_finite
        policy.online.belief.main.model.weights.mean[0] = number
        assert not policy.is_finite


def test_a_state_that_cannot_be_read_back_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scale that became infinite makes states that cannot be read: the step is refused, and the older state stays."""
    path = tmp_path / "offers.db"
    with _open(path) as engine:
        for number in range(40):
            _visit(engine, number, 40.0 + number)
        engine.learn()
        step = engine.step
        state = OnlineLearning.state

        def broken(self: OnlineLearning, **given: bool) -> object:
            meta, arrays = state(self, **given)
            return {**meta, "scales": {"loyal": [0.0, float("inf")]}}, arrays

        with monkeypatch.context() as patch:
            patch.setattr(OnlineLearning, "state", broken)
            for number in range(40, 90):
                _visit(engine, number, 40.0 + number)
            with pytest.raises(PolicyError, match="does not fit"):
                engine.learn()
        assert engine.step == step
        assert engine.decide("another", {"loyal": True}).fault is None
    with _open(path) as engine:
        assert engine.decide("one more", {"loyal": True}).fault is None
        assert engine.learn().n == 50


def test_rewards_that_change_among_the_first_outcomes_are_learned(tmp_path):
    """The first outcomes are learned anew together once scales are known: some with all of their corrections."""
    catalogue = Catalogue.from_dict(SPRING | {"objective": SPRING["objective"] | {"kind": "reward"}})
    with Engine.open(
        tmp_path / "offers.db", catalogue, ThompsonSampling(catalogue), seed=1, customer_key=KEY
    ) as engine:
        for number in range(12):
            decision = engine.decide(f"customer-{number % 5}", {} if number % 4 == 3 else context(number))
            for event in ("purchase", "return", "closed")[: 1 + number % 3]:
                engine.record(decision.decision_id, event, reward=0.1 * number)
                engine.learn()
        assert (engine.status().set_aside, engine.status().lag) == (0, 0)
        assert engine.rebuild().same

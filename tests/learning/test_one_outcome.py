"""One outcome that is read as plain values is the outcome that the columns of the log give, bit by bit."""

import dataclasses
import warnings

import numpy as np
import pytest

import bandit
from bandit.domain import Contexts
from bandit.learning.training_outcomes import TrainingOutcomes
from bandit.store import DueCriterion, OneDue
from tests.conftest import SPRING
from tests.engine.conftest import KEY, context


@pytest.mark.parametrize("kind", ["profit", "revenue", "conversion", "reward"])
def test_one_outcome_is_what_the_columns_give(tmp_path, kind):
    """New, updated and returned outcomes of every objective; facts missing, undeclared, and in other forms."""
    catalogue = of_kind(kind)
    with (
        warnings.catch_warnings(action="ignore"),
        bandit.Engine.open(
            tmp_path / "log.db", catalogue, bandit.ThompsonSampling(catalogue), seed=1, customer_key=KEY
        ) as engine,
    ):
        criterion = DueCriterion(catalogue.objective.event, catalogue.objective.window, kind == "reward")
        seen = 0
        for number in range(7):
            facts = ODD[number % 4] if number % 2 else context(number)
            decision = engine.decide(f"customer-{number % 5}", facts)
            for event in ("purchase", "return", "closed")[: 1 + number % 3]:
                sign = -1.0 if event == "return" else 1.0
                reward = 0.1 * number if kind == "reward" else None
                amount = None if event == "closed" else sign * (20.0 + number / 3.0)
                engine.record(decision.decision_id, event, revenue=amount, reward=reward)
                due = engine.store.ledger.few_due(engine.policy_id, criterion, decision.time + 60_000_000, 32)
                if isinstance(due, OneDue):
                    seen += 1
                    same_both_ways(engine, due)
                engine.learn()
        assert seen > 5
        assert engine.rebuild().same


def same_both_ways(engine, due):
    training = TrainingOutcomes(engine.store, engine.catalogue)
    one, (_, many) = training.of_one(due), training.of(due.columns())
    for mine, theirs in ((one.batch, many.batch), (one.previous, many.previous), (one, many)):
        for field in dataclasses.fields(mine):
            a, b = getattr(mine, field.name), getattr(theirs, field.name)
            if isinstance(a, np.ndarray):
                assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), field.name
            elif isinstance(a, Contexts):
                assert a.customers.tolist() == b.customers.tolist()
                for name, column in a.columns.items():
                    assert column.tobytes() == b.columns[name].tobytes(), name
                assert {name: each.tolist() for name, each in a.text.items()} == {
                    name: each.tolist() for name, each in b.text.items()
                }


ODD = (None, {"gender": " F", "recency": np.int8(7), "loyal": None}, None, {"gender": "x", "recency": -0.0})
"""Facts that are read in another form than they are given in, or not at all."""


def of_kind(kind):
    return bandit.Catalogue.from_dict(SPRING | {"objective": SPRING["objective"] | {"kind": kind}})

"""Calls that a type checker must refuse, each with the code of its error: the negative control of `surface.py`."""

from __future__ import annotations

from typing import assert_type

import bandit
from bandit import ope
from bandit.engine import EngineOptions
from bandit.evaluate import evaluate
from bandit.store import StoreLog


def wrong(engine: bandit.Engine, catalogue: bandit.Catalogue, policy: bandit.Uniform, log: StoreLog) -> None:
    bandit.Engine.open("offers.db", catalogue, policy, seed="seven")  # error: arg-type
    bandit.Engine.open("offers.db", catalogue, policy, durability="best")  # error: arg-type
    bandit.Engine.open("offers.db", catalogue, policy, sinc=1.0)  # error: call-arg
    bandit.Engine.open("offers.db", catalogue)  # error: call-arg
    bandit.Engine.resume("offers.db", policy_id="first")  # error: arg-type
    EngineOptions(follow=1.0)  # error: call-arg
    EngineOptions().seed = 7  # error: misc
    engine.decide(42, {})  # error: arg-type
    engine.record("id", "purchase", revenue="52")  # error: arg-type
    assert_type(engine.decide("customer-42", {}).propensity, int)  # error: assert-type
    assert_type(engine.sync(), bool)  # error: assert-type
    evaluate(log, catalogue)  # error: arg-type
    ope.Feedback([1.0], [0.5], [0.5])  # error: arg-type arg-type arg-type

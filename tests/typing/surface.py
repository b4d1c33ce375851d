"""The types of the public surface, stated call by call; a type checker reads this file, nothing runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import assert_type

import numpy as np
import numpy.typing as npt

import bandit
from bandit import ope
from bandit.domain import Contexts, Log, LoggedBatch, Outcomes, Policy, Removal
from bandit.engine import EngineOptions, EngineStatus
from bandit.evaluate import Evaluation, PolicyEvaluation, SplitLog, evaluate, split_log
from bandit.evaluate.lift import LiftRow
from bandit.evaluate.lift_log import LiftLogOptions, LiftReport, lift_of
from bandit.explain import DecisionExplanation, ImportanceReport, LeadReasons, explain_decision, importance_of
from bandit.governance.verify import VerifyReport
from bandit.learning import LearnReport, RebuildReport
from bandit.logfiles import ColumnLog, from_frame, from_parquet
from bandit.policies.thompson import PredictedColumn, PredictedResponse
from bandit.store import EventReceipt, Store, StoreLog

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]


def catalogues(path: Path, mapping: Mapping[str, object]) -> bandit.Catalogue:
    catalogue = bandit.Catalogue.from_toml(path)
    assert_type(catalogue, bandit.Catalogue)
    assert_type(bandit.Catalogue.from_dict(mapping), bandit.Catalogue)
    assert_type(catalogue.name, str)
    assert_type(catalogue.n_offers, int)
    assert_type(catalogue.offer(0), dict[str, str])
    assert_type(catalogue.contexts([{"gender": "f"}], ["customer-42"]), Contexts)
    assert_type(catalogue.eligible(catalogue.contexts([{"gender": "f"}])), Booleans)
    return catalogue


def policies(
    catalogue: bandit.Catalogue, path: Path, contexts: Contexts, outcomes: Outcomes, rng: np.random.Generator
) -> list[Policy]:
    sampling = bandit.ThompsonSampling(catalogue, draws=64, floor=0.01, half_life="30d")
    assert_type(sampling, bandit.ThompsonSampling)
    rules = bandit.SegmentRules.from_toml(catalogue, path)
    assert_type(rules, bandit.SegmentRules)
    every: list[Policy] = [
        sampling,
        rules,
        bandit.Uniform(catalogue),
        bandit.VowpalWabbit(catalogue),
        bandit.ConstantOffer(catalogue, {"discount": "10"}),
    ]
    predicted = sampling.predict_response(contexts, [0, 1], level=0.9)
    assert_type(predicted, PredictedResponse)
    assert_type(predicted.reward.value, Floats)
    assert_type(predicted.p_convert, PredictedColumn | None)
    policy = every[0]
    assert_type(policy.name, str)
    assert_type(policy.learns, bool)
    assert_type(policy.probabilities(contexts, catalogue.eligible(contexts), rng), Floats)
    assert_type(policy.spec(), Mapping[str, object])
    assert_type(policy.dumps(), bytes)
    policy.update(outcomes)
    policy.loads(policy.dumps())
    return every


def engines(path: Path, catalogue: bandit.Catalogue, policy: Policy, store: Store) -> None:
    engine = bandit.Engine.open(
        path,
        catalogue,
        policy,
        seed=7,
        group="policy",
        customer_key=b"a secret of our own",
        durability="process",
        keep_probabilities=True,
        clock=lambda: 1_764_000_000_000_000,
        busy_timeout=5.0,
        sync=None,
    )
    assert_type(engine, bandit.Engine)
    assert_type(bandit.Engine.open("offers.db", catalogue, policy), bandit.Engine)
    assert_type(bandit.Engine.open("offers.db", catalogue, policy, follow=1.0), bandit.Engine)  # the former name
    assert_type(bandit.Engine.resume(path, policy_id=1, seed=7, sync=1.0), bandit.Engine)
    assert_type(bandit.Engine(store, catalogue, policy, EngineOptions(seed=7)), bandit.Engine)
    with engine as entered:
        assert_type(entered, bandit.Engine)
    assert_type(engine.policy, Policy)
    assert_type(engine.step, int)


def decisions(engine: bandit.Engine, customers: Sequence[str], ages: Floats) -> None:
    decision = engine.decide("customer-42", {"gender": "f", "recency": 1.4}, decision_id="request-1")
    assert_type(decision, bandit.Decision)
    assert_type(decision.decision_id, str)
    assert_type(decision.offer, Mapping[str, str])
    assert_type(decision.offer["discount"], str)
    assert_type(decision.propensity, float)
    assert_type(decision.eligible, Booleans)
    assert_type(decision.reasons, tuple[Removal, ...])
    assert_type(decision.probabilities, Floats)
    assert_type(decision.fault, str | None)
    assert_type(decision.held_from, str | None)
    batch = engine.decide_batch(customers, [{"gender": "f"}, {"gender": "m"}])
    assert_type(batch, bandit.DecisionBatch)
    assert_type(engine.decide_batch(customers, {"gender": ["f", "m"], "recency": ages.tolist()}), bandit.DecisionBatch)
    assert_type(batch.offers, Mapping[str, Objects])
    assert_type(batch.group, str | Objects)
    assert_type(engine.decide("customer-42", {}, group="random").group, str)
    assert_type(engine.decide_batch(customers, [{}, {}], group=["policy", "random"]), bandit.DecisionBatch)
    assert_type(engine.group_of("customer-42"), str)
    assert_type(engine.group, str | None)
    assert_type(batch.held_from, Objects | None)
    assert_type(batch.offer_index, Integers)
    assert_type(batch.propensity, Floats)
    assert_type(batch.probabilities, Floats | None)


def learning(engine: bandit.Engine, decision: bandit.Decision) -> None:
    receipt = engine.record(decision.decision_id, event="purchase", revenue=52.0)
    assert_type(receipt, EventReceipt)
    assert_type(receipt.n_new, int)
    assert_type(engine.record_batch([decision.decision_id], ["closed"]), EventReceipt)
    learned = engine.learn()
    assert_type(learned, LearnReport)
    assert_type((learned.n, learned.n_restated, learned.step, learned.learner), tuple[int, int, int, bool])
    assert_type(engine.sync(), int)
    assert_type(engine.follow(), int)  # the former name
    assert_type(engine.verify(), VerifyReport)
    assert_type(engine.verify().problems, tuple[str, ...])
    assert_type(engine.rebuild(progress=lambda done, total: None), RebuildReport)
    assert_type(engine.rebuild().same, bool)
    assert_type(engine.status(), EngineStatus)
    assert_type(engine.status().lag, int | None)
    assert_type(engine.status().to_dict(), dict[str, object])


def reasons(
    engine: bandit.Engine, decision: bandit.Decision, store: Store, log: Log, policy: bandit.ThompsonSampling
) -> None:
    explanation = decision.explain()
    assert_type(explanation, DecisionExplanation)
    assert_type(engine.explain(decision.decision_id, level=0.9), DecisionExplanation)
    assert_type(explain_decision(store, decision.decision_id), DecisionExplanation)
    assert_type(explanation.lead, LeadReasons | None)
    assert_type(explanation.notes, tuple[str, ...])
    assert_type(explanation.to_dict(), dict[str, object])
    assert_type(importance_of(log, policy), ImportanceReport)


def logs(path: Path, store: Store, catalogue: bandit.Catalogue, frame: object) -> list[Log]:
    log = StoreLog(store, catalogue)
    assert_type(log.n, int)
    assert_type(log.batches(), Iterator[LoggedBatch])
    assert_type(from_frame(frame, catalogue), ColumnLog)
    assert_type(from_parquet(path, catalogue), ColumnLog)
    return [log, from_frame(frame, catalogue), split_log(log)]


def evaluations(log: Log, policies: Sequence[Policy], catalogue: bandit.Catalogue) -> None:
    evaluation = evaluate(log, policies, "uniform", catalogue=catalogue, rng=np.random.default_rng(1))
    assert_type(evaluation, Evaluation)
    assert_type(evaluate(log, {"mine": policies[0]}, policies[1], catalogue=catalogue), Evaluation)
    assert_type(evaluation.n, int)
    assert_type(evaluation.rows, tuple[PolicyEvaluation, ...])
    assert_type(evaluation.to_dict(), dict[str, object])
    assert_type(split_log(log), SplitLog)


def lifts(store: Store, catalogue: bandit.Catalogue) -> None:
    report = lift_of(store, catalogue, LiftLogOptions(baseline="rules", by=("loyal",)), now=0)
    assert_type(report, LiftReport)
    assert_type(report.lift.verdicts, tuple[LiftRow, ...])
    assert_type(report.gate(), int)
    assert_type(report.to_dict(), dict[str, object])


def estimates(reward: Floats, propensity: Floats, target: Floats) -> None:
    feedback = ope.Feedback(reward, propensity, target)
    found = ope.estimate(feedback, estimators=("ips", "snips"), level=0.95)
    assert_type(found, tuple[ope.Estimate, ...])
    estimate = found[0]
    assert_type(estimate.name, str)
    assert_type((estimate.value, estimate.low, estimate.high), tuple[float, float, float])
    assert_type(estimate.n, int)
    assert_type(estimate.effective_sample_size, float)
    assert_type(estimate.max_weight, float)
    assert_type(ope.compare(feedback, feedback), tuple[ope.Estimate, ...])


async def awaited(engine: bandit.Engine, customers: Sequence[str]) -> None:
    decision = await engine.adecide("customer-42", {"gender": "f"}, decision_id="request-1")
    assert_type(decision, bandit.Decision)
    assert_type(await engine.adecide_batch(customers, [{"gender": "f"}], group="random"), bandit.DecisionBatch)
    assert_type(await engine.arecord(decision.decision_id, "purchase", revenue=52.0), EventReceipt)
    assert_type(await engine.arecord_batch([decision.decision_id], "purchase", event_ids=["p-1"]), EventReceipt)
    assert_type(await engine.alearn(), LearnReport)

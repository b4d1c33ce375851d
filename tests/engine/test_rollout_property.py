"""Random roll-outs: whatever is changed and in what order, weights are those of a slow oracle, and verify agrees."""

import contextlib
import itertools

import numpy as np
import pytest

import bandit
from bandit.errors import InputError
from bandit.governance.verify import verify
from bandit.rollout import RolloutState
from tests.engine.conftest import DAY, KEY, context
from tests.engine.test_rollout import WHO, with_rollout

N = 80
"""Customers."""


def arm_of(state, number, which):
    """The place of the arm that serves a customer with these two numbers, from the documentation."""
    if state.halted == "kill" or number >= state.policy_share:
        return 0
    level = 0.0
    for place, challenger in enumerate(state.policies[1:]):
        level += challenger.share
        if which < level:
            return place + 2
    return 1


def oracle(now, past):
    """The weights of the arms now, cell by cell; `past` are (state, weights, probabilities) of earlier decisions."""
    past = [each for each in past if each[0].salt == now.salt]  # under another salt the numbers were others
    states = [now, *(state for state, _, _ in past)]
    first = sorted({0.0, 1.0, *(state.policy_share for state in states if state.halted != "kill")})
    second = {0.0, 1.0}
    for state in states:
        second |= set(np.cumsum([each.share for each in state.policies[1:]]).tolist())
    second = sorted(second)
    weights = [0.0] * len(now.arms)
    for low, high in itertools.pairwise(first):
        for left, right in itertools.pairwise(second):
            number, which, chance = (low + high) / 2, (left + right) / 2, (high - low) * (right - left)
            for state, weight, probability in past:
                if sum(arm.share > 0 for arm in state.arms) > 1:
                    place = arm_of(state, number, which)
                    chance *= weight[place] if max(weight) == 1.0 else np.nan_to_num(probability[place])
            weights[arm_of(now, number, which)] += chance
    return np.array(weights) / sum(weights)


def change(engine, rng, others):
    """One random change of the roll-out; most of them go through."""
    control = engine.rollout
    kind = rng.integers(8)
    if kind <= 2:
        control.set_mode("ramp", float(rng.choice([0.1, 0.3, 0.6, 1.0])), author=WHO)
    elif kind == 3:
        control.set_mode(str(rng.choice(["shadow", "apprentice", "full"])), author=WHO)
    elif kind == 4:
        share = float(rng.choice([0.0, 0.2, 0.4]))
        control.challenge(int(rng.choice(others)), share, champion=engine.policy_id, author=WHO)
    elif kind == 5:
        control.rollback(author=WHO)
    elif kind == 6:
        (control.kill if rng.random() < 0.5 else control.stop)(author=WHO, reason="a test")
    elif control.state.halted is not None:
        control.resume(author=WHO)


class Flaky(bandit.ThompsonSampling):
    """A policy that fails for batches with a customer who is in `failing`, in stored form."""

    failing: tuple[str, ...] = ()

    def probabilities(self, contexts, eligible, rng):
        if np.isin(contexts.customers, self.failing).any():
            raise ValueError("no model")
        return super().probabilities(contexts, eligible, rng)


def played(engines, clock, rng, rounds, others, new_version):
    for number in range(rounds):
        with contextlib.suppress(InputError):
            change(engines[0], rng, others)
        if number == rounds // 2:
            with contextlib.suppress(InputError):
                engines[0].rollout.resume(author=WHO)
            engines = [*engines[:2], new_version()]
        failing = [f"c{row}" for row in rng.integers(N, size=12)] if rng.random() < 0.25 else []
        Flaky.failing = tuple(engines[0].store.customers.all_stored(failing))
        for engine in engines[:3]:
            who = rng.integers(N, size=12)
            batch = engine.decide_batch([f"c{row}" for row in who], [context(row) for row in who])
            one = engine.decide(f"c{who[0]}", context(int(who[0])))
            bought = [name for name in (*batch.decision_ids, one.decision_id) if rng.random() < 0.3]
            engine.record_batch(bought, "purchase", revenue=np.full(len(bought), 40.0))
        clock.now += DAY
        if number % 3 == 2:
            engines[number % 2].learn()


@pytest.mark.parametrize("groups", [pytest.param(None, marks=pytest.mark.slow), {"policy": 0.7, "random": 0.3}])
@pytest.mark.parametrize("seed", [1, pytest.param(3, marks=pytest.mark.slow), pytest.param(5, marks=pytest.mark.slow)])
def test_any_sequence_of_changes_keeps_the_propensities_exact(spring, path, clock, monkeypatch, seed, groups):
    """Two engines on one file with two challengers, then one of a new version with another salt; the champion fails
    for some customers. Every weight is beside the oracle's, from the log alone."""
    monkeypatch.setattr("bandit.engine.live_rollout.CHECK_INTERVAL", 0.0)
    more = {} if groups is None else {"groups": groups}
    old = with_rollout(spring, **more)
    new = with_rollout(spring, **more, currency="USD", salt="b", share=0.5)
    settings = {"customer_key": KEY, "clock": clock, "durability": "process"}
    policies = [Flaky(old, draws=64), Flaky(old, draws=64), *(bandit.ThompsonSampling(old, draws=n) for n in (16, 8))]
    with contextlib.ExitStack() as opened:

        def an_engine(catalogue, policy, place):
            return opened.enter_context(bandit.Engine.open(path, catalogue, policy, seed=place, **settings))

        engines = [an_engine(old, policy, place) for place, policy in enumerate(policies)]
        others = [engine.policy_id for engine in engines[2:]]
        played(
            engines[:2],
            clock,
            np.random.default_rng(seed),
            34,
            others,
            lambda: an_engine(new, bandit.ThompsonSampling(new), 4),
        )
        Flaky.failing = ()
        faults, salts = compare_with_the_oracle(engines[0].store)
        assert faults > 0
        assert salts == {"a", "b"}
        report = verify(engines[0].store)
        assert report.problems == ()
        assert report.n_recomputed == report.n_decisions - faults
        engines[0].learn()
        assert engines[0].rebuild().same


def compare_with_the_oracle(store):
    """Hold each logged weight to the oracle's; return the number of faults and the salts of what was mixed."""
    rows = store.decisions.page("purchase", 7 * DAY, limit=10_000)
    arms = store.decision_arms.of(rows.seq)
    state_of = {row.id: RolloutState.from_json(row.state) for row in store.rollout_changes.all()}
    propensity, batch, customer, fault = (
        dict(zip(rows.seq.tolist(), column.tolist(), strict=True))
        for column in (rows.propensity, rows.batch, rows.customer, rows.fault)
    )
    assert len(arms) > 100
    history, waiting, salts, open_rows = {}, [], set(), 0
    for place, seq in enumerate(arms.seq.tolist()):
        if waiting and waiting[0][0] != batch[seq]:  # a batch is weighed by what was known before it
            for _, who, entry in waiting:
                history.setdefault(who, []).append(entry)
            waiting = []
        weights, probabilities, _ = np.array(arms.mixture[place], dtype=np.float64)
        state = state_of[int(arms.change_id[place])]
        if len(state.arms) != len(weights):  # the new version does not have the live policies
            state = state.among(())
        # Where a policy failed, the arm has shown itself.
        expected = oracle(state, history.get(customer[seq], []))
        served = [arm.name for arm in state.arms].index(arms.arm[place])
        alone = np.eye(len(weights))[served]
        if fault[seq] is not None or (np.array_equal(weights, alone) and expected[served] < 1.0):
            np.testing.assert_array_equal(weights, alone)
            assert expected[served] > 0.0
        else:
            np.testing.assert_allclose(weights, expected, atol=1e-9)
            open_rows += history.get(customer[seq], []) != [] and weights.max() < 1.0
        assert (weights * np.nan_to_num(probabilities)).sum() == pytest.approx(propensity[seq], abs=1e-12)
        if sum(arm.share > 0.0 for arm in state.arms) > 1:
            salts.add(state.salt)
        waiting.append((batch[seq], customer[seq], (state, weights, probabilities)))
    assert open_rows > 100
    return sum(each is not None for each in fault.values()), salts

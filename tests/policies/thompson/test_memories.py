"""The method `memories`: a level and contrasts that move are followed; a market that stands still is not forgotten."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

import bandit
from bandit.models.contrast_rates import CONTRAST_HALF_LIVES
from bandit.policies.state import pack, unpack
from tests.conftest import SPRING, amended, draw_contexts, draw_outcomes
from tests.policies.thompson.test_carried import carried
from tests.policies.tools import DAY, OutcomesLog, catalogue_for, conversion, other_world, prediction_error, world
from tests.policies.tools import outcomes_of as responses_of


def lower(columns, options):
    """The world after its level fell by 1.2 logits."""
    return expit(logit(world(columns, options)) - 1.2)


def campaign(catalogue, truths, rng, n=2_000, days=25):
    """n outcomes over so many days in each of some worlds, one after the other, in order of time."""
    parts = []
    for number, truth in enumerate(truths):
        time = ((np.sort(rng.random(n)) + number) * days * DAY).astype(np.int64)
        parts.append(responses_of(catalogue, truth, n, rng, time=time))
    return parts


def taught(catalogue, parts, step=100, **settings):
    policy = bandit.ThompsonSampling(catalogue, **{"personal": False, "methods": ["memories"], **settings})
    for part in parts:
        for start in range(0, len(part), step):
            policy.update(part.take(slice(start, start + step)))
    return policy


def rates_of(policy, name="main"):
    return policy.online.belief.models()[name].model.rates


def error(policy, truth):
    return prediction_error(policy, policy.catalogue, truth, np.random.default_rng(8))


@pytest.mark.parametrize("after", [lower, other_world], ids=["the level jumps", "contrasts swap"])
def test_a_world_that_changed_is_followed(after):
    """25 days of one world, 25 of another: less than half the error of a policy that never forgets (the control)."""
    catalogue = conversion()
    parts = campaign(catalogue, (world, after), np.random.default_rng(5))
    policy, control = taught(catalogue, parts), taught(catalogue, parts, methods=[])
    assert error(policy, after) < 0.5 * error(control, after)
    assert rates_of(policy).moves


def test_where_nothing_moves_nothing_is_forgotten():
    """At the end both half-lives are infinite, and the error is at most a tenth above that of a policy that never
    forgets; as long as no rate was above 0, the beliefs had the same bits."""
    catalogue = conversion()
    parts = campaign(catalogue, (world, world), np.random.default_rng(6))
    policy, control = taught(catalogue, parts), taught(catalogue, parts, methods=[])
    rates = rates_of(policy)
    assert (rates.level.half_life, rates.half_life) == (np.inf, np.inf)
    assert error(policy, world) < 1.1 * error(control, world)
    one, other = (taught(catalogue, parts[:1], step=50, methods=methods) for methods in (["memories"], []))
    contexts = parts[0].contexts.take(slice(0, 50))
    np.testing.assert_array_equal(one.predict(contexts), other.predict(contexts))


def test_a_slow_season_moves_the_level_and_leaves_the_contrasts():
    """A level that swings by 0.7 logits over 50 days: the level is found to move, the contrasts are not."""

    def season(day):
        return lambda columns, options: expit(logit(world(columns, options)) + 0.7 * np.sin(2 * np.pi * day / 50.0))

    catalogue, rng = conversion(), np.random.default_rng(7)
    parts = []
    for day in range(60):
        time = np.full(100, day * DAY, dtype=np.int64)
        parts.append(responses_of(catalogue, season(day), 100, rng, time=time))
    rates = rates_of(taught(catalogue, parts, step=100))
    assert rates.level.half_life < 30.0
    assert rates.half_life > 100.0


def test_outcomes_without_times_are_learned_as_without_the_method():
    catalogue = conversion()
    outcomes = responses_of(catalogue, world, 1_500, np.random.default_rng(9))
    policy, control = (taught(catalogue, [outcomes], step=300, methods=methods) for methods in (["memories"], []))
    contexts = outcomes.contexts.take(slice(0, 50))
    np.testing.assert_array_equal(policy.predict(contexts), control.predict(contexts))


def test_a_declared_half_life_is_that_of_the_contrasts():
    """Nothing is estimated of them; the level's rate still is, and found to be above 0 after a jump."""
    catalogue = conversion()
    policy = taught(catalogue, campaign(catalogue, (world, lower), np.random.default_rng(5)), half_life="200d")
    assert rates_of(policy).contrasts is None
    assert rates_of(policy).level.half_life < np.inf


def test_silences_that_become_purchases_do_not_look_like_movement():
    """Of the purchases three in ten are learned as silences first and corrected a day later: in a world that stands
    still both half-lives are infinite at the end, and the predictions as good as those of one who never forgets."""
    catalogue, rng = conversion(), np.random.default_rng(10)
    policy, control = (bandit.ThompsonSampling(catalogue, personal=False, methods=m) for m in (["memories"], []))
    late = None
    for day in range(60):
        fresh = responses_of(catalogue, world, 100, rng, time=np.full(100, day * DAY, dtype=np.int64))
        waits = fresh.converted & (rng.random(100) < 0.3)
        known = fresh.converted & ~waits
        for each in (policy, control):
            each.update(amended(fresh, converted=known, reward=known.astype(float)))
            if late is not None:
                each.update(late)
        bought, n = fresh.take(waits), np.count_nonzero(waits)
        before = {"previous_converted": np.zeros(n, dtype=bool), "previous_reward": np.zeros(n)}
        late = amended(bought, is_update=np.ones(n, dtype=bool), previous_weight=np.ones(n), **before)
    assert (rates_of(policy).level.half_life, rates_of(policy).half_life) == (np.inf, np.inf)
    assert error(policy, world) < 1.1 * error(control, world)


@pytest.mark.parametrize("kind", ["reward", "profit"])
def test_amounts_that_change_are_followed(kind):
    """Raw rewards, or revenues, fall to a fifth after 25 days: predicted within a quarter of the control's error."""
    catalogue, rng = catalogue_for(kind), np.random.default_rng(11)
    parts = []
    for number, factor in enumerate((1.0, 0.2)):
        drawn = draw_outcomes(catalogue, 2_500, rng)
        converted = rng.random(2_500) < 0.5
        revenue = np.where(converted, factor * rng.lognormal(4.0, 0.5, 2_500), 0.0)
        reward = catalogue.objective.reward(catalogue.money, drawn.offer, converted, revenue, revenue)
        time = ((np.sort(rng.random(2_500)) + number) * 25 * DAY).astype(np.int64)
        parts.append(amended(drawn, converted=converted, revenue=revenue, reward=reward, time=time))
    policy, control = taught(catalogue, parts), taught(catalogue, parts, methods=[])
    contexts = draw_contexts(catalogue, 100, np.random.default_rng(12), missing=0.0)
    last = parts[1].take(slice(1_500, None))
    right = taught(catalogue, [amended(last, time=np.zeros(0, dtype=np.int64))], methods=[]).predict(contexts)
    off = [np.abs(each.predict(contexts) - right).mean() for each in (policy, control)]
    assert off[0] < 0.5 * off[1]
    assert rates_of(policy, "main" if kind == "reward" else "amount").moves


@settings(max_examples=3, deadline=None)
@given(cut=st.integers(2, 22), kind=st.sampled_from(["conversion", "profit", "reward"]))
def test_a_policy_read_from_its_state_goes_on_with_the_same_bits(cut, kind):
    catalogue, rng = catalogue_for(kind), np.random.default_rng(13)
    one = bandit.ThompsonSampling(catalogue, methods=["memories"])
    for step in range(24):
        if step == cut:
            other = bandit.ThompsonSampling(catalogue, methods=["memories"])
            other.loads(one.dumps())
        outcomes = amended(draw_outcomes(catalogue, 60, rng), time=np.full(60, step * DAY, dtype=np.int64))
        for each in (one,) if step < cut else (one, other):
            each.update(outcomes)
    assert one.dumps() == other.dumps()


def test_a_fit_of_a_log_that_moves_is_the_belief_about_its_end():
    """Fitted to both worlds in one log, the policy predicts the later one as well as the one that learned online; a
    fit without the method averages the two (the control)."""
    catalogue = conversion()
    parts = campaign(catalogue, (world, other_world), np.random.default_rng(5))
    log = SeveralLogs(parts)
    policy, control = (bandit.ThompsonSampling(catalogue, personal=False, methods=m) for m in (["memories"], []))
    policy.fit(log)
    control.fit(log)
    assert error(policy, other_world) < 0.5 * error(control, other_world)
    assert error(policy, other_world) < 1.2 * error(taught(catalogue, parts), other_world)


def test_a_fit_of_a_log_that_stands_still_is_the_same_as_without_the_method():
    catalogue = conversion()
    log = SeveralLogs(campaign(catalogue, (world, world), np.random.default_rng(6)))
    policy, control = (bandit.ThompsonSampling(catalogue, personal=False, methods=m) for m in (["memories"], []))
    passes = []
    policy.fit(log, lambda done, most: passes.append((done, most)))
    control.fit(log)
    contexts = draw_contexts(catalogue, 50, np.random.default_rng(12))
    np.testing.assert_array_equal(policy.predict(contexts), control.predict(contexts))
    assert passes == sorted(passes)
    assert passes[-1] == (passes[-1][1], passes[-1][1])


class SeveralLogs:
    """Logs of outcomes, one after the other."""

    def __init__(self, parts):
        self.parts = [OutcomesLog(part) for part in parts]
        self.n = sum(part.n for part in self.parts)

    def batches(self, size=65_536):
        for part in self.parts:
            yield from part.batches(size)


def test_another_catalogue_keeps_the_rates():
    """Carried to a catalogue without a gift, the half-life of the contrasts stays, and the policy learns on."""
    catalogue = bandit.Catalogue.from_dict({**SPRING, "objective": {"kind": "conversion", "event": "purchase"}})
    policy = taught(catalogue, campaign(catalogue, (world, other_world), np.random.default_rng(5)))
    assert rates_of(policy).half_life < np.inf
    gone = {**SPRING, "objective": {"kind": "conversion", "event": "purchase"}, "rules": []}
    gone["dimensions"] = [each for each in SPRING["dimensions"] if each["name"] != "gift"]
    gone["fallback"] = {name: value for name, value in SPRING["fallback"].items() if name != "gift"}
    target, _ = carried(policy, bandit.Catalogue.from_dict(gone), personal=False, methods=["memories"])
    assert rates_of(target).half_life == rates_of(policy).half_life
    assert rates_of(target).level.rates[rates_of(target).level.chosen] == rates_of(policy).level.variance_a_day
    target.update(draw_outcomes(target.catalogue, 200, np.random.default_rng(1)))
    plain, _ = carried(taught(catalogue, [], methods=[]), catalogue, methods=["memories"])
    assert rates_of(plain).half_life == np.inf


def test_a_fact_that_appears_later_gets_filters_of_its_own():
    """Loyal customers are first seen after 1,000 outcomes: the belief grows, and so do the filters."""
    catalogue = conversion()
    parts = campaign(catalogue, (world, other_world), np.random.default_rng(5), n=1_000)
    columns = {**parts[0].contexts.columns, "loyal": np.zeros(1_000)}
    parts[0] = amended(parts[0], contexts=type(parts[0].contexts)(1_000, columns, parts[0].contexts.text))
    policy = taught(catalogue, parts)
    size = policy.online.belief.main.model.weights.size
    assert rates_of(policy).contrasts.state()[1]["means"].shape == (len(CONTRAST_HALF_LIVES), size)


@pytest.mark.parametrize("damage", [{"rates": 3}, {"rates": {"level": 99}}])
def test_a_damaged_state_is_refused(damage):
    catalogue = conversion()
    policy = taught(catalogue, campaign(catalogue, (world,), np.random.default_rng(5), n=700))
    meta, arrays = unpack(policy.dumps())
    with pytest.raises(bandit.errors.PolicyError, match="does not fit"):
        policy.loads(pack(meta | {"main": meta["main"] | damage}, arrays))

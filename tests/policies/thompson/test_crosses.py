"""Crosses: found where combinations of facts decide, named in words, part of the state, absent where none decides."""

import csv
import gzip

import numpy as np
import pytest

import bandit
from bandit.catalogue.aliases import NameMap
from bandit.domain import Outcomes
from bandit.errors import PolicyError
from bandit.explain.contributions import contributions
from bandit.explain.cross_effects import cross_effects, cross_effects_by_fact, cross_note
from bandit.policies.state import pack, unpack
from bandit.policies.state_erasure import without_sample
from bandit.policies.thompson.belief_source import BeliefSource, column_means
from bandit.policies.thompson.carried import carry_belief
from tests.conftest import DATA, amended, draw_outcomes
from tests.policies.tools import OutcomesLog

SIDES = ("north", "south")

CLUB = {
    "name": "club",
    "objective": {"kind": "conversion"},
    "context": {
        "loyal": {"type": "boolean"},
        "child": {"type": "boolean"},
        "age": {"type": "numeric", "center": 40.0, "scale": 10.0},
        "region": {"type": "categorical", "values": ["north", "south"]},
    },
    "dimensions": [
        {"name": "theme", "options": [{"name": "toys"}, {"name": "tools"}]},
        {"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]},
    ],
}


def club(kind="conversion"):
    return bandit.Catalogue.from_dict(CLUB | {"objective": {"kind": kind}})


def club_outcomes(catalogue, n, seed, crossed=True):
    """Offers at random; toys convert 40 % with both or neither of loyal and child, else 10 %; tools the reverse."""
    rng = np.random.default_rng(seed)
    loyal, child = rng.random(n) < 0.5, rng.random(n) < 0.5
    rows = {
        "loyal": loyal.tolist(),
        "child": child.tolist(),
        "age": rng.normal(40.0, 10.0, n).tolist(),
        "region": rng.choice(["north", "south"], n).tolist(),
    }
    contexts = catalogue.contexts(rows, [f"customer-{row}" for row in range(n)])
    offer = rng.integers(0, catalogue.n_offers, n)
    liked = ((loyal == child) if crossed else loyal) == (catalogue.options[offer, 0] == 0)
    converted = rng.random(n) < np.where(liked, 0.4, 0.1)
    reward = converted.astype(float) * (catalogue.objective.kind != "reward") + 3.0 * converted * (
        catalogue.objective.kind == "reward"
    )
    eligible = np.ones((n, catalogue.n_offers), dtype=bool)
    return Outcomes.new(contexts, offer, eligible, np.full(n, 0.25), converted, converted * 1.0, reward)


def learned(kind="conversion", n=2_000, seed=1, crossed=True, step=100, **settings):
    catalogue = club(kind)
    policy = bandit.ThompsonSampling(catalogue, **({"methods": ["crosses"]} | settings))
    outcomes = club_outcomes(catalogue, n, seed, crossed)
    for start in range(0, n, step):
        policy.update(outcomes.take(slice(start, start + step)))
    return policy


@pytest.fixture(scope="module")
def knowing():
    """A policy that has learned 2,000 outcomes of a market where two facts cross."""
    return learned()


def main_of(policy):
    return policy.online.belief.main


def served(policy, loyal, child):
    context = policy.catalogue.contexts([{"loyal": loyal, "child": child, "age": 40.0, "region": "north"}])
    chances = policy.probabilities(context, np.ones((1, 4), dtype=bool), np.random.default_rng(3))[0]
    return chances[policy.catalogue.options[:, 0] == 0].sum()


@pytest.mark.parametrize("kind", ["conversion", "reward"])
def test_an_exclusive_or_is_found_named_and_acted_upon(kind):
    policy = learned(kind)
    words = main_of(policy).crosses.words()
    assert "both or neither of loyal and child" in words
    for loyal in (True, False):
        for child in (True, False):
            assert (served(policy, loyal, child) > 0.9) == (loyal == child)
            assert (served(policy, loyal, child) < 0.1) == (loyal != child)


def test_without_the_method_it_is_not_learned_and_the_state_is_as_before():
    """The negative control."""
    policy = learned(methods=[])
    assert main_of(policy).crosses is None
    assert not any("cross" in name or "sample" in name for name in unpack(policy.dumps())[1])
    # Each fact alone says nothing: both corners of a diagonal get toys alike, and so do the other two.
    chances = [served(policy, loyal, child) for loyal in (True, False) for child in (True, False)]
    assert max(chances) - min(chances) < 0.2


def test_where_single_facts_decide_few_are_admitted_and_their_weights_are_small():
    """Four markets without a crossing, twelve rounds each: about one false cross a market, of less than 0.6 logits."""
    n = 0
    for seed in range(4):
        model = main_of(learned(seed=seed, crossed=False))
        weights = model.model.weights.mean[model.design.first_cross :]
        assert (np.abs(weights) < 0.6).all()
        n += len(weights)
    assert n <= 8


def test_a_threshold_within_a_group_is_found():
    """Toys convert 45 % for those under 35 in the north, 15 % for others and for tools."""
    catalogue = club()
    outcomes = club_outcomes(catalogue, 4_000, 5)
    columns = outcomes.contexts.columns
    in_cell = (columns["age"] < 35.0) & (columns["region"] == 0) & (catalogue.options[outcomes.offer, 0] == 0)
    converted = np.random.default_rng(6).random(4_000) < np.where(in_cell, 0.45, 0.15)
    policy = bandit.ThompsonSampling(catalogue, methods=["crosses"])
    policy.update(amended(outcomes, converted=converted))
    assert any("age" in words and "region" in words for words in main_of(policy).crosses.words())
    rows = [{"age": age, "region": region, "loyal": True, "child": True} for age in (25, 55) for region in SIDES]
    chance = policy.predict(catalogue.contexts(rows))[:, catalogue.options[:, 0] == 0].mean(axis=1)
    assert chance[0] > chance[1:].max() + 0.1


def test_a_continuation_after_loading_is_the_same_to_the_bit(knowing):
    other = bandit.ThompsonSampling(knowing.catalogue, methods=["crosses"])
    first = bandit.ThompsonSampling(knowing.catalogue, methods=["crosses"])
    first.loads(knowing.dumps())
    other.loads(first.dumps())
    assert other.dumps() == knowing.dumps()
    more = club_outcomes(knowing.catalogue, 700, 8)
    first.update(more)
    other.update(more)
    assert first.dumps() == other.dumps()
    assert len(main_of(first).crosses.sample) == 2_700


def test_the_rounds_do_not_depend_on_how_outcomes_were_batched():
    one, other = learned(step=100), learned(step=2_000)
    assert main_of(one).crosses.due == main_of(other).crosses.due == 2_328
    assert "both or neither of loyal and child" in main_of(other).crosses.words()
    np.testing.assert_array_equal(main_of(one).crosses.sample.outcomes().y, main_of(other).crosses.sample.outcomes().y)


def test_a_fit_finds_what_online_learning_finds_and_both_expect_the_same():
    catalogue = club()
    outcomes = club_outcomes(catalogue, 4_000, 1)
    online, batch = (bandit.ThompsonSampling(catalogue, methods=["crosses"], personal=False) for _ in range(2))
    online.update(outcomes)
    batch.fit(OutcomesLog(outcomes))
    assert "both or neither of loyal and child" in main_of(batch).crosses.words()
    contexts = outcomes.contexts.take(slice(0, 200))
    expected, found = batch.predict(contexts), online.predict(contexts)
    assert np.abs(expected - found).max() < 0.06  # four deviations of a share of 500 outcomes: 4 sqrt(.1 / 500) = .057
    assert expected.std() > 0.1


def test_corrections_change_the_sample_too(knowing):
    policy = bandit.ThompsonSampling(knowing.catalogue, methods=["crosses"])
    policy.loads(knowing.dumps())
    before = main_of(policy).crosses.sample.outcomes().y.sum()
    outcomes = club_outcomes(policy.catalogue, 2_000, 1)
    rows = np.flatnonzero(outcomes.converted)[:10]
    taken = outcomes.take(rows)
    none = np.zeros(10, dtype=bool)
    policy.update(
        amended(
            taken,
            converted=none,
            reward=np.zeros(10),
            is_update=~none,
            previous_converted=~none,
            previous_reward=np.ones(10),
            previous_revenue=np.ones(10),
            previous_weight=np.ones(10),
        )
    )
    assert main_of(policy).crosses.sample.outcomes().y.sum() == before - 10


def test_contributions_with_rules_sum_to_the_differences(knowing):
    """The rule is a source of its own; divided among its facts, the parts sum to the same effects."""
    reference = knowing.posterior(club_outcomes(knowing.catalogue, 300, 3).contexts).encoded.matrix.mean(axis=0)
    rule = False
    for row in range(8):
        context = club_outcomes(knowing.catalogue, 8, 9).contexts.take(np.array([row])).without_text()
        posterior = knowing.posterior(context)
        found = contributions(posterior, reference, np.arange(4))
        total = found.base_response + found.response.sum(axis=(0, 1))
        np.testing.assert_allclose(total, posterior.scores(np.arange(4))[0], rtol=0, atol=1e-9)
        place = found.sources.index("both or neither of loyal and child")
        rule |= bool(np.abs(found.response[place]).max() > 0.3)
        model, encoder = main_of(knowing), knowing.online.belief.encoder
        by_rule = cross_effects(model, posterior.encoded.matrix, reference)
        by_fact = cross_effects_by_fact(model, posterior.encoded.matrix, reference, encoder.context_fact)
        np.testing.assert_allclose(by_fact.sum(axis=0), by_rule.sum(axis=0), rtol=0, atol=1e-9)
    assert rule
    assert "both or neither of loyal and child (" in cross_note(main_of(knowing))[0]


def test_draws_and_means_score_crosses_alike(knowing):
    """One draw that is the mean gives the mean's scores, for one context and for many, to float32."""
    model = main_of(knowing)
    matrix = knowing.posterior(club_outcomes(knowing.catalogue, 50, 3).contexts).encoded.matrix
    mean = model.mean_scores(matrix)
    drawn = model.mean_as_draw()
    np.testing.assert_allclose(model.draw_scores(drawn, matrix)[:, 0], mean, rtol=0, atol=1e-4)
    single = np.concatenate([model.draw_scores(drawn, matrix[row : row + 1])[:, 0] for row in range(50)])
    np.testing.assert_allclose(single, mean, rtol=0, atol=1e-4)


@pytest.mark.parametrize("gone", ["nothing", "child"])
def test_a_changed_catalogue_keeps_the_crosses_whose_facts_it_has(knowing, gone):
    mapping = CLUB | {
        "context": {name: fact for name, fact in CLUB["context"].items() if name != gone},
        "dimensions": [*CLUB["dimensions"], {"name": "gift", "options": [{"name": "none"}, {"name": "mug"}]}],
    }
    catalogue = bandit.Catalogue.from_dict(mapping)
    target = bandit.ThompsonSampling(catalogue, methods=["crosses"])
    outcomes = club_outcomes(knowing.catalogue, 200, 3)
    means = column_means(knowing, outcomes.contexts, outcomes.offer)
    source = BeliefSource(knowing, NameMap(knowing.catalogue, catalogue), means)
    carry_belief(target, [source], catalogue.contexts([]))
    words = main_of(target).crosses.words()
    assert ("both or neither of loyal and child" in words) == (gone == "nothing")
    assert len(main_of(target).crosses.sample) == 0
    facts = {"loyal": True, "child": True, "age": 40.0, "region": "north"}
    before = knowing.predict(knowing.catalogue.contexts([facts]))[0]
    after = target.predict(catalogue.contexts([{name: value for name, value in facts.items() if name != gone}]))[0]
    if gone == "nothing":
        toys = [catalogue.options[:, 0] == 0, catalogue.options[:, 0] == 1]
        assert np.isclose(
            after[toys[0]].mean() - after[toys[1]].mean(), before[:2].mean() - before[2:].mean(), atol=0.1
        )
    target.update(draw_more(catalogue))


def draw_more(catalogue):
    n, rng = 300, np.random.default_rng(2)
    contexts = catalogue.contexts([{"loyal": True, "age": 30.0}] * n, [f"new-{row}" for row in range(n)])
    offer = rng.integers(0, catalogue.n_offers, n)
    converted = rng.random(n) < 0.2
    eligible = np.ones((n, catalogue.n_offers), dtype=bool)
    return Outcomes.new(contexts, offer, eligible, np.full(n, 0.1), converted, converted * 1.0, converted * 1.0)


def test_a_state_without_its_sample_goes_on_with_a_new_one(knowing):
    rest = without_sample(knowing.dumps())
    assert without_sample(rest) is rest
    policy = bandit.ThompsonSampling(knowing.catalogue, methods=["crosses"])
    policy.loads(rest)
    assert len(main_of(policy).crosses.sample) == 0
    np.testing.assert_array_equal(main_of(policy).model.weights.mean, main_of(knowing).model.weights.mean)
    policy.update(club_outcomes(knowing.catalogue, 300, 8))
    assert len(main_of(policy).crosses.sample) == 300


@pytest.mark.parametrize(("name", "change"), [("target", 99), ("column", 50), ("size", -1.0)])
def test_a_state_with_crosses_of_other_columns_is_refused(knowing, name, change):
    meta, arrays = unpack(knowing.dumps())
    array = arrays[f"main/cross/{name}"].copy()
    array.flat[0] = change
    policy = bandit.ThompsonSampling(knowing.catalogue, methods=["crosses"])
    with pytest.raises(PolicyError, match="its crosses"):
        policy.loads(pack(meta, arrays | {f"main/cross/{name}": array}))


@pytest.mark.slow
def test_a_catalogue_with_rules_of_money_learns_and_decides_with_the_method(catalogue):
    """Profit, missing facts, a numeric fact without a declared scale: nothing of it stops the method."""
    policy = bandit.ThompsonSampling(catalogue, methods=["crosses"])
    rng = np.random.default_rng(1)
    for _ in range(12):
        policy.update(draw_outcomes(catalogue, 1_000, rng))
    outcomes = draw_outcomes(catalogue, 50, rng)
    chances = policy.probabilities(outcomes.contexts, outcomes.eligible, rng)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    assert len(main_of(policy).crosses.sample) <= 8_192


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "hillstrom.csv.gz").exists(), reason="the real campaign is not here")
def test_on_a_real_campaign_few_crosses_are_admitted_and_no_weight_runs_away():
    """Visits of 20,000 customers: 15 % where the prior expects 8 %, and facts that depend on each other."""
    with gzip.open(DATA / "hillstrom.csv.gz", "rt") as lines:
        rows = [row for row, _ in zip(csv.DictReader(lines), range(20_000), strict=False)]
    values = {name: sorted({row[name] for row in rows}) for name in ("segment", "zip_code", "channel")}
    numbers, flags = ("recency", "history"), ("mens", "womens", "newbie")
    catalogue = bandit.Catalogue.from_dict(
        {
            "objective": {"kind": "conversion"},
            "context": {name: {"type": "numeric"} for name in numbers}
            | {name: {"type": "boolean"} for name in flags}
            | {name: {"type": "categorical", "values": values[name]} for name in ("zip_code", "channel")},
            "dimensions": [{"name": "mail", "options": [{"name": name} for name in values["segment"]]}],
        }
    )
    columns = {name: [float(row[name]) for row in rows] for name in numbers}
    columns |= {name: [row[name] == "1" for row in rows] for name in flags}
    columns |= {name: [row[name] for row in rows] for name in ("zip_code", "channel")}
    n, visit = len(rows), np.array([row["visit"] == "1" for row in rows])
    offer = np.array([values["segment"].index(row["segment"]) for row in rows])
    outcomes = Outcomes.new(
        catalogue.contexts(columns, [f"customer-{row}" for row in range(n)]),
        offer,
        np.ones((n, 3), dtype=bool),
        np.full(n, 1 / 3),
        visit,
        visit * 1.0,
        visit * 1.0,
    )
    policy = bandit.ThompsonSampling(catalogue, methods=["crosses"], personal=False)
    for start in range(0, n, 1_000):
        policy.update(outcomes.take(slice(start, start + 1_000)))
    model = main_of(policy)
    assert len(model.crosses.crosses) <= 8
    assert np.abs(model.model.weights.mean[model.design.first_cross :]).max(initial=0.0) < 1.0
    assert np.abs(model.model.weights.mean).max() < 3.0

"""One contract for every policy, then what each promises beyond it."""

import numpy as np
import pytest

import bandit
from bandit.domain import Contexts, Outcomes, Policy
from bandit.errors import CatalogueError, OfferError, PolicyError
from bandit.policies import build, close
from bandit.policies.probabilities import uniform_over
from bandit.policies.state import pack, unpack
from bandit.policies.thompson.offer_model import FIRST_ESTIMATE
from bandit.policies.thompson.online import WARM_UP
from tests.conftest import SPRING, amended, draw_contexts, draw_outcomes

RULES = {
    "exploration": 0.1,
    "segments": [
        {"when": "loyal", "offer": {"discount": "10", "channel": "email", "gift": "tote"}},
        {"when": 'gender == "f"', "offer": {"discount": "20", "channel": "sms", "gift": "none"}},
    ],
    "otherwise": {"discount": "0", "channel": "email", "gift": "none"},
}
NOTHING = {"discount": "0", "channel": "email", "gift": "none"}

MAKERS = {
    "uniform": bandit.Uniform,
    "constant": lambda catalogue: bandit.ConstantOffer(catalogue, NOTHING),
    "rules": lambda catalogue: bandit.SegmentRules.from_dict(catalogue, RULES),
    "thompson": bandit.ThompsonSampling,
    "vw": bandit.VowpalWabbit,
}
OBJECTIVES = ("conversion", "revenue", "profit", "reward")


def catalogue_for(kind):
    return bandit.Catalogue.from_dict({**SPRING, "objective": {**SPRING["objective"], "kind": kind}})


@pytest.fixture(params=MAKERS)
def maker(request):
    return MAKERS[request.param]


@pytest.fixture
def trained(maker, catalogue):
    policy = maker(catalogue)
    policy.update(draw_outcomes(catalogue, 700, np.random.default_rng(5)))
    return policy


def probabilities(policy, contexts, eligible, seed=1):
    return policy.probabilities(contexts, eligible, np.random.default_rng(seed))


class TestContract:
    def test_it_obeys_the_protocol(self, trained):
        assert isinstance(trained, Policy)
        assert trained.name

    def test_rows_sum_to_1_and_are_0_where_not_eligible(self, trained, catalogue):
        contexts = draw_contexts(catalogue, 200, np.random.default_rng(1))
        eligible = catalogue.eligible(contexts)
        chosen = probabilities(trained, contexts, eligible)
        assert chosen.shape == eligible.shape
        assert chosen.dtype == np.float64
        np.testing.assert_allclose(chosen.sum(axis=1), 1.0, atol=1e-12)
        assert (chosen >= 0).all()
        assert not chosen[~eligible].any()

    def test_any_eligible_set_of_at_least_one_offer_is_served(self, trained, catalogue):
        rng = np.random.default_rng(2)
        contexts = draw_contexts(catalogue, 60, rng)
        eligible = rng.random((60, catalogue.n_offers)) < 0.3
        eligible[np.arange(60), rng.integers(0, catalogue.n_offers, 60)] = True
        chosen = probabilities(trained, contexts, eligible)
        np.testing.assert_allclose(chosen.sum(axis=1), 1.0, atol=1e-12)
        assert not chosen[~eligible].any()

    def test_asking_changes_nothing(self, trained, catalogue):
        contexts = draw_contexts(catalogue, 20, np.random.default_rng(3))
        eligible = catalogue.eligible(contexts)
        before = trained.dumps()
        first = probabilities(trained, contexts, eligible)
        np.testing.assert_array_equal(first, probabilities(trained, contexts, eligible))
        assert trained.dumps() == before

    def test_state_and_description_make_the_same_policy_again(self, trained, catalogue):
        again = build(catalogue, trained.spec())
        again.loads(trained.dumps())
        contexts = draw_contexts(catalogue, 30, np.random.default_rng(4))
        eligible = catalogue.eligible(contexts)
        np.testing.assert_array_equal(
            probabilities(trained, contexts, eligible), probabilities(again, contexts, eligible)
        )
        assert again.spec() == trained.spec()
        assert again.dumps() == trained.dumps()

    def test_a_reloaded_policy_learns_on_as_the_one_that_was_never_saved(self, trained, catalogue):
        again = build(catalogue, trained.spec())
        again.loads(trained.dumps())
        more = draw_outcomes(catalogue, 100, np.random.default_rng(6))
        trained.update(more)
        again.update(more)
        assert again.dumps() == trained.dumps()

    def test_bytes_that_are_no_state_are_refused_and_nothing_changes(self, trained):
        before = trained.dumps()
        for bad in (b"rubbish", before[: len(before) // 2] or b"x", b"\x80\x04]q\x00."):
            with pytest.raises(PolicyError):
                trained.loads(bad)
        assert trained.dumps() == before

    def test_probabilities_do_not_depend_on_the_order_of_the_contexts(self, maker, catalogue):
        """In the mean: each context's vector over 400 draws of the generator, within 5 standard errors."""
        policy = maker(catalogue)
        policy.update(draw_outcomes(catalogue, 600, np.random.default_rng(7)))
        contexts = draw_contexts(catalogue, 2, np.random.default_rng(8))
        eligible = catalogue.eligible(contexts)
        turned = np.array([1, 0])
        forth = np.mean([probabilities(policy, contexts, eligible, seed) for seed in range(400)], axis=0)
        back = np.mean(
            [probabilities(policy, contexts.take(turned), eligible[turned], 400 + seed) for seed in range(400)], axis=0
        )
        error = np.sqrt(2 * np.maximum(forth * (1 - forth), 1 / 64) / (64 * 400))
        assert (np.abs(forth - back[turned]) < 5 * error).all()


def test_probabilities_permute_with_the_offers():
    """The same market with dimensions and options turned round, learned alike, gives each offer the same probability
    within 5 standard errors (sixteen sets of 1,000 draws)."""
    turned = {
        **SPRING,
        "dimensions": [{**d, "options": d["options"][::-1]} for d in SPRING["dimensions"]][::-1],
    }
    one, other = bandit.Catalogue.from_dict(SPRING), bandit.Catalogue.from_dict(turned)
    place = other.offer_indices(one.offers(np.arange(one.n_offers)))
    outcomes = draw_outcomes(one, 800, np.random.default_rng(9))
    order = np.argsort(place)
    moved = amended(outcomes, offer=place[outcomes.offer], eligible=outcomes.eligible[:, order])
    policies = bandit.ThompsonSampling(one, draws=1_000), bandit.ThompsonSampling(other, draws=1_000)
    for policy, seen in zip(policies, (outcomes, moved), strict=True):
        policy.update(seen)
    contexts = draw_contexts(one, 3, np.random.default_rng(10))
    eligible = one.eligible(contexts)
    sets = [
        {each.tobytes(): each for seed in range(200) for each in [probabilities(policy, contexts, seen, seed)]}
        for policy, seen in zip(policies, (eligible, eligible[:, order]), strict=True)
    ]
    assert [len(found) for found in sets] == [16, 16]
    a, b = (np.mean(list(found.values()), axis=0) for found in sets)
    error = np.sqrt(2 * np.maximum(a * (1 - a), 1e-3) / 16_000)
    assert (np.abs(a - b[:, place]) < 5 * error).all()


class TestThompsonSampling:
    @pytest.mark.parametrize("objective", OBJECTIVES)
    def test_the_floor_is_under_every_eligible_offer(self, objective):
        catalogue = catalogue_for(objective)
        policy = bandit.ThompsonSampling(catalogue, floor=0.2)
        policy.update(draw_outcomes(catalogue, 600, np.random.default_rng(1)))
        contexts = draw_contexts(catalogue, 50, np.random.default_rng(2))
        eligible = catalogue.eligible(contexts)
        chosen = probabilities(policy, contexts, eligible)
        least = 0.2 / eligible.sum(axis=1, keepdims=True)
        assert (chosen >= least - 1e-12)[eligible].all()

    @pytest.mark.parametrize("objective", OBJECTIVES)
    def test_it_finds_what_earns_most(self, objective):
        """Response is .1 + .1 x discount step: without costs that matter the deepest discount wins; with profit at
        margin .35 the expected profits are .1 x .35, .2 x .25, .3 x .15 of a basket: 10 % wins."""
        catalogue = catalogue_for(objective)
        policy = bandit.ThompsonSampling(catalogue)
        policy.update(draw_outcomes(catalogue, 6000, np.random.default_rng(3)))
        contexts = draw_contexts(catalogue, 300, np.random.default_rng(4))
        chosen = probabilities(policy, contexts, catalogue.eligible(contexts)).mean(axis=0)
        share = np.bincount(catalogue.options[:, 0], weights=chosen)
        # The raw reward of the contract's outcomes is the revenue less nothing: the deepest discount again.
        assert share.argmax() == (1 if objective == "profit" else 2)

    def test_shares_of_wins_are_the_probability_to_win(self, catalogue):
        """One vector of 20,000 draws against the mean of the sixteen sets of 1,250: equal within 5 standard errors."""
        many, few = (bandit.ThompsonSampling(catalogue, draws=draws, floor=0.0) for draws in (20_000, 1_250))
        outcomes = draw_outcomes(catalogue, 500, np.random.default_rng(5))
        for policy in (many, few):
            policy.update(outcomes)
        context = draw_contexts(catalogue, 1, np.random.default_rng(6), missing=0.0)
        eligible = catalogue.eligible(context)
        one = probabilities(many, context, eligible)
        block = {int(np.random.default_rng(seed).integers(16)): seed for seed in range(200)}
        assert len(block) == 16
        mean = np.mean([probabilities(few, context, eligible, seed) for seed in block.values()], axis=0)
        error = np.sqrt(2 * np.maximum(one * (1 - one), 1e-4) / 20_000)
        assert (np.abs(one - mean) < 5 * error).all()

    def test_another_generator_explores_otherwise(self, catalogue):
        policy = bandit.ThompsonSampling(catalogue)
        context = draw_contexts(catalogue, 1, np.random.default_rng(7))
        eligible = catalogue.eligible(context)
        assert len(np.unique([probabilities(policy, context, eligible, seed) for seed in range(40)], axis=0)) > 1

    def test_what_was_learned_is_explored_anew_and_a_reloaded_copy_decides_alike(self, catalogue):
        policy, copy = (bandit.ThompsonSampling(catalogue, width=1.0) for _ in range(2))
        outcomes = draw_outcomes(catalogue, 600, np.random.default_rng(23))
        contexts = draw_contexts(catalogue, 20, np.random.default_rng(24))
        eligible = catalogue.eligible(contexts)
        policy.update(outcomes)
        before = probabilities(policy, contexts, eligible)
        copy.loads(policy.dumps())
        assert np.array_equal(probabilities(copy, contexts, eligible), before)
        policy.update(draw_outcomes(catalogue, 1, np.random.default_rng(25)))
        assert (probabilities(policy, contexts, eligible) != before).any()

    def test_no_width_is_the_best_offer_at_the_mean(self, catalogue):
        policy = bandit.ThompsonSampling(catalogue, width=0.0, floor=0.0)
        policy.update(draw_outcomes(catalogue, 900, np.random.default_rng(8)))
        contexts = draw_contexts(catalogue, 40, np.random.default_rng(9))
        eligible = catalogue.eligible(contexts)
        best = np.where(eligible, policy.predict(contexts), -np.inf).argmax(axis=1)
        chosen = probabilities(policy, contexts, eligible)
        assert (chosen[np.arange(40), best] == 1.0).all()

    def test_learning_is_the_same_however_the_outcomes_are_split(self):
        """Kind "reward" is a linear model: exact but for rounding; the scale settles on the same 500 outcomes."""
        catalogue = catalogue_for("reward")
        outcomes = draw_outcomes(catalogue, WARM_UP + 300, np.random.default_rng(10))
        whole, parts = bandit.ThompsonSampling(catalogue), bandit.ThompsonSampling(catalogue)
        whole.update(outcomes)
        for start in range(0, len(outcomes), 90):
            parts.update(outcomes.take(slice(start, start + 90)))
        contexts = draw_contexts(catalogue, 20, np.random.default_rng(11))
        np.testing.assert_allclose(whole.predict(contexts), parts.predict(contexts), atol=1e-8)

    def test_scales_are_frozen_after_the_warm_up(self, catalogue):
        policy = bandit.ThompsonSampling(catalogue)
        policy.update(draw_outcomes(catalogue, WARM_UP, np.random.default_rng(12)))
        settled = dict(policy._learner.outlook.encoder.scales)
        outcomes = draw_outcomes(catalogue, 400, np.random.default_rng(13))
        far = {**outcomes.contexts.columns, "recency": outcomes.contexts.columns["recency"] + 1000.0}
        policy.update(amended(outcomes, contexts=Contexts(400, far, outcomes.contexts.text)))
        assert policy._learner.outlook.encoder.scales == settled

    @pytest.mark.parametrize("objective", OBJECTIVES)
    @pytest.mark.parametrize("n", [80, 200, 900], ids=["at the start", "in the warm-up", "after it"])
    def test_a_restated_outcome_leaves_the_belief_of_the_right_outcome(self, objective, n):
        """5 purchases are returned. Raw rewards are learned by a linear model, where taking back is exact but for the
        prior's variances, estimated from 100 outcomes on with what was wrong; responses by Laplace steps, where it is
        right to first order: at least three quarters of what was off is gone."""
        catalogue = catalogue_for(objective)
        wrong = draw_outcomes(catalogue, n, np.random.default_rng(14))
        returned = np.flatnonzero(wrong.converted)[:5]
        converted, revenue, reward = wrong.converted.copy(), wrong.revenue.copy(), wrong.reward.copy()
        converted[returned], revenue[returned] = False, 0.0
        reward = catalogue.objective.reward(catalogue.money, wrong.offer, converted, revenue, revenue)
        right = amended(wrong, converted=converted, revenue=revenue, reward=reward)
        again = amended(
            right,
            is_update=np.ones(n, dtype=bool),
            previous_converted=wrong.converted,
            previous_revenue=wrong.revenue,
            previous_reward=wrong.reward,
        ).take(returned)
        restated, other = bandit.ThompsonSampling(catalogue), bandit.ThompsonSampling(catalogue)
        restated.update(wrong)
        other.update(right)
        contexts = draw_contexts(catalogue, 50, np.random.default_rng(15))
        off = np.abs(restated.predict(contexts) - other.predict(contexts)).mean()
        restated.update(again)
        assert (
            np.abs(restated.predict(contexts) - other.predict(contexts)).mean()
            < (0.01 if objective == "reward" and n < FIRST_ESTIMATE else 0.25) * off
        )

    def test_before_anything_is_known_every_option_is_tried(self, catalogue):
        """Beyond the floor, which gives each option 1 % x its share of the eligible offers: the deepest discount leaves
        less than half of the margin, and still it wins some draws."""
        contexts = draw_contexts(catalogue, 200, np.random.default_rng(16))
        policy, eligible = bandit.ThompsonSampling(catalogue), catalogue.eligible(contexts)
        chosen = np.mean([probabilities(policy, contexts, eligible, seed) for seed in range(50)], axis=0)
        for place, dimension in enumerate(catalogue.dimensions):
            shares, floor = (
                np.bincount(catalogue.options[:, place], weights=each.mean(axis=0))
                for each in (chosen, 0.01 * uniform_over(eligible))
            )
            assert (shares > 1.5 * floor).all(), dimension.name

    @pytest.mark.parametrize("settings", [{"draws": 0}, {"width": -1.0}, {"width": np.inf}, {"floor": 1.5}])
    def test_settings_that_make_no_policy_are_refused(self, catalogue, settings):
        with pytest.raises(PolicyError):
            bandit.ThompsonSampling(catalogue, **settings)

    def test_a_state_of_other_offers_is_refused(self, catalogue, spring):
        spring["dimensions"][0]["options"].append({"name": "30", "rate": 0.3})
        other = bandit.ThompsonSampling(bandit.Catalogue.from_dict(spring))
        with pytest.raises(PolicyError, match="weights"):
            bandit.ThompsonSampling(catalogue).loads(other.dumps())


class TestSegmentRules:
    def test_the_first_rule_that_matches_names_the_offer(self, catalogue):
        policy = bandit.SegmentRules.from_dict(catalogue, {**RULES, "exploration": 0.0})
        rows = [{"loyal": True, "gender": "f"}, {"loyal": False, "gender": "f"}, {"gender": "m"}]
        contexts = catalogue.contexts(rows)
        chosen = probabilities(policy, contexts, catalogue.eligible(contexts)).argmax(axis=1)
        assert [catalogue.offer(offer)["discount"] for offer in chosen] == ["10", "20", "0"]

    def test_exploration_is_spread_over_the_eligible_offers(self, catalogue):
        """10 % over 6 eligible offers: .1 / 6 each, and .9 + .1 / 6 for the named one."""
        policy = bandit.SegmentRules.from_dict(catalogue, RULES)
        contexts = catalogue.contexts([{"gender": "f", "loyal": False}])
        eligible = catalogue.eligible(contexts)
        chosen = probabilities(policy, contexts, eligible)[0]
        assert sorted(chosen[eligible[0]].tolist()) == pytest.approx([0.1 / 6] * 5 + [0.9 + 0.1 / 6])

    def test_an_offer_that_is_not_eligible_passes_to_the_next_rule(self, catalogue):
        policy = bandit.SegmentRules.from_dict(catalogue, {**RULES, "exploration": 0.0})
        contexts = catalogue.contexts([{"loyal": True, "gender": "f"}])
        eligible = catalogue.eligible(contexts)
        eligible[0, catalogue.offer_index(RULES["segments"][0]["offer"])] = False
        chosen = probabilities(policy, contexts, eligible).argmax(axis=1)[0]
        assert catalogue.offer(chosen)["discount"] == "20"

    @pytest.mark.parametrize(
        ("mapping", "words"),
        [
            ({"segments": [{"when": "loyal", "offer": {"discount": "10"}}]}, "lacks the dimension"),
            ({"segments": [{"when": "age > 3", "offer": NOTHING}]}, "not a declared fact"),
            ({"segment": []}, "segment"),
            ({"otherwise": {**NOTHING, "gift": "mug"}}, '"mug"'),
            ({"exploration": 2.0, "otherwise": NOTHING}, "share"),
        ],
    )
    def test_rules_that_cannot_be_used_are_refused(self, catalogue, mapping, words):
        with pytest.raises(CatalogueError, match=words):
            bandit.SegmentRules.from_dict(catalogue, mapping)

    def test_rules_without_any_offer_are_refused(self, spring):
        del spring["fallback"]
        with pytest.raises(CatalogueError, match="no fallback"):
            bandit.SegmentRules.from_dict(bandit.Catalogue.from_dict(spring), {})


class TestVowpalWabbit:
    def test_it_finds_what_earns_most(self):
        catalogue = catalogue_for("conversion")
        policy = bandit.VowpalWabbit(catalogue)
        policy.update(draw_outcomes(catalogue, 4000, np.random.default_rng(3)))
        contexts = draw_contexts(catalogue, 200, np.random.default_rng(4))
        chosen = probabilities(policy, contexts, catalogue.eligible(contexts)).mean(axis=0)
        assert np.bincount(catalogue.options[:, 0], weights=chosen).argmax() == 2

    def test_probabilities_are_above_0_even_under_bags(self, catalogue):
        policy = bandit.VowpalWabbit(catalogue, args="--bag 3 -q ca")
        policy.update(draw_outcomes(catalogue, 50, np.random.default_rng(4)))
        contexts = draw_contexts(catalogue, 20, np.random.default_rng(5))
        eligible = catalogue.eligible(contexts)
        assert (probabilities(policy, contexts, eligible)[eligible] >= 0.01 / 10 - 1e-12).all()

    def test_options_that_touch_files_or_are_unknown_are_refused(self, catalogue):
        with pytest.raises(PolicyError, match="-f"):
            bandit.VowpalWabbit(catalogue, args="-f stolen")
        with pytest.raises(PolicyError, match="does not start"):
            bandit.VowpalWabbit(catalogue, args="--no_such_option")

    def test_what_it_cannot_unlearn_is_counted(self, catalogue):
        policy = bandit.VowpalWabbit(catalogue)
        outcomes = draw_outcomes(catalogue, 10, np.random.default_rng(1))
        policy.update(amended(outcomes, is_update=np.ones(10, dtype=bool)))
        assert policy.not_restated == 10


def test_a_constant_offer_that_is_barred_gives_way_to_the_fallback(catalogue):
    tote = {"discount": "10", "channel": "email", "gift": "tote"}
    policy = bandit.ConstantOffer(catalogue, tote)
    contexts = catalogue.contexts([{"loyal": True}, {"loyal": False}])
    chosen = probabilities(policy, contexts, catalogue.eligible(contexts)).argmax(axis=1)
    assert chosen.tolist() == [catalogue.offer_index(tote), catalogue.fallback]
    with pytest.raises(OfferError):
        bandit.ConstantOffer(catalogue, {**tote, "discount": "20"})


def test_a_description_of_nothing_known_is_refused(catalogue):
    with pytest.raises(PolicyError, match="no policy of kind"):
        build(catalogue, {"kind": "oracle"})
    with pytest.raises(PolicyError, match="setting"):
        build(catalogue, {"kind": "thompson", "width": 1.0, "depth": 3})


def test_outcomes_learned_first_are_not_restated(catalogue):
    outcomes = draw_outcomes(catalogue, 3, np.random.default_rng(1))
    assert isinstance(outcomes, Outcomes)
    assert not outcomes.is_update.any()


def test_states_are_close_up_to_rounding_and_not_beyond(catalogue):
    policy = bandit.ThompsonSampling(catalogue)
    policy.update(draw_outcomes(catalogue, 100, np.random.default_rng(1)))
    state = policy.dumps()
    meta, arrays = unpack(state)
    mean = arrays["main/mean"]
    assert close(state, pack(meta, {**arrays, "main/mean": mean * (1 + 1e-9)}))
    assert not close(state, pack(meta, {**arrays, "main/mean": mean * 1.001}))
    assert not close(state, pack({**meta, "kind": "other"}, arrays))
    assert not close(state, b"rubbish")

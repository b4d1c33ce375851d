"""What the policies of Vowpal Wabbit promise beyond the contract of every policy."""

import copy
import dataclasses
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

import bandit
from bandit.domain import LoggedBatch, Outcomes
from bandit.encoding.encoder import Encoder, settle_scales
from bandit.errors import PolicyError
from bandit.evaluate.rewards.vw import VwReward
from bandit.policies import build
from bandit.policies.vw import Regression, VowpalWabbitSlates, sides
from bandit.policies.vw.text import context_lines, offer_lines
from bandit.policies.vw.workspace import Asked, Workspace, allowed
from tests.conftest import SPRING, amended, draw_contexts, draw_outcomes

ODD = st.text(min_size=1, max_size=6).filter(lambda text: text.strip() and "\0" not in text)
"""Names with bars, colons, spaces, line ends or emoji."""


def free():
    """SPRING without the rule that couples discount and gift: 12 offers, a rule of one dimension is left."""
    mapping = copy.deepcopy(SPRING)
    del mapping["rules"][0]
    return mapping


def catalogue_for(kind, mapping=SPRING):
    return bandit.Catalogue.from_dict({**mapping, "objective": {**mapping["objective"], "kind": kind}})


def probabilities(policy, contexts, eligible=None):
    eligible = policy.catalogue.eligible(contexts) if eligible is None else eligible
    return policy.probabilities(contexts, eligible, np.random.default_rng(1))


MAKERS = {
    "vw": bandit.VowpalWabbit,
    "vw-slates": VowpalWabbitSlates,
}


@pytest.fixture(params=MAKERS)
def maker(request):
    return MAKERS[request.param]


class TestEveryOne:
    def test_it_keeps_the_contract_where_no_rule_couples_dimensions(self, maker):
        catalogue = bandit.Catalogue.from_dict(free())
        policy = maker(catalogue)
        rng = np.random.default_rng(1)
        policy.update(draw_outcomes(catalogue, 600, rng))
        contexts = draw_contexts(catalogue, 40, rng)
        eligible = rng.random((40, catalogue.n_offers)) < 0.4
        eligible[:, 0] |= ~eligible.any(axis=1)
        for mask in (catalogue.eligible(contexts), eligible):
            before = policy.dumps()
            chosen = probabilities(policy, contexts, mask)
            np.testing.assert_allclose(chosen.sum(axis=1), 1.0, atol=1e-12)
            assert not chosen[~mask].any()
            assert (chosen[mask] > 0.0).all()
            assert policy.dumps() == before

    @pytest.mark.parametrize("seen", [100, 700])
    def test_a_reloaded_policy_goes_on_as_the_one_that_was_never_saved(self, maker, seen):
        """In the middle of the warm-up and after it."""
        catalogue = bandit.Catalogue.from_dict(free())
        rng = np.random.default_rng(2)
        policy = maker(catalogue)
        policy.update(draw_outcomes(catalogue, seen, rng))
        again = build(catalogue, policy.spec())
        again.loads(policy.dumps())
        more = draw_outcomes(catalogue, 450, rng)
        policy.update(more)
        again.update(more)
        assert again.dumps() == policy.dumps()
        contexts = draw_contexts(catalogue, 20, rng)
        np.testing.assert_array_equal(probabilities(again, contexts), probabilities(policy, contexts))
        assert again.spec() == policy.spec()

    def test_how_outcomes_are_batched_changes_nothing(self, maker):
        catalogue = bandit.Catalogue.from_dict(free())
        outcomes = draw_outcomes(catalogue, 650, np.random.default_rng(3))
        whole, parts = maker(catalogue), maker(catalogue)
        whole.update(outcomes)
        for start in range(0, 650, 90):
            parts.update(outcomes.take(slice(start, start + 90)))
        contexts = draw_contexts(catalogue, 30, np.random.default_rng(4))
        np.testing.assert_allclose(probabilities(whole, contexts), probabilities(parts, contexts), rtol=1e-5)

    def test_it_begins_with_equal_chances_and_ends_with_what_earns_most(self, maker):
        """The response rises with the discount, and conversion is all that counts: 20 wins, 0 and 10 do not."""
        catalogue = catalogue_for("conversion", free())
        policy = maker(catalogue)
        contexts = draw_contexts(catalogue, 100, np.random.default_rng(5))
        eligible = catalogue.eligible(contexts)
        np.testing.assert_allclose(probabilities(policy, contexts), eligible / eligible.sum(axis=1, keepdims=True))
        policy.update(draw_outcomes(catalogue, 4_000, np.random.default_rng(6)))
        shares = np.bincount(catalogue.options[:, 0], weights=probabilities(policy, contexts).mean(axis=0))
        assert shares.argmax() == 2

    def test_what_it_cannot_unlearn_is_counted_and_changes_nothing(self, maker):
        catalogue = bandit.Catalogue.from_dict(free())
        policy = maker(catalogue, warm_up=5)
        outcomes = draw_outcomes(catalogue, 10, np.random.default_rng(7))
        policy.update(outcomes)
        contexts = draw_contexts(catalogue, 10, np.random.default_rng(8))
        before = probabilities(policy, contexts)
        policy.update(amended(outcomes, is_update=np.ones(10, dtype=bool)))
        assert policy.not_restated == 10
        np.testing.assert_array_equal(probabilities(policy, contexts), before)

    def test_threads_that_ask_while_one_teaches_get_probabilities(self, maker):
        catalogue = bandit.Catalogue.from_dict(free())
        policy = maker(catalogue, warm_up=20)
        rng = np.random.default_rng(9)
        policy.update(draw_outcomes(catalogue, 30, rng))
        contexts, lessons = draw_contexts(catalogue, 5, rng), [draw_outcomes(catalogue, 5, rng) for _ in range(20)]
        wrong = []

        def ask():
            for _ in range(20):
                try:
                    np.testing.assert_allclose(probabilities(policy, contexts).sum(axis=1), 1.0, atol=1e-9)
                except Exception as fault:  # noqa: BLE001 - it is told after the threads have ended
                    wrong.append(fault)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for lesson in lessons:
            policy.update(lesson)
        for thread in threads:
            thread.join()
        assert not wrong
        alone = maker(catalogue, warm_up=20)
        alone.loads(policy.dumps())
        np.testing.assert_array_equal(probabilities(alone, contexts), probabilities(policy, contexts))

    @settings(max_examples=15)
    @given(ODD, st.integers(0, 1))
    def test_odd_names_are_learned_like_plain_ones(self, name, which):
        """Whatever characters the names have, the offer that won twice is likelier than the one that lost twice."""
        catalogue = bandit.Catalogue.from_dict(
            {
                "context": {"who": {"type": "categorical", "values": [name]}},
                "dimensions": [{"name": "d " + name, "options": [{"name": name}, {"name": name + "|a:9"}]}],
            }
        )
        policy = list(MAKERS.values())[which](catalogue, warm_up=2)
        contexts = catalogue.contexts([{"who": name}] * 4)
        eligible = catalogue.eligible(contexts)
        won = np.array([True, False, True, False])
        offer, money = np.array([0, 1, 0, 1]), won.astype(float)
        policy.update(Outcomes.new(contexts, offer, eligible, np.full(4, 0.5), won, money, money))
        chosen = probabilities(policy, contexts)
        np.testing.assert_allclose(chosen.sum(axis=1), 1.0, atol=1e-12)
        assert (chosen[:, 0] > chosen[:, 1]).all()

    def test_settings_that_make_no_policy_are_refused(self, maker):
        catalogue = bandit.Catalogue.from_dict(free())
        for wrong in ({"floor": 1.5}, {"warm_up": 0}):
            with pytest.raises(PolicyError):
                maker(catalogue, **wrong)

    def test_a_state_that_does_not_fit_is_refused_and_nothing_changes(self, maker):
        catalogue = bandit.Catalogue.from_dict(free())
        policy = maker(catalogue)
        policy.update(draw_outcomes(catalogue, 520, np.random.default_rng(10)))
        before = policy.dumps()
        for bad in (b"rubbish", bandit.ThompsonSampling(catalogue).dumps(), before[:-40]):
            with pytest.raises(PolicyError):
                policy.loads(bad)
        assert policy.dumps() == before


class TestArguments:
    @pytest.mark.parametrize("args", ["-f stolen", "-fstolen", "--cache_file=x", "--invert_hash x", "--daemon", "-c"])
    def test_what_touches_files_or_the_network_is_refused(self, args, catalogue):
        with pytest.raises(PolicyError, match=args.split()[0].split("=")[0][:2]):
            bandit.VowpalWabbit(catalogue, args=args)

    def test_what_the_policy_sets_is_refused(self, catalogue):
        with pytest.raises(PolicyError, match="cb_explore_adf"):
            bandit.VowpalWabbit(catalogue, args="--cb_explore_adf")

    def test_what_vw_does_not_know_is_refused(self, catalogue):
        with pytest.raises(PolicyError, match="does not start"):
            bandit.VowpalWabbit(catalogue, args="--no_such_option")

    def test_arguments_of_interactions_pass(self):
        assert allowed("-q ca --cubic caa -l 0.5 --cb_type dr") == "-q ca --cubic caa -l 0.5 --cb_type dr"


class TestSlates:
    def test_a_rule_that_couples_dimensions_is_one_clear_sentence(self, catalogue):
        with pytest.raises(PolicyError, match=r"couples discount and gift \(margin floor\); use vw or thompson"):
            VowpalWabbitSlates(catalogue)

    def test_a_combination_has_the_product_of_what_the_slots_give(self):
        """VW asked directly for the slots of one context; floor 0, so that nothing is mixed in."""
        catalogue = bandit.Catalogue.from_dict(free())
        policy = VowpalWabbitSlates(catalogue, floor=0.0)
        policy.update(draw_outcomes(catalogue, 600, np.random.default_rng(11)))
        contexts = catalogue.contexts([{"gender": "f", "recency": 10.0, "loyal": True}])
        chosen = probabilities(policy, contexts)[0]
        ends = [f"slates slot |s {place}" for place in range(3)]
        every = [np.arange(len(dimension.options)) for dimension in catalogue.dimensions]
        asked = policy._vw.ask(
            [f"slates shared {context_lines(policy._encoder, contexts)[0]}", *policy._lines(every), *ends]
        )
        slots = [dict(answer) for answer in asked]
        product = [
            np.prod([slot[option] for slot, option in zip(slots, row, strict=True)]) for row in catalogue.options
        ]
        np.testing.assert_allclose(chosen, product, rtol=1e-5)

    def test_an_eligible_set_that_is_no_product_is_conditioned_on(self):
        """Without the single offer that is barred, all others keep their proportions."""
        catalogue = bandit.Catalogue.from_dict(free())
        policy = VowpalWabbitSlates(catalogue, floor=0.0)
        policy.update(draw_outcomes(catalogue, 600, np.random.default_rng(12)))
        contexts = catalogue.contexts([{"loyal": True}])
        eligible = catalogue.eligible(contexts).copy()
        whole = probabilities(policy, contexts, eligible)[0]
        barred = int(whole.argmax())
        eligible[0, barred] = False
        whole[barred] = 0.0
        np.testing.assert_allclose(probabilities(policy, contexts, eligible)[0], whole / whole.sum(), rtol=1e-9)

    def test_an_option_that_nobody_may_have_is_not_offered_to_vw(self):
        """Not loyal: no tote, and only the other dimensions share the probability."""
        catalogue = bandit.Catalogue.from_dict(free())
        policy = VowpalWabbitSlates(catalogue)
        policy.update(draw_outcomes(catalogue, 520, np.random.default_rng(13)))
        chosen = probabilities(policy, catalogue.contexts([{"loyal": False}]))[0]
        assert not chosen[catalogue.options[:, 2] == 1].any()


class TestRegression:
    def test_what_numpy_reads_is_what_vw_predicts(self):
        """The score from the weights read back, and VW's own answer to the same features."""
        rng = np.random.default_rng(19)
        main, pairs = np.eye(4), np.eye(4)[:, :2]
        regression = Regression(main, pairs, 3, loss="squared", rate=0.01)
        x, offer = rng.normal(size=(200, 3)), rng.integers(0, 4, 200)
        regression.learn(x, offer, rng.normal(size=200))
        scores = regression.scores(x)
        for row in range(5):
            columns = regression._columns(x[row : row + 1], offer[row : row + 1])[0]
            said = regression._vw.predict("| " + " ".join(f"{k}:{value:.9g}" for k, value in enumerate(columns)))
            assert scores[row, offer[row]] == pytest.approx(said, abs=1e-5)

    def test_it_finds_a_logit_that_it_can_represent(self):
        """Two offers, one fact, logit 0.5 - (offer 1) + 0.8 x (offer 1). A constant step leaves each weight a variance
        of about rate / 2; four features of size 1 are active, so that a score has the deviation
        sqrt(4 x 0.001 / 2) = 0.045: within four of it. Without the fact, which is the control, offer 1 has no two
        scores, and 0.8 lies to either side."""
        rng, n = np.random.default_rng(20), 60_000
        x = np.column_stack([np.ones(n), rng.choice([-1.0, 1.0], n)])
        offer = rng.integers(0, 2, n)
        won = sides(rng.random(n) < expit(0.5 - offer + 0.8 * x[:, 1] * offer))
        truth, corners = np.array([[0.5, -1.3], [0.5, 0.3]]), np.array([[1.0, -1.0], [1.0, 1.0]])
        off = []
        for seen in (x, x[:, :1]):
            regression = Regression(np.eye(2), np.zeros((2, 0)), seen.shape[1], loss="logistic", rate=0.001)
            regression.learn(seen, offer, won)
            off.append(np.abs(regression.scores(corners[:, : seen.shape[1]]) - truth).max())
        assert off[0] < 0.18 < off[1]

    def test_a_model_goes_on_where_it_stood(self):
        rng = np.random.default_rng(21)
        x, offer, label = rng.normal(size=(60, 3)), rng.integers(0, 4, 60), sides(rng.random(60) < 0.5)
        one = Regression(np.eye(4), np.zeros((4, 0)), 3, loss="logistic", rate=0.05)
        one.learn(x[:30], offer[:30], label[:30])
        other = Regression(np.eye(4), np.zeros((4, 0)), 3, loss="logistic", rate=0.05, model=one.model())
        for each in (one, other):
            each.learn(x[30:], offer[30:], label[30:])
        np.testing.assert_array_equal(one.scores(x), other.scores(x))
        other.close()


class TestReward:
    def test_it_is_the_objective_of_the_chance_and_the_mean_basket(self, catalogue):
        """Profit of an offer = p x (basket x (0.35 - rate) - redemption) - contact; 0 before anything is learned."""
        batch = logged(catalogue, 800, 22)
        model = VwReward(Encoder(catalogue, settle_scales(catalogue, batch.contexts)))
        assert not model.predict(batch.contexts).any()
        model.learn(batch.take(slice(0, 300)))
        model.learn(batch.take(slice(300, 800)))
        model.learn(batch.take(slice(0, 0)))
        chance = expit(model._regression.scores(model.encoder.context_matrix(batch.contexts)))
        basket, money = batch.revenue[batch.converted].mean(), catalogue.money
        by_hand = chance * (basket * (0.35 - money.rate) - money.redemption_cost) - money.contact_cost
        np.testing.assert_allclose(model.predict(batch.contexts), by_hand)

    def test_rewards_are_learned_in_their_own_unit(self):
        """Rewards of 1,000, and 1,100 for offer 0: that is what it says of offer 0, within 15, and of no other offer;
        the mean of all rewards, which is the control, is off by more there."""
        catalogue = catalogue_for("reward")
        batch = logged(catalogue, 20_000, 23)
        batch = dataclasses.replace(batch, reward=1_000.0 + 100.0 * (batch.offer == 0))
        model = VwReward(Encoder(catalogue, settle_scales(catalogue, batch.contexts)))
        model.learn(batch)
        said = model.predict(batch.contexts.take(slice(0, 200))).mean(axis=0)
        assert abs(said[0] - 1_100.0) < 15.0 < abs(batch.reward.mean() - 1_100.0)
        assert (said[1:] < 1_050.0).all()


def logged(catalogue, n, seed):
    seen = draw_outcomes(catalogue, n, np.random.default_rng(seed))
    columns = (seen.contexts, seen.offer, seen.eligible, seen.propensity, seen.converted, seen.revenue, seen.reward)
    return LoggedBatch(*columns, np.arange(n))


class TestWorkspaces:
    def test_closing_twice_does_nothing(self):
        workspace = Workspace("--cb_explore_adf")
        workspace.close()
        workspace.close()

    def test_asking_teaches_nothing_and_what_is_learned_is_answered_next(self):
        asked = Asked("--cb_explore_adf --epsilon 0 -l 5")
        lines = ["shared |c x", "|a p", "|a q"]
        before = asked.model()
        asked.ask(lines)
        assert asked.model() == before
        for _ in range(20):
            asked.learn([lines[0], lines[1], "0:-1:0.5 " + lines[2]])
        assert asked.ask(lines)[1] == pytest.approx(1.0)
        asked.close()

    def test_what_vw_cannot_read_is_refused(self):
        with pytest.raises(PolicyError, match="does not start"):
            Workspace("--cb_explore_adf", b"rubbish")
        with pytest.raises(PolicyError, match="cannot"):
            Workspace("--cb_explore_adf").learn([])

    @given(ODD)
    def test_lines_have_one_bar_and_are_one_line(self, name):
        catalogue = bandit.Catalogue.from_dict(
            {
                "context": {"who": {"type": "categorical", "values": [name]}},
                "dimensions": [{"name": "d " + name, "options": [{"name": name}, {"name": name + "|a:9"}]}],
            }
        )
        encoder = Encoder(catalogue)
        contexts = context_lines(encoder, catalogue.contexts([{"who": name}]))
        for line in [*contexts, *offer_lines(encoder.offers.main_names, encoder.offers.main)]:
            assert line.isascii()
            assert line.count("|") == 1
            assert "\n" not in line
            assert ":" not in line

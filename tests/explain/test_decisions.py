"""The explanation of every kind of decision: who served, what was expected, how likely it was, what is not known."""

import pickle

import numpy as np
import pytest

import bandit
from bandit.errors import InputError, StoreError, UnknownDecisionError
from bandit.explain import customer_decisions, explain_decision
from bandit.governance.erasure import erase
from bandit.governance.retention import retain
from bandit.policies import SegmentRules
from bandit.store import Store
from tests.catalogue.test_groups import NOTHING, RULES
from tests.engine.conftest import DAY, KEY, context, serve
from tests.engine.test_rollout import with_rollout
from tests.logfiles.import_tools import MAPPING, bring, mapping, row, table
from tests.policies.test_many_offers import large


def learned(engine, clock, rounds=2, n=120, first=0):
    """Rounds of decisions, each learned once its window is over."""
    for number in range(first, first + rounds):
        serve(engine, clock, n, np.random.default_rng(number), prefix=f"{number}-")
        clock.now += 8 * DAY
        engine.learn()


def check_sums(explanation):
    """The parts of the lead, and of the difference of the scores behind it, sum to it."""
    lead, (chosen, other) = explanation.lead, explanation.offers[:2]
    total = lead.base + sum(each.worth for each in lead.contributions)
    assert total == pytest.approx(lead.reward.value, abs=1e-9)
    assert lead.reward.value == pytest.approx(chosen.reward.value - other.reward.value, abs=1e-9)
    logit = [np.log(each.p_convert.value / (1.0 - each.p_convert.value)) for each in (chosen, other)]
    response = lead.base_response + sum(each.response for each in lead.contributions)
    assert response == pytest.approx(logit[0] - logit[1], abs=1e-9)
    assert sum(each.worth for each in lead.facts) == pytest.approx(lead.reward.value - lead.base, abs=1e-9)


class TestPolicy:
    def test_a_decision_of_the_policy_is_computed_again_with_its_propensity_and_its_reasons(self, open_engine, clock):
        engine = open_engine()
        learned(engine, clock)
        decision = engine.decide("customer-3", context(3))
        found = decision.explain()
        assert (found.served.kind, found.served.policy, found.served.step) == ("policy", "thompson sampling", 2)
        assert (found.decision_id, found.label) == (decision.decision_id, engine.catalogue.label(decision.offer_index))
        assert found.chance.recomputed == found.chance.propensity == decision.propensity
        assert found.n_eligible == decision.eligible.sum()
        assert [each.role for each in found.offers] in (["chosen", "runner-up"], ["chosen", "best"])
        assert found.offers[1].probability == decision.probabilities[found.offers[1].index]
        assert found.notes == ()
        check_sums(found)

    def test_the_best_and_the_runner_up_are_those_of_the_policys_own_prediction(self, open_engine, clock):
        engine = open_engine()
        learned(engine, clock)
        explored = 0
        for number in range(20):
            decision = engine.decide(f"new-{number}", context(number), decision_id=f"decision-{number}")
            found = engine.explain(decision.decision_id)
            contexts = engine.catalogue.contexts([context(number)], [engine.store.customers.stored(f"new-{number}")])
            rewards = np.where(decision.eligible, engine.policy.predict(contexts)[0], -np.inf)
            order = np.argsort(-rewards)
            assert found.chance.is_best == (order[0] == decision.offer_index)
            assert found.offers[1].index == next(each for each in order if each != decision.offer_index)
            assert found.offers[0].reward.value == pytest.approx(rewards[decision.offer_index], rel=1e-9)
            assert found.chance.best_probability == decision.probabilities[order[0]]
            explored += not found.chance.is_best
        assert 0 < explored < 20

    def test_the_rules_that_held_are_listed_with_their_reasons_and_conditions(self, open_engine):
        found = open_engine().decide("a", {"loyal": False}).explain()
        always, removal = found.removals
        assert (always.rule, always.reason, always.condition, always.n_offers, always.n_combinations) == (
            1,
            "margin floor",
            "",
            0,
            2,
        )
        assert (removal.rule, removal.reason, removal.condition, removal.n_offers) == (
            2,
            "for the loyal",
            "not loyal",
            4,
        )
        assert (found.n_offers, found.n_eligible) == (10, 6)

    def test_an_old_decision_is_explained_with_the_state_it_was_made_with(self, open_engine, clock):
        engine = open_engine()
        learned(engine, clock, rounds=1)
        decision = engine.decide("customer-3", context(3))
        before = decision.explain()
        learned(engine, clock, rounds=3, first=5)
        engine.close()
        with Store.open(engine.store.path, read_only=True, unnamed_customers=True) as store:
            after = explain_decision(store, decision.decision_id)
        assert (after.served.step, after.to_dict()) == (1, before.to_dict())

    def test_a_batch_is_drawn_again_as_a_whole(self, open_engine, clock):
        engine = open_engine()
        learned(engine, clock)
        batch = engine.decide_batch([f"c{each}" for each in range(30)], [context(each) for each in range(30)])
        for place in (0, 11, 29):
            chance = engine.explain(batch.decision_ids[place]).chance
            assert chance.recomputed == chance.propensity == batch.propensity[place]

    @pytest.mark.filterwarnings("ignore:.*came with a revenue and no reward")
    @pytest.mark.parametrize("kind", ["conversion", "revenue", "reward"])
    def test_every_objective_has_its_quantities(self, path, clock, spring, kind):
        objective = {"kind": kind, "event": "purchase", "window": "7d"}
        catalogue = bandit.Catalogue.from_dict(spring | {"objective": objective})
        policy = bandit.ThompsonSampling(catalogue)
        with bandit.Engine.open(path, catalogue, policy, seed=7, customer_key=KEY, clock=clock) as engine:
            learned(engine, clock)
            found = engine.decide("customer-3", context(3)).explain()
        chosen = found.offers[0]
        assert (chosen.p_convert is None, chosen.revenue is None) == (kind == "reward", kind != "revenue")
        assert found.objective == kind
        assert found.lead.base + sum(each.worth for each in found.lead.contributions) == pytest.approx(
            found.lead.reward.value, abs=1e-9
        )

    def test_before_anything_is_learned_it_says_so(self, open_engine):
        found = open_engine().decide("a", context(1)).explain()
        assert "The policy had learned nothing yet: what it expected is only its prior." in found.notes

    @pytest.mark.parametrize("many", [False, pytest.param(True, marks=pytest.mark.slow)])
    def test_of_many_offers_the_best_are_searched_for(self, path, clock, spring, monkeypatch, many):
        if not many:  # few offers, treated as many
            monkeypatch.setattr("bandit.policies.thompson.policy.SEARCH_ABOVE", 0)
            monkeypatch.setattr("bandit.decide.FEW_OFFERS", 0)
            monkeypatch.setattr("bandit.encoding.offer_columns.MAX_PAIR_COLUMNS", 0)
        catalogue = bandit.Catalogue.from_dict(large() if many else spring)
        policy = bandit.ThompsonSampling(catalogue)
        with bandit.Engine.open(path, catalogue, policy, seed=7, customer_key=KEY, clock=clock) as engine:
            learned(engine, clock, n=60)
            for number in range(3):
                decision = engine.decide(f"new-{number}", context(number))
                found = decision.explain()
                assert found.chance.recomputed == pytest.approx(decision.propensity, abs=1e-12)
                check_sums(found)
                contexts = catalogue.contexts([context(number)], [engine.store.customers.stored(f"new-{number}")])
                rewards = np.where(decision.eligible, engine.policy.predict(contexts)[0], -np.inf)
                best = max(each.reward.value for each in found.offers)
                assert best == pytest.approx(rewards.max(), rel=1e-5)
                assert any("runner-up is the best of those" in note for note in found.notes)


class TestOtherPolicies:
    def test_segment_rules_name_the_rule_that_fired(self, open_engine, catalogue):
        segments = [
            {"when": "not loyal", "offer": NOTHING | {"gift": "tote"}, "name": "never eligible"},
            {"when": "recency > 20", "offer": NOTHING | {"discount": "10"}, "name": "lapsed"},
            {"when": "gender == 'm'", "offer": NOTHING | {"discount": "20"}},
        ]
        rules = SegmentRules.from_dict(catalogue, {"segments": segments, "otherwise": NOTHING, "exploration": 0.2})
        engine = open_engine(rules)
        found = engine.decide("a", {"gender": "m", "recency": 30.0, "loyal": False}).explain()
        assert (found.segment.number, found.segment.name, found.segment.skipped) == (2, "lapsed", (1,))
        assert found.segment.condition == "recency > 20"
        assert found.chance.recomputed == pytest.approx(found.chance.propensity, abs=1e-12)
        last = engine.decide("b", {"gender": "f", "recency": 1.0, "loyal": True}).explain()
        assert last.segment.number is None
        assert "`otherwise`" in last.segment.sentence
        named = {engine.decide(f"c{each}", {"loyal": True}).explain().chance.is_best for each in range(25)}
        assert named == {True, False}

    def test_an_even_draw_and_one_offer_for_everyone(self, path, clock, catalogue):
        for policy in (bandit.Uniform(catalogue), bandit.ConstantOffer(catalogue, 0)):
            with bandit.Engine.open(path, catalogue, policy, seed=7, customer_key=KEY, clock=clock) as engine:
                decision = engine.decide("a", {"loyal": True})
                found = decision.explain()
                assert found.chance.recomputed == pytest.approx(decision.propensity)
                assert found.offers == ()
                assert found.lead is None
        assert "same offer" in found.served.sentence

    def test_vowpal_wabbit_has_probabilities_and_no_reasons(self, open_engine, clock, catalogue):
        engine = open_engine(bandit.VowpalWabbit(catalogue, warm_up=50))
        learned(engine, clock, rounds=1)
        decision = engine.decide("customer-3", context(3))
        found = decision.explain()
        assert found.chance.recomputed == found.chance.propensity == decision.propensity
        assert found.offers[0].probability == decision.propensity
        assert found.offers[0].reward is None
        assert any("not taken apart" in note for note in found.notes)

    def test_a_policy_that_only_its_program_can_build_has_its_log_and_a_note(self, open_engine, catalogue):
        class Own(bandit.Uniform):
            def spec(self):
                return {"kind": "my own"}

        found = open_engine(Own(catalogue)).decide("a", context(1)).explain()
        assert found.chance.propensity == pytest.approx(1 / found.n_eligible)
        assert any("there is no policy of kind" in note for note in found.notes)

    def test_a_faulty_policy_leaves_the_fallback_and_its_fault(self, open_engine, catalogue):
        class Broken(bandit.Uniform):
            def probabilities(self, contexts, eligible, rng):
                raise ValueError("no model today")

        found = open_engine(Broken(catalogue)).decide("a", context(1)).explain()
        assert (found.served.kind, found.served.fault) == ("fallback", "ValueError: no model today")
        assert found.offer == NOTHING
        assert found.lead is None


class TestGroups:
    def test_each_group_is_served_by_its_own(self, path, clock, spring):
        shares = {"policy": 0.25, "rules": RULES | {"share": 0.25}, "random": 0.25, "holdout": 0.25}
        catalogue = bandit.Catalogue.from_dict(spring | {"groups": shares})
        policy = bandit.ThompsonSampling(catalogue)
        with bandit.Engine.open(path, catalogue, policy, seed=7, customer_key=KEY, clock=clock) as engine:
            found = {each: engine.decide("a", context(3), group=each).explain() for each in catalogue.groups.names}
        assert {name: each.served.kind for name, each in found.items()} == {name: name for name in found}
        assert found["rules"].segment is not None
        assert found["holdout"].offer == NOTHING
        for each in found.values():
            assert each.chance.recomputed == pytest.approx(each.chance.propensity, abs=1e-12)
        assert found["random"].chance.propensity == pytest.approx(1 / found["random"].n_eligible)

    def test_a_ramp_shows_its_arms_and_the_mixture(self, path, clock, spring):
        catalogue = with_rollout(spring)
        policy = bandit.ThompsonSampling(catalogue)
        with bandit.Engine.open(path, catalogue, policy, seed=7, customer_key=KEY, clock=clock) as engine:
            learned(engine, clock, rounds=1)
            kinds = set()
            for number in range(12):
                decision = engine.decide(f"customer-{number}", context(number))
                found = decision.explain()
                kinds.add(found.served.kind)
                assert (found.served.arm, found.chance.recomputed) == (decision.arm, decision.propensity)
                mixed = sum(each.weight * each.probability for each in found.served.arms if each.weight)
                assert mixed == pytest.approx(decision.propensity)
                assert (found.segment is None) == (found.served.kind == "policy")
            assert kinds == {"policy", "rules"}
            engine.rollout.set_mode("shadow", author="anna")
            shadow = engine.decide("customer-1", context(1)).explain()
            assert shadow.served.kind == "rules"
            assert 'mode was "shadow"' in shadow.served.sentence
            engine.rollout.kill(author="anna", reason="wrong prices")
            killed = engine.decide("customer-1", context(1)).explain()
        assert killed.served.kind == "fallback"
        assert "kill by anna" in killed.served.sentence
        assert "wrong prices" in killed.served.sentence

    def test_a_challenger_is_explained_by_its_own_state(self, path, clock, spring):
        catalogue = with_rollout(spring, share=1.0)
        with bandit.Engine.open(
            path, catalogue, bandit.ThompsonSampling(catalogue), customer_key=KEY, clock=clock
        ) as one:
            learned(one, clock, rounds=1)
            champion = one.policy_id
        other = bandit.ThompsonSampling(catalogue, name="bold", width=2.0)
        with bandit.Engine.open(path, catalogue, other, customer_key=KEY, clock=clock) as two:
            challenger = two.policy_id
            two.learn()
        with bandit.Engine.resume(path, policy_id=champion, seed=7, customer_key=KEY, clock=clock) as engine:
            engine.rollout.challenge(challenger, 0.5, champion=champion, author="anna")
            found = [engine.decide(f"new-{number}", context(number)).explain() for number in range(12)]
        assert {each.served.kind for each in found} == {"policy", "challenger"}
        for each in found:
            assert each.chance.recomputed == each.chance.propensity
            assert each.served.policy == ("bold" if each.served.kind == "challenger" else "thompson sampling")
            check_sums(each)


class TestWhatCannotBeKnown:
    @pytest.mark.parametrize("unknown", [False, True])
    def test_imported_decisions_have_no_reasons(self, tmp_path, unknown):
        columns = MAPPING["columns"] | {"propensity": "unknown" if unknown else "p"}
        bring(tmp_path, table(row()), using=mapping(columns=columns))
        with Store.open(tmp_path / "offers.db") as store:
            found = explain_decision(store, "d1")
        assert found.served.kind == "imported"
        assert found.chance.propensity == (None if unknown else 0.25)
        assert found.lead is None
        (note,) = found.notes
        assert ("neither the policy" in note) == unknown

    def test_after_a_retention_run_the_state_is_gone_and_the_rest_is_told(self, open_engine, clock):
        engine = open_engine()
        learned(engine, clock, rounds=1)
        decision = engine.decide("customer-3", context(3))
        clock.now += 30 * DAY
        later = engine.decide("customer-4", context(4))
        learned(engine, clock, rounds=1, first=5)
        path = engine.store.path
        engine.close()
        with Store.open(path, customer_key=KEY) as store:
            retain(store, later.time - DAY)
            with pytest.raises(UnknownDecisionError, match="or it was erased"):
                explain_decision(store, decision.decision_id)
            found = explain_decision(store, later.decision_id)
        assert any("state from before an erasure or a retention run" in note for note in found.notes)
        assert found.chance.recomputed is None
        assert found.chance.propensity == later.propensity
        assert found.removals or found.n_eligible == found.n_offers

    def test_a_batch_that_lost_its_first_decision_cannot_be_drawn_again(self, open_engine, clock):
        engine = open_engine()
        learned(engine, clock, rounds=1)
        batch = engine.decide_batch(["gone", "stays"], [context(1), context(2)])
        path = engine.store.path
        engine.close()
        with Store.open(path, customer_key=KEY) as store:
            erase(store, "gone")
            found = explain_decision(store, batch.decision_ids[1])
        assert any("draw cannot be repeated" in note or "erasure" in note for note in found.notes)
        assert found.chance.recomputed is None
        assert found.chance.propensity == batch.propensity[1]

    def test_a_repeat_is_explained_by_the_decision_that_is_held(self, path, clock, spring):
        catalogue = bandit.Catalogue.from_dict(spring | {"sticky": {"for": "3d", "until": ["purchase"]}})
        policy = bandit.ThompsonSampling(catalogue)
        with bandit.Engine.open(path, catalogue, policy, seed=7, customer_key=KEY, clock=clock) as engine:
            first = engine.decide("a", context(1))
            clock.now += DAY
            again = engine.decide("a", context(1))
            found = again.explain()
            listed = customer_decisions(engine.store, "a")
        assert found.served.held_from == again.held_from == first.decision_id
        assert (found.decision_id, found.time) == (again.decision_id, again.time)
        assert "still holds" in found.served.sentence
        assert (listed.n, listed.lines[0].repeats) == (1, 1)

    def test_what_is_not_there_is_said(self, open_engine, clock, locked):
        engine = open_engine(busy_timeout=0.05)
        with pytest.raises(UnknownDecisionError, match='no decision "x"'):
            engine.explain("x")
        with pytest.raises(InputError, match="between 0 and 1"):
            engine.explain("x", level=1.0)
        decision = engine.decide("a", context(1))
        unlock = locked()
        spooled = engine.decide("a", context(1))
        unlock()
        with pytest.raises(InputError, match="waits in the spool"):
            spooled.explain()
        engine.close()
        with pytest.raises(StoreError, match="closed"):
            decision.explain()

    def test_a_decision_without_its_engine_says_whom_to_ask(self, open_engine):
        decision = open_engine().decide("a", {"loyal": True})
        assert "explainer" not in repr(decision)
        copied = pickle.loads(pickle.dumps(decision))  # noqa: S301 - our own bytes
        assert copied.offer == decision.offer
        with pytest.raises(RuntimeError, match=r"ask engine\.explain"):
            copied.explain()

    def test_a_customer_without_decisions_is_said(self, open_engine):
        with pytest.raises(InputError, match="there is no decision for this customer"):
            customer_decisions(open_engine().store, "nobody")


def test_the_last_decisions_of_a_customer_are_listed_the_newest_first(open_engine, clock):
    engine = open_engine()
    ids = []
    for number in range(5):
        ids.append(engine.decide("a", context(number)).decision_id)
        clock.now += DAY
    found = customer_decisions(engine.store, "a", 3)
    assert [each.decision_id for each in found.lines] == ids[:1:-1]
    assert (found.n, found.to_rows()[0]["served"]) == (5, "policy")

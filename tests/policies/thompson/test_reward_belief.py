"""The reward belief: customers' own effects."""

from dataclasses import replace

import numpy as np
import pytest

import bandit
from bandit.domain import Outcomes
from tests.policies.tools import OutcomesLog, conversion, outcomes_of


class TestCustomerEffects:
    def learned(self, catalogue, personal):
        """Anna answers every text message and no e-mail; 2,000 others answer both alike, one in five."""
        rng = np.random.default_rng(9)
        policy = bandit.ThompsonSampling(catalogue, personal=personal)
        policy.update(outcomes_of(catalogue, lambda _, options: np.full(len(options), 0.2), 2_000, rng))
        anna = np.full(60, "anna", dtype=object)
        policy.update(outcomes_of(catalogue, lambda _, options: options[:, 1] * 1.0, 60, rng, customers=anna))
        return policy

    def by_text(self, catalogue, policy, customer):
        """What a text message adds to this customer's predicted response, in the mean over the other levers."""
        predicted = policy.predict(catalogue.contexts([{"loyal": True}], [customer]))[0]
        text = catalogue.options[:, 1] == 1
        return predicted[text].mean() - predicted[~text].mean()

    def test_a_customers_history_changes_the_predictions_for_that_customer_only(self):
        catalogue = conversion()
        policy = self.learned(catalogue, personal=True)
        stranger = self.by_text(catalogue, policy, "stranger")
        assert self.by_text(catalogue, policy, "anna") > stranger + 0.1
        assert abs(stranger) < 0.05
        alike = self.learned(catalogue, personal=False)
        assert self.by_text(catalogue, alike, "anna") == self.by_text(catalogue, alike, "stranger")

    def test_customer_effects_are_restored_with_the_state(self):
        catalogue = conversion()
        policy, other = self.learned(catalogue, personal=True), bandit.ThompsonSampling(catalogue)
        other.loads(policy.dumps())
        assert self.by_text(catalogue, other, "anna") == self.by_text(catalogue, policy, "anna")


class TestJointCustomerEffects:
    def market(self, methods=("joint",)):
        """400 customers who answer one in five of anything, 20 visits each."""
        catalogue, rng = conversion(), np.random.default_rng(9)
        policy = bandit.ThompsonSampling(catalogue, methods=list(methods))
        names = np.array([f"c{each}" for each in range(400)], dtype=object)
        for _ in range(20):
            policy.update(
                outcomes_of(catalogue, lambda _, options: np.full(len(options), 0.2), 400, rng, customers=names)
            )
        return catalogue, policy, rng

    def by_text(self, catalogue, policy, customer):
        """What a text message adds to this customer's predicted response, in the mean over the other levers."""
        return TestCustomerEffects().by_text(catalogue, policy, customer)

    def test_thirty_visits_of_a_clear_taste_show_in_a_market_of_likes(self):
        """Anna answers every text message and no e-mail: the true difference is 1, and it is predicted above .5. The
        control: where each part takes the other as known, it is below .25; a stranger's stays below .05 throughout."""
        found = {}
        for methods in (("joint",), ("joint", "predictive"), ()):
            catalogue, policy, rng = self.market(methods)
            anna = np.full(10, "anna", dtype=object)
            for _ in range(3):
                policy.update(outcomes_of(catalogue, lambda _, options: options[:, 1] * 1.0, 10, rng, customers=anna))
            found[methods] = self.by_text(catalogue, policy, "anna")
            assert abs(self.by_text(catalogue, policy, "stranger")) < 0.05
        assert found[("joint",)] > 0.5
        assert found[("joint", "predictive")] > 0.5
        assert found[()] < 0.25

    @pytest.mark.parametrize("seed", [1, 2])
    def test_a_customer_who_differs_where_nobody_else_does_is_explored_for(self, seed):
        """The market answers e-mail (.3) rather than text messages (.12); Anna answers every text message and no
        e-mail. The policy that chooses her offers itself shows her text messages in at least nine of ten of visits 60
        to 90. The control, without the methods, shows none in these."""
        shares = []
        for methods in (None, ()):
            catalogue, rng = conversion(), np.random.default_rng(seed)
            policy = bandit.ThompsonSampling(catalogue, methods=methods)
            names = np.array([f"c{each}" for each in range(400)], dtype=object)
            for _ in range(10):
                chance = outcomes_of(
                    catalogue, lambda _, options: np.where(options[:, 1] == 1, 0.12, 0.3), 400, rng, customers=names
                )
                policy.update(chance)
            shares.append(np.mean(self.texts_to_anna(catalogue, policy, rng, 90)[60:]))
        assert shares[0] >= 0.9
        assert shares[1] == 0.0

    def texts_to_anna(self, catalogue, policy, rng, visits):
        """Which of her visits the policy uses for a text message, which she answers."""
        columns = {"gender": np.array(["f"], dtype=object), "recency": np.zeros(1), "loyal": np.array([True])}
        contexts = catalogue.contexts(columns, np.array(["anna"], dtype=object))
        eligible, shown = np.ones((1, catalogue.n_offers), dtype=bool), []
        for _ in range(visits):
            chances = policy.probabilities(contexts, eligible, rng)
            offer = np.array([rng.choice(catalogue.n_offers, p=chances[0])])
            text = catalogue.options[offer, 1] == 1
            policy.update(
                Outcomes.new(contexts, offer, eligible, chances[:, offer[0]], text, np.zeros(1), text.astype(float))
            )
            shown.append(bool(text[0]))
        return shown

    @pytest.mark.parametrize("methods", [("joint",), ("joint", "predictive")], ids=["joint", "predictive"])
    def test_a_state_goes_on_with_the_same_bits(self, methods):
        catalogue, policy, rng = self.market(methods)
        other = bandit.ThompsonSampling(catalogue, methods=list(methods))
        other.loads(policy.dumps())
        more = outcomes_of(catalogue, lambda _, options: options[:, 1] * 0.5, 50, rng, customers=["c1", "c2"] * 25)
        policy.update(more)
        other.update(more)
        assert policy.dumps() == other.dumps()

    @pytest.mark.parametrize("methods", [("joint",), ("joint", "predictive")], ids=["joint", "predictive"])
    def test_a_fit_knows_the_customer_as_online_learning_does(self, methods):
        """The same outcomes online and fitted: a text message adds the same to Anna's response within .15, and to a
        stranger's within .03."""
        catalogue, rng = conversion(), np.random.default_rng(10)
        anna = np.array(["anna"] * 60 + [f"c{each}" for each in range(400)] * 5, dtype=object)
        outcomes = outcomes_of(
            catalogue,
            lambda _, options: np.where(np.arange(len(options)) < 60, options[:, 1] * 1.0, 0.2),
            len(anna),
            rng,
            customers=anna,
        )
        online, fitted = (bandit.ThompsonSampling(catalogue, methods=list(methods)) for _ in range(2))
        online.update(outcomes)
        fitted.fit(OutcomesLog(outcomes))
        for customer, tolerance in (("anna", 0.15), ("stranger", 0.03)):
            difference = self.by_text(catalogue, fitted, customer) - self.by_text(catalogue, online, customer)
            assert abs(difference) < tolerance, customer
        assert self.by_text(catalogue, fitted, "anna") > 0.4

    @pytest.mark.parametrize("methods", [("joint",), ("joint", "predictive")], ids=["joint", "predictive"])
    def test_a_corrected_outcome_is_corrected_in_both_parts(self, methods):
        """Two of Anna's 60 outcomes were learned as refusals. Put right, column by column and to first order, Anna's
        prediction for a text message and a stranger's are nearer to those of the right outcomes than they were."""
        catalogue, policy, rng = self.market(methods)
        state = policy.dumps()
        anna = np.full(60, "anna", dtype=object)
        good = outcomes_of(catalogue, lambda _, options: 0.1 + 0.4 * options[:, 1], 60, rng, customers=anna)
        late = np.flatnonzero(good.converted)[:2]
        converted = good.converted.copy()
        converted[late] = False
        bad = replace(good, batch=replace(good.batch, converted=converted, reward=converted * 1.0))
        again, before = good.take(late), bad.take(late)
        previous = replace(
            again.previous, is_update=np.ones(2, dtype=bool), converted=before.converted, reward=before.reward
        )
        contexts = catalogue.contexts([{"loyal": True}] * 2, ["anna", "stranger"])
        predicted = []
        for steps in ((bad,), (bad, replace(again, previous=previous)), (good,)):
            policy.loads(state)
            for step in steps:
                policy.update(step)
            predicted.append(policy.predict(contexts)[:, catalogue.options[:, 1] == 1].mean(axis=1))
        off, mended, exact = predicted
        assert (np.abs(mended - exact) < 0.75 * np.abs(off - exact)).all()

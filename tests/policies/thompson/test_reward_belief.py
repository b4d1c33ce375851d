"""The reward belief: customers' own effects."""

import numpy as np

import bandit
from tests.policies.tools import conversion, outcomes_of


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

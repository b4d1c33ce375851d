"""The check of logged propensities: silent on sound logs, a finding on wrong ones."""

import numpy as np
import pytest

from bandit.evaluate.diagnostics import (
    InversePropensitySums,
)
from tests.evaluate.diagnostics.logs import CATALOGUE, N, counted, draw, logging_of


def test_inverse_propensities_are_added_up_per_option():
    """Decisions: offer 0 (discount 0, email) at 1/2, offer 1 (0, sms) at 1/4, offer 3 (5, email) at 1/2.

    discount=0 has 2 + 4 = 6 against 3 decisions x 3 offers = 9, channel=email 2 + 2 = 4 against 3 x 4 = 12,
    all together 8 against 3 x 12 = 36.
    """
    found = counted(np.array([0, 1, 3]), np.array([0.5, 0.25, 0.5]))
    ratios = {each.label: each.ratio for each in found.counted}
    assert ratios["discount=0"] == pytest.approx(6 / 9)
    assert ratios["channel=email"] == pytest.approx(4 / 12)
    assert ratios["any offer at all"] == pytest.approx(8 / 36)
    assert ratios["discount=20"] == 0.0
    assert (found.n, found.smallest, found.certain) == (3, 0.25, 0.0)


@pytest.mark.parametrize("kind", ["uniform", "rules", "soft"])
def test_sound_log_has_no_finding_and_wrong_propensities_are_fatal(kind):
    """At p < 0.001, 40 sound logs are all silent with a chance of 96 %. Negative control: half as large, fatal.

    With rules, 150 of 3,000 decisions explore: a ratio of 2 is (2 - 1) / (2 / sqrt(150)) = 6 errors above 1, and about
    4 are evaluated for.
    """
    rng = np.random.default_rng(1)
    accused, caught = 0, 0
    for _ in range(40):
        table = logging_of(kind, 3_000, rng)
        offer = draw(table, rng)
        propensity = table[np.arange(3_000), offer]
        accused += counted(offer, propensity).severity is not None
        caught += counted(offer, propensity / 2.0).severity == "fatal"
    assert accused == 0
    assert caught >= 36


def test_too_large_propensities_and_missing_support_are_a_doubt():
    rng = np.random.default_rng(2)
    table = logging_of("rules", 20_000, rng)
    offer = draw(table, rng)
    propensity = table[np.arange(20_000), offer]
    found = counted(offer, np.minimum(2.0 * propensity, 1.0))
    assert found.severity == "doubt"
    # Half of the contexts get nothing but the rules' offer.
    offer[10_000:], propensity[10_000:] = 0, 1.0
    assert "part of the customers never get it" in counted(offer, propensity).sentence()


def test_a_single_absurd_propensity_is_fatal():
    """Nothing of probability 1e-9 is seen in 3,000 decisions x 12 offers but with a chance of 3.6e-5."""
    propensity = np.full(3_000, 1.0 / N)
    propensity[7] = 1e-9
    found = counted(np.arange(3_000) % N, propensity)
    assert found.smallest_p == pytest.approx(3.6e-5)
    assert found.severity == "fatal"
    assert "1e-09" in found.sentence()


def test_a_log_without_random_choices_is_a_doubt():
    found = counted(np.arange(100) % 3, np.ones(100))
    assert found.deterministic
    assert found.severity == "doubt"
    assert "left nothing to chance" in found.sentence()


def test_offers_that_stick_to_customers_are_no_false_alarm():
    """60 customers of 50 decisions, each with one uniform draw for good. Negative control: without customers, fatal."""
    rng = np.random.default_rng(3)
    customers = np.repeat(np.arange(60), 50)
    clustered, alone = 0, 0
    for _ in range(20):
        offer = np.repeat(rng.integers(0, N, 60), 50)
        propensity = np.full(3_000, 1.0 / N)
        found = counted(offer, propensity, customers)
        assert 30.0 < found.design_effect < 80.0
        clustered += found.severity is not None
        alone += counted(offer, propensity).severity is not None
    assert clustered == 0
    assert alone == 20


def test_batches_and_shared_eligible_sets_change_nothing():
    rng = np.random.default_rng(4)
    table = logging_of("soft", 2_000, rng)
    offer, customers = draw(table, rng), rng.integers(0, 300, 2_000)
    propensity = table[np.arange(2_000), offer]
    eligible = np.ones((2_000, N), dtype=bool)
    parts = InversePropensitySums(CATALOGUE)
    for rows in (slice(0, 700), slice(700, 700), slice(700, 2_000)):
        parts.add(offer[rows], propensity[rows], eligible[rows], customers[rows])
    whole, once = counted(offer, propensity, customers), parts.result()
    assert [each.label for each in once.counted] == [each.label for each in whole.counted]
    assert [each.z for each in once.counted] == pytest.approx([each.z for each in whole.counted])


def test_only_eligible_offers_are_expected():
    """sms is eligible in half of the decisions, where an offer has 1 / 12, and 1 / 8 elsewhere."""
    rng = np.random.default_rng(5)
    eligible = np.ones((4_000, N), dtype=bool)
    eligible[:2_000, CATALOGUE.options[:, 1] == 1] = False
    table = eligible / eligible.sum(axis=1, keepdims=True)
    offer = draw(table, rng)
    propensity = table[np.arange(4_000), offer]
    assert counted(offer, propensity, eligible=eligible).severity is None
    # Negative control: as if sms had been eligible for all.
    assert counted(offer, propensity).severity == "doubt"

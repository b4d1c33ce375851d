"""What both VW policies promise beyond the contract of every policy."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bandit
from bandit.domain import Outcomes
from bandit.errors import PolicyError
from bandit.policies.vw import VowpalWabbitSlates
from tests.conftest import amended, draw_contexts, draw_outcomes
from tests.policies.tools import ODD_NAMES, catalogue_for, probabilities, without_coupling

MAKERS = {
    "vw": bandit.VowpalWabbit,
    "vw-slates": VowpalWabbitSlates,
}


@pytest.fixture(params=MAKERS)
def maker(request):
    return MAKERS[request.param]


def test_every_eligible_offer_has_a_probability_above_0(maker):
    catalogue = bandit.Catalogue.from_dict(without_coupling())
    policy = maker(catalogue)
    rng = np.random.default_rng(1)
    policy.update(draw_outcomes(catalogue, 600, rng))
    contexts = draw_contexts(catalogue, 40, rng)
    eligible = rng.random((40, catalogue.n_offers)) < 0.4
    eligible[:, 0] |= ~eligible.any(axis=1)
    for mask in (catalogue.eligible(contexts), eligible):
        assert (probabilities(policy, contexts, mask)[mask] > 0.0).all()


def test_how_outcomes_are_batched_changes_nothing(maker):
    catalogue = bandit.Catalogue.from_dict(without_coupling())
    outcomes = draw_outcomes(catalogue, 650, np.random.default_rng(3))
    whole, parts = maker(catalogue), maker(catalogue)
    whole.update(outcomes)
    for start in range(0, 650, 90):
        parts.update(outcomes.take(slice(start, start + 90)))
    contexts = draw_contexts(catalogue, 30, np.random.default_rng(4))
    np.testing.assert_allclose(probabilities(whole, contexts), probabilities(parts, contexts), rtol=1e-5)


def test_it_begins_with_equal_chances_and_ends_with_what_earns_most(maker):
    """The response rises with the discount, and conversion is all that counts: 20 wins, 0 and 10 do not."""
    catalogue = catalogue_for("conversion", without_coupling())
    policy = maker(catalogue)
    contexts = draw_contexts(catalogue, 100, np.random.default_rng(5))
    eligible = catalogue.eligible(contexts)
    np.testing.assert_allclose(probabilities(policy, contexts), eligible / eligible.sum(axis=1, keepdims=True))
    policy.update(draw_outcomes(catalogue, 4_000, np.random.default_rng(6)))
    shares = np.bincount(catalogue.options[:, 0], weights=probabilities(policy, contexts).mean(axis=0))
    assert shares.argmax() == 2


def test_what_it_cannot_unlearn_is_counted_and_changes_nothing(maker):
    catalogue = bandit.Catalogue.from_dict(without_coupling())
    policy = maker(catalogue, warm_up=5)
    outcomes = draw_outcomes(catalogue, 10, np.random.default_rng(7))
    policy.update(outcomes)
    contexts = draw_contexts(catalogue, 10, np.random.default_rng(8))
    before = probabilities(policy, contexts)
    policy.update(amended(outcomes, is_update=np.ones(10, dtype=bool)))
    assert policy.not_restated == 10
    np.testing.assert_array_equal(probabilities(policy, contexts), before)


def test_threads_get_probabilities_while_another_updates(maker):
    catalogue = bandit.Catalogue.from_dict(without_coupling())
    policy = maker(catalogue, warm_up=20)
    rng = np.random.default_rng(9)
    policy.update(draw_outcomes(catalogue, 30, rng))
    contexts, lessons = draw_contexts(catalogue, 5, rng), [draw_outcomes(catalogue, 5, rng) for _ in range(20)]
    wrong = []

    def ask():
        for _ in range(20):
            try:
                np.testing.assert_allclose(probabilities(policy, contexts).sum(axis=1), 1.0, atol=1e-9)
            except Exception as fault:  # noqa: BLE001 - it is reported after the threads have ended
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
@given(ODD_NAMES, st.integers(0, 1))
def test_odd_names_are_learned_like_plain_ones(name, which):
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


def test_invalid_settings_are_refused(maker):
    catalogue = bandit.Catalogue.from_dict(without_coupling())
    for wrong in ({"floor": 1.5}, {"warm_up": 0}):
        with pytest.raises(PolicyError):
            maker(catalogue, **wrong)

import numpy as np
import pytest

import bandit
from bandit.errors import PolicyError
from bandit.policies.vw import VowpalWabbitSlates
from bandit.policies.vw.text import context_lines
from tests.conftest import draw_outcomes
from tests.policies.tools import probabilities, without_coupling


def test_a_rule_that_couples_dimensions_is_one_clear_sentence(catalogue):
    with pytest.raises(PolicyError, match=r"couples discount and gift \(margin floor\); use vw or thompson"):
        VowpalWabbitSlates(catalogue)


def test_a_combination_has_the_product_of_what_the_slots_give():
    """VW asked directly for the slots of one context; floor 0, so that nothing is mixed in."""
    catalogue = bandit.Catalogue.from_dict(without_coupling())
    policy = VowpalWabbitSlates(catalogue, floor=0.0)
    policy.update(draw_outcomes(catalogue, 600, np.random.default_rng(11)))
    contexts = catalogue.contexts([{"gender": "f", "recency": 10.0, "loyal": True}])
    chosen = probabilities(policy, contexts)[0]
    ends = [f"slates slot |s {place}" for place in range(3)]
    every = [np.arange(len(dimension.options)) for dimension in catalogue.dimensions]
    asked = policy._vw.predict(
        [f"slates shared {context_lines(policy._encoder, contexts)[0]}", *policy._lines(every), *ends]
    )
    slots = [dict(answer) for answer in asked]
    product = [np.prod([slot[option] for slot, option in zip(slots, row, strict=True)]) for row in catalogue.options]
    np.testing.assert_allclose(chosen, product, rtol=1e-5)


def test_an_eligible_set_that_is_no_product_is_conditioned_on():
    """Without the single offer that is barred, all others keep their proportions."""
    catalogue = bandit.Catalogue.from_dict(without_coupling())
    policy = VowpalWabbitSlates(catalogue, floor=0.0)
    policy.update(draw_outcomes(catalogue, 600, np.random.default_rng(12)))
    contexts = catalogue.contexts([{"loyal": True}])
    eligible = catalogue.eligible(contexts).copy()
    whole = probabilities(policy, contexts, eligible)[0]
    barred = int(whole.argmax())
    eligible[0, barred] = False
    whole[barred] = 0.0
    np.testing.assert_allclose(probabilities(policy, contexts, eligible)[0], whole / whole.sum(), rtol=1e-9)


def test_an_option_that_no_eligible_offer_has_is_not_offered_to_vw():
    """Not loyal: no tote, and only the other dimensions share the probability."""
    catalogue = bandit.Catalogue.from_dict(without_coupling())
    policy = VowpalWabbitSlates(catalogue)
    policy.update(draw_outcomes(catalogue, 520, np.random.default_rng(13)))
    chosen = probabilities(policy, catalogue.contexts([{"loyal": False}]))[0]
    assert not chosen[catalogue.options[:, 2] == 1].any()

import pytest

import bandit
from bandit.errors import OfferError
from tests.policies.tools import probabilities


def test_a_constant_offer_that_is_not_eligible_gives_way_to_the_fallback(catalogue):
    tote = {"discount": "10", "channel": "email", "gift": "tote"}
    policy = bandit.ConstantOffer(catalogue, tote)
    contexts = catalogue.contexts([{"loyal": True}, {"loyal": False}])
    chosen = probabilities(policy, contexts, catalogue.eligible(contexts)).argmax(axis=1)
    assert chosen.tolist() == [catalogue.offer_index(tote), catalogue.fallback]
    with pytest.raises(OfferError):
        bandit.ConstantOffer(catalogue, {**tote, "discount": "20"})

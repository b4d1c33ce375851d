import pytest

import bandit
from bandit.errors import CatalogueError
from tests.policies.tools import probabilities

RULES = {
    "exploration": 0.1,
    "segments": [
        {"when": "loyal", "offer": {"discount": "10", "channel": "email", "gift": "tote"}},
        {"when": 'gender == "f"', "offer": {"discount": "20", "channel": "sms", "gift": "none"}},
    ],
    "otherwise": {"discount": "0", "channel": "email", "gift": "none"},
}


NOTHING = {"discount": "0", "channel": "email", "gift": "none"}


def test_the_first_rule_that_matches_names_the_offer(catalogue):
    policy = bandit.SegmentRules.from_dict(catalogue, {**RULES, "exploration": 0.0})
    rows = [{"loyal": True, "gender": "f"}, {"loyal": False, "gender": "f"}, {"gender": "m"}]
    contexts = catalogue.contexts(rows)
    chosen = probabilities(policy, contexts, catalogue.eligible(contexts)).argmax(axis=1)
    assert [catalogue.offer(offer)["discount"] for offer in chosen] == ["10", "20", "0"]


def test_exploration_is_spread_over_the_eligible_offers(catalogue):
    """10 % over 6 eligible offers: .1 / 6 each, and .9 + .1 / 6 for the named one."""
    policy = bandit.SegmentRules.from_dict(catalogue, RULES)
    contexts = catalogue.contexts([{"gender": "f", "loyal": False}])
    eligible = catalogue.eligible(contexts)
    chosen = probabilities(policy, contexts, eligible)[0]
    assert sorted(chosen[eligible[0]].tolist()) == pytest.approx([0.1 / 6] * 5 + [0.9 + 0.1 / 6])


def test_an_offer_that_is_not_eligible_passes_to_the_next_rule(catalogue):
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
def test_rules_that_cannot_be_used_are_refused(catalogue, mapping, words):
    with pytest.raises(CatalogueError, match=words):
        bandit.SegmentRules.from_dict(catalogue, mapping)


def test_rules_without_any_offer_are_refused(spring):
    del spring["fallback"]
    with pytest.raises(CatalogueError, match="no fallback"):
        bandit.SegmentRules.from_dict(bandit.Catalogue.from_dict(spring), {})

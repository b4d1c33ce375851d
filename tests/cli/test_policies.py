"""Names of policies and their settings on the command line."""

import pytest

import bandit
from bandit.cli.policies import parse_policies, parse_policy
from bandit.errors import InputError
from tests.conftest import SPRING


def test_names_of_policies_are_told_apart():
    catalogue = bandit.Catalogue.from_dict(SPRING)
    offer = 'offer:{"discount": "10", "channel": "sms", "gift": "none"}'
    same = "offer:discount=10, channel=sms, gift=none"
    named, base = parse_policies(catalogue, ["vw", "vw:--cb_type dm --epsilon 0.1", offer, "vw"], same)
    assert list(named) == [
        "vowpal wabbit",
        "vowpal wabbit (vw:--cb_type dm --epsilon 0.1)",
        "everyone: 10 · sms · none",
    ]
    assert base == "everyone: 10 · sms · none"
    with pytest.raises(InputError, match="everyone names many"):
        parse_policies(catalogue, ["uniform"], "everyone")
    with pytest.raises(InputError, match="couples discount and gift"):
        parse_policies(catalogue, ["vw-slates"])
    free = bandit.Catalogue.from_dict({**SPRING, "rules": []})
    named = parse_policies(free, ["vw-slates", "vw-slates:--epsilon 0.1"])[0]
    assert [policy.spec()["args"] for policy in named.values()][1] == "--epsilon 0.1"


def test_settings_of_thompson_sampling_can_be_written_with_its_name(catalogue):
    policy = parse_policy(catalogue, "thompson:half_life=30d,width=0.25,personal=false")
    assert policy.spec() == bandit.ThompsonSampling(catalogue, half_life="30d", width=0.25, personal=False).spec()
    for text, words in (
        ("thompson:speed=3", "speed"),
        ("thompson:width=wide", "width"),
        ("thompson:half_life=soon", "half_life"),
    ):
        with pytest.raises(InputError, match=words):
            parse_policy(catalogue, text)

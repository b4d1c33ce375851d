"""Guardrails in a catalogue: what can be declared, and what is refused in one sentence."""

import pytest

import bandit
from bandit.errors import CatalogueError
from tests.catalogue.test_groups import GROUPS

AT_MOST = {"event": "unsubscribe", "at_most": 0.004}
AGAINST = {"event": "unsubscribe", "against": "rules", "worse_by": 0.001}

TOML = """
[[dimensions]]
name = "discount"
options = [{ name = "0" }, { name = "10", rate = 0.10 }]
[[guardrails]]
event = "unsubscribe"
at_most = 0.004
[[guardrails]]
event = "complaint"
at_most = 0.002
action = "warn"
level = 0.99
"""


def with_guardrails(mapping, *guardrails, groups=GROUPS):
    return bandit.Catalogue.from_dict(mapping | {"groups": groups, "guardrails": list(guardrails)})


def without(guardrail, *keys, **changes):
    return {key: value for key, value in (guardrail | changes).items() if key not in keys}


class TestDeclared:
    def test_a_file_declares_them_in_order_with_defaults(self, tmp_path):
        path = tmp_path / "catalogue.toml"
        path.write_text(TOML)
        first, second = bandit.Catalogue.from_toml(path).guardrails
        assert (first.event, first.at_most, first.action, first.level) == ("unsubscribe", 0.004, "stop", 0.95)
        assert (second.event, second.at_most, second.action, second.level) == ("complaint", 0.002, "warn", 0.99)

    def test_they_say_in_words_what_they_allow(self, spring):
        guardrails = with_guardrails(
            spring, AT_MOST, AGAINST, AGAINST | {"against": "random", "worse_by": 0}
        ).guardrails
        assert [each.words for each in guardrails] == [
            '"unsubscribe" at most 0.004',
            '"unsubscribe" at most 0.001 above rules',
            '"unsubscribe" at most 0 above random',
        ]

    def test_they_are_kept_when_a_catalogue_is_written_and_read(self, spring):
        catalogue = with_guardrails(spring, AT_MOST, AGAINST)
        again = bandit.Catalogue.from_dict(catalogue.to_dict())
        assert again.guardrails == catalogue.guardrails
        assert again.version == catalogue.version != with_guardrails(spring, AT_MOST).version

    def test_a_catalogue_without_them_keeps_its_version(self, spring):
        plain = bandit.Catalogue.from_dict(spring)
        assert plain.guardrails == ()
        assert bandit.Catalogue.from_dict(spring | {"guardrails": []}).version == plain.version

    def test_one_event_may_have_a_rate_and_a_difference(self, spring):
        assert len(with_guardrails(spring, AT_MOST, AGAINST).guardrails) == 2


class TestRefused:
    @pytest.mark.parametrize(
        ("guardrail", "sentence"),
        [
            (
                without(AT_MOST, "at_most"),
                r"\[\[guardrails\]\] 1: write either at_most = 0.004 or against = .rules. with",
            ),
            (AT_MOST | AGAINST, "1: write either at_most = 0.004 or against"),
            (AT_MOST | {"at_most": 0.0}, "at_most is a rate per decision, above 0 and below 1; seen 0.0"),
            (AT_MOST | {"at_most": 1.0}, "at_most is a rate per decision, above 0 and below 1; seen 1.0"),
            (AT_MOST | {"at_most": float("nan")}, "above 0 and below 1; seen nan"),
            (
                AT_MOST | {"at_most": "0.4 %"},
                r"Expected `float \| null`, got `str` - at `\$.guardrails\[0\].at_most`",
            ),
            (AT_MOST | {"worse_by": 0.1}, "worse_by is used with against only; seen with at_most"),
            (without(AGAINST, "worse_by"), "worse_by is the difference of rates that is accepted, .* seen None"),
            (AGAINST | {"worse_by": -0.1}, "0 or more and below 1; seen -0.1"),
            (AGAINST | {"worse_by": float("nan")}, "0 or more and below 1; seen nan"),
            (
                AGAINST | {"against": "control"},
                'there is no group "control"; declared are policy, rules, random, holdout',
            ),
            (AGAINST | {"against": "policy"}, 'the policy is compared with another group; seen against = "policy"'),
            (AT_MOST | {"level": 0.3}, "level is at least 0.5 and below 1; seen 0.3"),
            (AT_MOST | {"level": 1.0}, "level is at least 0.5 and below 1; seen 1.0"),
            (AT_MOST | {"action": "kill"}, r"Invalid enum value 'kill' - at `\$.guardrails\[0\].action`"),
            (AT_MOST | {"limit": 3}, "unknown field `limit`"),
            (without(AT_MOST, "event"), "missing required field `event`"),
            (AT_MOST | {"event": "un\0subscribe"}, "zero character"),
            (AT_MOST | {"event": "x" * 1_001}, "has 1,001 characters; at most 1,000 are read"),
        ],
    )
    def test_what_does_not_fit(self, spring, guardrail, sentence):
        with pytest.raises(CatalogueError, match=sentence) as caught:
            with_guardrails(spring, guardrail)
        assert "\n" not in str(caught.value)

    def test_the_number_names_the_entry(self, spring):
        with pytest.raises(CatalogueError, match=r"\[\[guardrails\]\] 2: level is at least"):
            with_guardrails(spring, AT_MOST, AGAINST | {"level": 2.0})

    def test_the_same_guardrail_twice(self, spring):
        with pytest.raises(CatalogueError, match=r'the guardrail ""unsubscribe" at most 0\.004" is there twice'):
            with_guardrails(spring, AT_MOST, AT_MOST | {"level": 0.99})

    def test_a_comparison_without_groups(self, spring):
        with pytest.raises(CatalogueError, match=r'no group "rules"; declared are none: declare \[groups\]'):
            bandit.Catalogue.from_dict(spring | {"guardrails": [AGAINST]})

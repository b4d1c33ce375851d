"""Stages of a conversion in a catalogue: what is declared, refused and said of their events."""

import pytest

from bandit import Catalogue
from bandit.catalogue.changes import catalogue_changes
from bandit.errors import CatalogueError


def catalogue(events=None, **objective):
    plain = {
        "objective": {"kind": "profit", "event": "purchase", **objective},
        "dimensions": [{"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}],
    }
    return Catalogue.from_dict(plain if events is None else {**plain, "events": events})


def test_stages_are_kept_in_order_and_make_another_version():
    declared = catalogue(stages=["click", "cart"])
    assert declared.objective.stages == ("click", "cart")
    assert Catalogue.from_dict(declared.to_dict()).version == declared.version
    assert catalogue().version == catalogue(stages=[]).version != declared.version
    assert catalogue(stages=["cart", "click"]).version != declared.version


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ({"stages": ["click", "click"]}, '"click" twice'),
        ({"stages": ["purchase"]}, "the conversion itself"),
        ({"stages": ["closed"]}, "known by itself"),
        ({"stages": ["shown"], "activation": "shown"}, "the activation"),
        ({"stages": [" "]}, "an empty text"),
        ({"stages": [f"s{number}" for number in range(9)]}, "at most 8"),
        ({"stages": ["click"], "kind": "reward"}, 'kind = "reward" has none'),
        ({"stages": "click"}, "Expected `array`"),
    ],
)
def test_stages_that_cannot_lead_to_the_conversion_are_refused(objective, message):
    with pytest.raises(CatalogueError, match=message):
        catalogue(**objective)


@pytest.mark.parametrize("part", ["ignored", "returns"])
def test_an_event_is_not_a_stage_and_something_else(part):
    with pytest.raises(CatalogueError, match=f'"click" is declared as "{part}", and it is a stage'):
        catalogue({"purchase": "converts", "click": part}, stages=["click"])
    assert catalogue({"purchase": "converts", "click": "feedback"}, stages=["click"]).objective.stages == ("click",)


def test_a_stage_is_known_by_itself_beside_declared_events():
    declared = catalogue({"refund": "returns"}, stages=["click"])
    assert declared.events.taken_for("click") == "a stage before the conversion"


def test_a_change_of_stages_says_that_the_belief_begins_anew():
    (change,) = catalogue_changes(catalogue(), catalogue(stages=["click"]))
    assert "begun untrained, learned from the log" in change.belief

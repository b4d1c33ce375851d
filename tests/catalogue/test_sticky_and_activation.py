"""The [sticky] and the [objective] activation of a catalogue: what is read, and what is refused in one sentence."""

import pytest

import bandit
from bandit.errors import CatalogueError

DAY = 86_400_000_000


def test_sticky_is_read_with_its_duration_and_its_events(spring):
    catalogue = bandit.Catalogue.from_dict(spring | {"sticky": {"for": "3d", "until": ["purchase", "return"]}})
    assert (catalogue.sticky.duration, catalogue.sticky.until) == (3 * DAY, ("purchase", "return"))
    assert bandit.Catalogue.from_dict(spring | {"sticky": {"for": "36h"}}).sticky.until == ()
    assert bandit.Catalogue.from_dict(spring).sticky is None


def test_activation_is_read_and_is_none_by_default(spring):
    assert bandit.Catalogue.from_dict(spring).objective.activation is None
    spring["objective"]["activation"] = "shown"
    assert bandit.Catalogue.from_dict(spring).objective.activation == "shown"


def test_both_are_part_of_the_content_and_of_the_version_and_a_catalogue_without_them_is_what_it_was(spring):
    plain = bandit.Catalogue.from_dict(spring)
    sticky = bandit.Catalogue.from_dict(spring | {"sticky": {"for": "3d", "until": ["purchase"]}})
    shown = bandit.Catalogue.from_dict(spring | {"objective": spring["objective"] | {"activation": "shown"}})
    assert len({plain.version, sticky.version, shown.version}) == 3
    assert "sticky" not in plain.to_dict()
    assert "activation" not in plain.to_dict()["objective"]
    assert sticky.to_dict()["sticky"] == {"for": "3d", "until": ["purchase"]}
    for catalogue in (sticky, shown):
        again = bandit.Catalogue.from_dict(catalogue.to_dict())
        assert (again.version, again.sticky, again.objective) == (
            catalogue.version,
            catalogue.sticky,
            catalogue.objective,
        )


@pytest.mark.parametrize(
    ("sticky", "words"),
    [
        ({"until": ["purchase"]}, "`for`"),
        ({"for": "soon"}, '"soon" is not a duration'),
        ({"for": "0d"}, "longer than nothing"),
        ({"for": 3}, "for"),
        ({"for": "3d", "until": "purchase"}, "until"),
        ({"for": "3d", "until": ["purchase", "purchase"]}, 'until "purchase" is there twice'),
        ({"for": "3d", "until": [""]}, "empty name"),
        ({"for": "3d", "unless": []}, "unless"),
        ({"for": "3d", "until": ["a\0b"]}, "zero character"),
    ],
)
def test_a_sticky_that_cannot_be_used_is_refused_in_one_sentence(spring, sticky, words):
    with pytest.raises(CatalogueError, match=words) as refused:
        bandit.Catalogue.from_dict(spring | {"sticky": sticky})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("activation", "words"),
    [
        ("", "empty text"),
        (" ", "empty text"),
        ("purchase", "comes before"),
        ("closed", "comes before"),
        (3, "activation"),
    ],
)
def test_an_activation_that_cannot_be_used_is_refused_in_one_sentence(spring, activation, words):
    spring["objective"]["activation"] = activation
    with pytest.raises(CatalogueError, match=words) as refused:
        bandit.Catalogue.from_dict(spring)
    assert "\n" not in str(refused.value)

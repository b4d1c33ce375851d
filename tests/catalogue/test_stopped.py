"""Options that are stopped: known to logs with their costs, chosen by no policy."""

import numpy as np
import pytest

from bandit import Catalogue, Engine, ThompsonSampling, Uniform
from bandit.catalogue.near_names import near_name
from bandit.catalogue.rates import losing_offers
from bandit.errors import CatalogueError, PolicyError
from bandit.policies import SegmentRules
from tests.conftest import SPRING


def stopped(*names, **changed):
    """SPRING, some of whose options are stopped."""
    dimensions = [
        dimension
        | {"options": [one | ({"stopped": True} if one["name"] in names else {}) for one in dimension["options"]]}
        for dimension in SPRING["dimensions"]
    ]
    return Catalogue.from_dict(SPRING | {"dimensions": dimensions} | changed)


def test_offers_with_a_stopped_option_keep_their_numbers_and_costs_and_are_eligible_for_nobody():
    """10 offers, of which four have 10 % off; six are left, of which the totes (two) are for the loyal."""
    before, after = Catalogue.from_dict(SPRING), stopped("10")
    assert after.n_offers == before.n_offers == 10
    np.testing.assert_array_equal(after.money.rate, before.money.rate)
    contexts = after.contexts([{"loyal": True}, {"loyal": False}, {}], ["a", "b", "c"])
    assert after.eligible(contexts).sum(axis=1).tolist() == [6, 4, 4]
    assert not after.eligible(contexts)[:, after.stopped].any()
    assert [each.reason for each in after.removals(contexts.take(slice(0, 1)))] == ["10 of discount is stopped"]


def test_what_is_not_stopped_has_the_version_that_it_had():
    """`stopped = false` and `stacking = "sum"` are the defaults and leave no trace in the content."""
    plain = Catalogue.from_dict(SPRING)
    options = [one | {"stopped": False} for one in SPRING["dimensions"][0]["options"]]
    written = SPRING | {"dimensions": [SPRING["dimensions"][0] | {"options": options}, *SPRING["dimensions"][1:]]}
    written["objective"] = SPRING["objective"] | {"stacking": "sum"}
    assert Catalogue.from_dict(written).version == plain.version
    assert stopped("10").version != plain.version
    assert Catalogue.from_dict(stopped("10").to_dict()).version == stopped("10").version


@pytest.mark.parametrize(
    "make", [Uniform, ThompsonSampling, lambda catalogue: SegmentRules.from_dict(catalogue, RULES)]
)
def test_an_engine_never_serves_a_stopped_option(tmp_path, make):
    """Also where rules of today name it: they serve the fallback in its place. The reasons say it."""
    catalogue = stopped("20")
    with Engine.open(
        tmp_path / "offers.db", catalogue, make(catalogue), seed=7, customer_key=b"a key for our tests"
    ) as engine:
        found = [engine.decide(f"c{row}", {"loyal": True}) for row in range(60)]
    assert "20" not in {each.offer["discount"] for each in found}
    assert "20 of discount is stopped" in [each.reason for each in found[0].reasons]


RULES = {"segments": [{"when": "loyal", "offer": {"discount": "20", "channel": "sms", "gift": "none"}}]}


@pytest.mark.parametrize(
    ("names", "changed", "words"),
    [
        (("0", "10", "20"), {}, 'dimension "discount": every option is stopped'),
        (("0",), {}, r"\[fallback\] is the offer 0 · email · none, which has a stopped option"),
        (("none", "10", "0"), {"fallback": None}, "every legal offer has a stopped option"),
    ],
)
def test_something_must_go_on(names, changed, words):
    """Without `none`, 0 and 10 only 20 with a tote is left, which a stacking rule forbids."""
    with pytest.raises(CatalogueError, match=words):
        stopped(*names, **changed)


def test_sales_at_a_loss_are_mentioned_and_only_for_profit():
    """20 % off at a margin of 15 %: four of ten offers have 20 or more, less the two totes that are forbidden."""
    low = Catalogue.from_dict(SPRING | {"objective": SPRING["objective"] | {"margin": 0.15}})
    assert low.notices == (losing_offers(low),)
    assert low.notices[0].startswith("2 of 10 offers give away more than the margin of 0.15")
    assert Catalogue.from_dict(SPRING).notices == ()
    assert Catalogue.from_dict(SPRING | {"objective": {"kind": "revenue"}}).notices == ()


def test_a_catalogue_of_a_database_is_read_although_its_rates_add_up_above_1():
    options = [{"name": "0"}, {"name": "all", "rate": 0.7}]
    plain = {"dimensions": [{"name": "a", "options": options}, {"name": "b", "options": options}]}
    with pytest.raises(CatalogueError, match=r"add up to 1.4"):
        Catalogue.from_dict(plain)
    assert Catalogue.from_stored(plain).money.rate.max() == pytest.approx(1.4)
    forbidden = plain | {"rules": [{"forbid": {"a": ["all"], "b": ["all"]}}]}
    assert Catalogue.from_dict(forbidden).money.rate.max() == 0.7


def test_the_search_among_many_offers_refuses_rates_that_multiply():
    """21 x 21 x 21 = 9,261 offers are searched dimension by dimension."""
    dimensions = [
        {"name": name, "options": [{"name": str(step), "rate": step / 100} for step in range(21)]} for name in "abc"
    ]
    objective = {"kind": "profit", "margin": 0.7, "stacking": "product"}
    catalogue = Catalogue.from_dict({"objective": objective, "dimensions": dimensions})
    assert catalogue.money.rate.max() == pytest.approx(1 - 0.8**3)
    with pytest.raises(PolicyError, match="rates that add up"):
        ThompsonSampling(catalogue)


@pytest.mark.parametrize(
    ("text", "names", "meant"),
    [
        ("EMAIL", ["email"], "email"),
        ("e mail", ["email"], "email"),
        ("emial", ["email"], "email"),
        ("emai", ["email"], "email"),
        ("10.0", ["10"], "10"),
        ("10%", ["10"], "10"),
        ("wintersael", ["wintersale"], "wintersale"),
        ("gold", ["bold"], None),
        ("varianta", ["variantb"], None),
        ("group_b", ["group_a"], None),
        ("v12", ["v1", "v2"], None),
        ("fax", ["email", "sms"], None),
        ("mms", ["sms"], None),
    ],
)
def test_a_misspelling_is_told_from_another_name(text, names, meant):
    assert near_name(text, names) == meant

"""Whether a condition may hold in a region of facts: by hand, and against contexts drawn from the region."""

import math

import numpy as np
import pytest

import bandit
from bandit.catalogue.conditions import compile_condition
from bandit.catalogue.fact_regions import FactRange, Possible, RegionCondition
from tests.conftest import SPRING

FACTS = bandit.Catalogue.from_dict(SPRING).facts
WHOLE = {name: FactRange.whole(fact) for name, fact in FACTS.items()}
F, M, OTHER = 0, 1, 2

CONDITIONS = (
    "loyal",
    "not loyal",
    "loyal == null",
    'gender == "f"',
    'gender != "f"',
    'gender in ["f", "m"]',
    'gender not in ["f"]',
    "gender == null",
    "recency < 12",
    "recency <= 12",
    "recency >= 12",
    "12 > recency",
    "recency * 2 - 4 > 20",
    "-recency < -12",
    "recency * recency < 9",
    "recency == 12",
    "recency != 12",
    "recency in [3, 12]",
    'loyal and recency < 12 or gender == "m"',
    'not (loyal and gender == "f") and recency + 1 >= 13',
    "recency == null or not loyal",
    "true",
    "false",
)


def only(**ranges):
    return {**WHOLE, **ranges}


@pytest.mark.parametrize(
    ("condition", "region", "true", "false"),
    [
        # Numbers from 0 up to, without, 12 are below 12 whatever they are; 12 itself is not in the region.
        ("recency < 12", only(recency=FactRange(0.0, 12.0, missing=False)), True, False),
        ("recency >= 12", only(recency=FactRange(0.0, 12.0, missing=False)), False, True),
        # A comparison with a missing fact is false.
        ("recency < 12", only(recency=FactRange(0.0, 12.0, missing=True)), True, True),
        ("recency >= 12", only(recency=FactRange(12.0, math.inf, missing=False)), True, False),
        # `not loyal` holds where loyal is missing.
        ("not loyal", only(loyal=FactRange(codes=frozenset({1}), missing=True)), True, True),
        ("not loyal", only(loyal=FactRange(codes=frozenset({1}), missing=False)), False, True),
        ('gender in ["f", "m"]', only(gender=FactRange(codes=frozenset({F, M}), missing=False)), True, False),
        ('gender in ["f", "m"]', only(gender=FactRange(codes=frozenset({OTHER}), missing=True)), False, True),
        # 2 x 2 - 4 = 0 up to 2 x 12 - 4 = 20, which is not above 20.
        ("recency * 2 - 4 > 20", only(recency=FactRange(2.0, 12.0, missing=False)), False, True),
    ],
)
def test_a_condition_is_told_by_the_values_of_its_facts(condition, region, true, false):
    assert RegionCondition(condition, FACTS).possible(region) == Possible(true, false)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_what_cannot_be_never_is(condition):
    """80 random regions with 30 contexts each: an outcome that is called impossible does not come up."""
    rng = np.random.default_rng(7)
    asked = RegionCondition(condition, FACTS)
    holds = compile_condition(condition, FACTS, "test")
    catalogue = bandit.Catalogue.from_dict(SPRING)
    settled = 0
    for _ in range(80):
        region = random_region(rng)
        contexts = catalogue.contexts([random_context(rng, region) for _ in range(30)])
        for name, there in region.items():
            assert there.contains(contexts.columns[name]).all()
        came = holds(contexts)
        possible = asked.possible(region)
        assert possible.true or not came.any()
        assert possible.false or came.all()
        settled += possible.true != possible.false
    assert settled > 0 or condition in {"recency == 12", "recency != 12"}


def test_contradictory_parts_of_one_fact_are_called_possible():
    """The bound of what intervals can do: the parts are looked at one by one, and the answer errs to "it may"."""
    region = only(recency=FactRange(0.0, 20.0, missing=False))
    assert RegionCondition("recency < 5 and recency > 10", FACTS).possible(region).true


def test_the_numbers_that_a_condition_asks_for_are_found():
    condition = RegionCondition('recency < 12 and (3 <= recency or gender == "f")', FACTS)
    assert sorted(condition.numbers("recency")) == [3.0, 12.0]
    assert condition.names == {"recency", "gender"}


def random_region(rng):
    """A random range of each fact with at least one value, missing or not."""
    low, high = np.sort(rng.choice([-math.inf, 0.0, 3.0, 12.0, 20.0, math.inf], 2, replace=False))
    gender, loyal = (frozenset(np.flatnonzero(rng.random(n) < 0.5).tolist()) for n in (3, 2))
    return {
        "gender": FactRange(codes=gender, missing=bool(rng.random() < 0.5) or not gender),
        "recency": FactRange(low, high, missing=bool(rng.random() < 0.5)),
        "loyal": FactRange(codes=loyal, missing=bool(rng.random() < 0.5) or not loyal),
    }


def random_context(rng, region):
    def value(there, of):
        if there.missing and (there.is_empty or rng.random() < 0.3):
            return None
        return of(there)

    def number(there):
        low, high = max(there.low, -30.0), min(there.high, 60.0)
        ends = [low, np.nextafter(high, low), 0.5 * (low + high), float(rng.uniform(low, high))]
        return ends[rng.integers(4)]

    return {
        "gender": value(region["gender"], lambda there: ["f", "m", "x"][rng.choice(sorted(there.codes))]),
        "recency": value(region["recency"], number),
        "loyal": value(region["loyal"], lambda there: bool(rng.choice(sorted(there.codes)))),
    }

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import InputError
from bandit.evaluate.breakdown import option_segments
from bandit.evaluate.breakdown.option_weights import OptionWeights, ServedOffers
from bandit.evaluate.breakdown.pages import LogScan
from tests.evaluate.breakdown.campaign import catalogue, log_of, simulated

EMAIL, SMS = 0, 1


def cell(found, option, segment="everyone", dimension="discount"):
    (one,) = [
        each for each in found.cells if (each.dimension, each.option, each.segment) == (dimension, option, segment)
    ]
    return one


def weights_of(made):
    """The weighted options of a whole log."""
    scan = LogScan(made)
    served = ServedOffers(made.catalogue)
    scan.read([served])
    found = []

    class Reader:
        def add(self, page):
            found.append(OptionWeights(served).of(page))

    scan.read([Reader()])
    return found[0]


class TestWeights:
    def test_the_other_dimension_is_dealt_evenly_among_what_the_log_serves(self):
        """Offers 0 to 5 are 0, 10, 20 % by email and sms. 0 % is served by both channels: 1 / 2 / (1/4) = 2.

        10 % is served by email alone: 1 / (1/4) = 4. Email is served with 3 discounts: 1/3 / (1/4) = 4/3.
        """
        made = log_of(catalogue(), [0, 2, 4, 1], [False] * 4, propensity=[0.25] * 4)
        found = weights_of(made)
        assert found.weight[0] == pytest.approx([2.0, 0.0, 0.0, 4 / 3, 0.0])
        assert found.weight[1] == pytest.approx([0.0, 4.0, 0.0, 4 / 3, 0.0])
        assert found.given[3].tolist() == [True, False, False, False, True]

    def test_the_baseline_gives_the_options_as_often_as_the_log(self):
        """0 % is 2 of 4 decisions, so that a decision with it counts 1/2 x 2 = 1 for the mix of discounts.

        10 % is 1 of 4: 1/4 x 4 = 1. Email is 3 of 4: 3/4 x 4/3 = 1, and sms, by 0 % alone, 1/4 x 4 = 1.
        """
        made = log_of(catalogue(), [0, 2, 4, 1], [False] * 4, propensity=[0.25] * 4)
        assert weights_of(made).baseline == pytest.approx(np.ones((4, 2)))

    def test_the_weights_of_a_policy_that_serves_all_average_one(self):
        """By hand: sum over a with o of p(a) x 1 / (m p(a)) = 1, whatever p is; the baseline is a mean of these."""
        rng = np.random.default_rng(5)
        made, table = simulated(rng, 40_000, lambda offer, loyal: np.full(len(offer), 0.1), skew=0.5)
        found = weights_of(made)
        assert table.min() > 0.0
        for weight in (found.weight, found.baseline):
            assert weight.mean(axis=0) == pytest.approx(1.0, abs=5 * weight.std(axis=0).max() / 200)

    def test_a_decision_that_was_not_left_to_chance_has_no_weight(self):
        found = weights_of(log_of(catalogue(), [0, 1, 2], [False] * 3, propensity=[1.0, 0.5, np.nan]))
        assert found.chance.tolist() == [False, True, False]
        assert not found.weight[[0, 2]].any()
        assert not found.baseline[[0, 2]].any()

    def test_a_log_of_random_offers_is_its_own_baseline(self):
        assert option_segments(log_of(catalogue(), np.arange(60) % 6, [False] * 60)).baseline == "the log's policy"
        skewed = log_of(catalogue(), np.arange(60) % 6, [False] * 60, propensity=np.full(60, 0.2))
        assert option_segments(skewed).baseline == "the log's mix of options"


class TestSums:
    def test_one_dimension_gives_the_means_of_those_who_got_it(self):
        """40 decisions of each of 2 options with 20 and 15 responses: .5 against the log's 35 / 80 = .4375."""
        given = catalogue(channels=("email",), depths=("0", "10"))
        converted = np.r_[np.arange(40) < 20, np.arange(40) < 15]
        found = option_segments(log_of(given, np.repeat([0, 1], 40), converted))
        none, ten = found.cells
        assert (none.option, none.n, none.given, none.value.value) == ("0", 80, 40, 0.5)
        assert none.difference.value == pytest.approx(0.0625)
        assert ten.difference.value == pytest.approx(-0.0625)
        assert none.finding == "cannot tell"
        assert "it may earn anything from" in none.reason

    def test_a_large_difference_is_found_in_its_segment_only(self):
        """Loyal customers respond with .4 to 20 % and .1 else; the others with .1 to all."""
        rng = np.random.default_rng(8)
        made, _ = simulated(
            rng, 12_000, lambda offer, loyal: np.where((loyal == 1) & (offer // 2 == 2), 0.4, 0.1), skew=0.3
        )
        found = option_segments(made, ["loyal"])
        assert cell(found, "20", "yes").finding == "better"
        assert cell(found, "0", "yes").finding == "worse"
        assert cell(found, "20", "no").finding == "cannot tell"
        # The log gives the loyal 20 % by 1/3 / 1.3 = .256 of the time, the others by 1/3: .295 in all. The mix of
        # discounts earns .1 + .3 x .295 = .188 with the loyal, where .4 is to be had.
        assert cell(found, "20", "yes").difference.value == pytest.approx(0.4 - 0.188, abs=0.05)

    def test_where_a_rule_forbids_an_option_only_the_others_decisions_count(self):
        rules = [{"when": "loyal", "forbid": {"discount": ["20"]}, "reason": "loyal customers buy anyway"}]
        given = catalogue(rules=rules)
        made = log_of(given, [0, 2, 4, 0], [True, False, True, False], loyal=[1, 1, 0, 0])
        found = option_segments(made, ["loyal"])
        assert cell(found, "20").n == 2
        assert cell(found, "20", "yes").n == 0
        assert "not eligible for any of these customers" in cell(found, "20", "yes").reason


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans(), st.integers(0, 9)), min_size=1, max_size=50))
def test_the_segments_of_a_fact_add_up_to_everyone(rows):
    offer, converted, loyal, customers = (np.array(column) for column in zip(*rows, strict=True))
    found = option_segments(log_of(catalogue(), offer, converted, loyal=loyal, customers=customers), ["loyal"])
    for dimension, option in {(each.dimension, each.option) for each in found.cells}:
        every, *parts = [each for each in found.cells if (each.dimension, each.option) == (dimension, option)]
        assert every.given == sum(part.given for part in parts)
        assert every.n == sum(part.n for part in parts)
        got = sum(part.given * part.happened.value for part in parts if part.given)
        assert got == pytest.approx(every.given * every.happened.value if every.given else 0.0)
    assert sum(each.given for each in found.cells if each.fact == "") == 2 * len(rows)


class TestCannotTell:
    def test_fewer_than_ten_outcomes_are_too_few(self):
        """The first 54 of 1,200 decisions respond every other time: 9 for each discount, and 27 by email only."""
        converted = (np.arange(1_200) < 54) & (np.arange(1_200) % 2 == 0)
        found = option_segments(log_of(catalogue(), np.arange(1_200) % 6, converted))
        assert {each.reason for each in found.cells if each.dimension == "discount"} == {
            "those who got it have only 9 outcomes of the rarer kind (effective number)"
        }
        assert "those who got it have only 0 outcomes" in cell(found, "sms", dimension="channel").reason
        assert "those who did not get it have only 0" in cell(found, "email", dimension="channel").reason
        assert found.compared == 0

    def test_a_deterministic_log_says_that_nothing_was_left_to_chance(self):
        made = log_of(catalogue(), np.arange(600) % 6, np.arange(600) % 3 == 0, propensity=np.ones(600))
        found = option_segments(made)
        assert found.chance == 0
        assert {each.finding for each in found.cells} == {"cannot tell"}
        assert "give a share of the customers offers at random" in found.cells[0].reason
        assert cell(found, "0").happened.value == pytest.approx(0.5)
        assert cell(found, "0").difference is None

    def test_a_log_without_propensities_has_what_happened_only(self):
        made = log_of(catalogue(), np.arange(600) % 6, np.arange(600) % 3 == 0, propensity=np.full(600, np.nan))
        one = cell(option_segments(made), "0")
        assert (one.given, one.difference, np.isnan(one.value.value)) == (200, None, True)

    def test_propensities_that_are_wrong_are_noticed(self):
        """Twice the true propensities: the weights average about .5."""
        rng = np.random.default_rng(4)
        made = log_of(catalogue(), rng.integers(0, 6, 3_000), rng.random(3_000) < 0.3, propensity=np.full(3_000, 1 / 3))
        assert "weights average 0.49" in cell(option_segments(made), "0").reason

    def test_an_option_that_everyone_got_is_compared_with_nothing(self):
        given = catalogue()
        made = log_of(given, np.tile([0, 2, 4], 400), np.arange(1_200) % 4 == 0, propensity=np.full(1_200, 1 / 3))
        assert "nothing to compare it with" in cell(option_segments(made), "email", dimension="channel").reason


class TestBadInput:
    def test_an_unknown_fact_is_named(self):
        with pytest.raises(InputError, match='there is no fact "age" to split by; declared are loyal'):
            option_segments(log_of(catalogue(), [0], [True]), ["age"])

    def test_a_level_is_a_share(self):
        with pytest.raises(InputError, match="level is 95"):
            option_segments(log_of(catalogue(), [0], [True]), level=95)

import numpy as np
import pytest
from scipy.special import expit

from bandit.evaluate.breakdown import catalogue_use, depth_response, outcome_calibration
from bandit.evaluate.breakdown.outcome_calibration import calibration_line
from tests.evaluate.breakdown.campaign import catalogue, log_of, simulated


class TestDepth:
    def test_points_come_in_order_of_depth_with_response_and_profit(self):
        """Margin .5 and revenue 1: a response at depth 20 earns .5 - .2 = .3. 60 decisions a depth, a half respond."""
        given = catalogue("profit", depths=("20", "0", "10"))
        offer = np.repeat(np.arange(6), 60)
        found = depth_response(log_of(given, offer, np.tile([True, False], 180)))
        assert [(point.option, point.rate) for point in found.points] == [("0", 0.0), ("10", 0.1), ("20", 0.2)]
        assert [point.response.value for point in found.points] == pytest.approx([0.5] * 3)
        assert [point.value.value for point in found.points] == pytest.approx([0.25, 0.2, 0.15])
        assert [(point.given, point.n, point.allowed, point.reason) for point in found.points] == [
            (120, 360, 1.0, None)
        ] * 3

    def test_a_dimension_whose_options_have_one_rate_has_no_depth(self):
        found = depth_response(log_of(catalogue(), [0, 1], [True, False]))
        assert {point.dimension for point in found.points} == {"discount"}
        assert all(point.reason for point in found.points)

    def test_a_depth_that_a_rule_keeps_from_some_says_for_how_many_it_was_allowed(self):
        rules = [{"when": "loyal", "forbid": {"discount": ["20"]}, "reason": "they buy anyway"}]
        made = log_of(catalogue(rules=rules), [4, 0, 2, 0], [True] * 4, loyal=[0, 1, 1, 1])
        assert [point.allowed for point in depth_response(made).points] == [1.0, 1.0, 0.25]


class TestUse:
    def test_each_finding_with_its_reason(self):
        """100 decisions; 20 % forbidden to all, 10 % served once where an even share of 2 depths is 50: hardly ever."""
        rules = [{"when": "loyal or not loyal", "forbid": {"discount": ["20"]}, "reason": "not this season"}]
        found = catalogue_use(log_of(catalogue(rules=rules), [2] + [0] * 99, [False] * 100))
        by_option = {each.option: each for each in found.options}
        assert {name: each.finding for name, each in by_option.items()} == {
            "0": "served",
            "10": "hardly ever served",
            "20": "never eligible",
            "email": "served",
            "sms": "never served",
        }
        assert by_option["20"].reason == 'forbidden in every decision by rule 1 ("not this season")'
        assert by_option["sms"].reason == "not chosen: 100% of the decisions allow it"
        # Of 6 offers 2 are not eligible and 2 more not served; 4 are eligible, so that 1 of 25 is below a tenth.
        assert (found.offers_never, found.offers_never_eligible, found.offers_rarely) == (4, 2, 1)
        assert (by_option["0"].share, by_option["20"].eligible) == (0.99, 0.0)

    def test_a_uniform_log_serves_everything(self):
        found = catalogue_use(log_of(catalogue(), np.arange(600) % 6, [False] * 600))
        assert {each.finding for each in found.options} == {"served"}
        assert (found.offers_never, found.offers_rarely, found.n_offers) == (0, 0, 6)


class TestCalibration:
    def test_a_model_of_what_it_can_learn_is_calibrated_on_other_customers(self):
        rng = np.random.default_rng(11)
        made, _ = simulated(rng, 8_000, lambda offer, loyal: 0.05 + 0.1 * loyal + 0.04 * (offer // 2))
        found = outcome_calibration(made, level=0.999)
        assert found.n == 8_000
        assert found.slope.low < 1.0 < found.slope.high
        assert found.intercept.low < 0.0 < found.intercept.high
        assert sum(each.n for each in found.bins) == 8_000
        assert all(each.observed.low < each.predicted < each.observed.high for each in found.bins)
        predicted = [each.predicted for each in found.bins]
        assert predicted == sorted(predicted)

    def test_predictions_that_are_too_extreme_have_a_slope_of_a_half(self):
        """The negative control: the true logit is half of the predicted one, so that the line is 0 + .5 logit."""
        rng = np.random.default_rng(12)
        extreme = rng.normal(-2.0, 1.5, 20_000)
        happened = rng.random(20_000) < expit(0.5 * extreme)
        intercept, slope = calibration_line(expit(extreme), happened, np.arange(20_000), 0.999)
        assert slope.low < 0.5 < slope.high < 1.0
        assert intercept.low < 0.0 < intercept.high

    def test_a_customer_counts_once_for_the_line(self):
        """Four times the same rows of the same customers: the same line with the same errors."""
        rng = np.random.default_rng(13)
        predicted = rng.uniform(0.1, 0.9, 500)
        happened = rng.random(500) < predicted
        once = calibration_line(predicted, happened, np.arange(500), 0.95)
        four = calibration_line(*(np.tile(each, 4) for each in (predicted, happened, np.arange(500))), 0.95)
        for one, many in zip(once, four, strict=True):
            assert many.value == pytest.approx(one.value)
            assert many.standard_error == pytest.approx(one.standard_error)

    def test_with_few_outcomes_it_says_so(self):
        found = outcome_calibration(log_of(catalogue(), np.arange(300) % 6, np.arange(300) < 9))
        assert (found.bins, found.slope) == ((), None)
        assert found.note == "300 decisions have only 9 outcomes of the rarer kind"

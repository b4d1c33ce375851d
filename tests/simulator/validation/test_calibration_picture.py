"""The pictures and tables of calibration: what is not answered is grey or left out, and rows that say nothing go."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.evaluate.diagnostics.target import MIN_EVENTS
from bandit.ope.intervals import DEFAULT_INTERVAL
from simulator.validation.calibration import picture, table
from simulator.validation.calibration.claims import all_claims
from simulator.validation.calibration.equal_offers import FalseAnnouncements
from simulator.validation.calibration.replicate import CalibrationCell
from simulator.validation.calibration.summary import EstimatedShare
from simulator.validation.calibration.worlds import NULL_MARKET
from tests.simulator.validation.test_calibration import made_up


def results_with(outcomes):
    """400 logs of two policies: 95 % of the intervals cover where a policy has enough outcomes, else none does.

    The effective sample size is 1,000 everywhere, and `outcomes` are those of the two policies.
    """
    replications = made_up(1.96)
    events = np.tile(np.array(outcomes, dtype=np.float64), (400, 1))
    few = np.broadcast_to((events < 10)[:, :, None, None], replications.low.shape)
    low, high = np.where(few, 5.0, replications.low), np.where(few, 6.0, replications.high)
    return {
        CalibrationCell("retail", "a", 1_000, 400): replace(
            replications, events=events, low=low, high=high, difference_low=low, difference_high=high
        )
    }


def test_the_rule_is_that_of_an_evaluation():
    assert MIN_EVENTS == 10
    assert MIN_EVENTS in picture.RARE_OUTCOME_EDGES


def test_coverage_by_effective_size_leaves_out_what_rests_on_fewer_than_ten_outcomes():
    """One policy with 9.9 outcomes never covered, the other with 10 does in 95 %: together they would be at 47 %."""
    results = results_with([9.9, 10.0])
    told = picture.points_by_effective_size(results, "dr", DEFAULT_INTERVAL, told=True)
    assert told.along == pytest.approx([0.95], abs=4 * np.sqrt(0.95 * 0.05 / 400))
    grey = picture.points_by_effective_size(results, "dr", DEFAULT_INTERVAL, told=False)
    assert grey.along.tolist() == [0.0]
    assert told.across.tolist() == grey.across.tolist() == [pytest.approx(np.sqrt(1_000 * 3_000))]


def test_a_bin_with_few_questions_has_no_point():
    results = results_with([10.0, 10.0])
    assert len(picture.points_by_effective_size(results, "dr", DEFAULT_INTERVAL, told=False).across) == 0


def test_coverage_by_outcomes_is_grey_below_ten():
    results = results_with([3.0, 30.0])
    told = picture.points_by_outcomes(results, "dr", DEFAULT_INTERVAL, difference=False, told=True)
    grey = picture.points_by_outcomes(results, "dr", DEFAULT_INTERVAL, difference=False, told=False)
    assert told.across.tolist() == [pytest.approx(np.sqrt(20 * 50))]
    assert grey.across.tolist() == [pytest.approx(np.sqrt(2 * 5))]
    assert (told.along > 0.9).all()
    assert (grey.along == 0.0).all()


@pytest.fixture
def drawn(monkeypatch):
    """The axes that are drawn, as they are made."""
    pytest.importorskip("matplotlib")
    made, original = [], picture.new_figure

    def new_figure(*size):
        figure, axes = original(*size)
        made.extend(axes)
        return figure, axes

    monkeypatch.setattr(picture, "new_figure", new_figure)
    return made


def colours(axis):
    """{label or "": the colours of the lines and points with it}."""
    found = {}
    for line in axis.get_lines():
        if len(line.get_xdata()) and line.get_marker() == "o":
            found.setdefault(line.get_color(), []).extend(np.asarray(line.get_xdata()).tolist())
    return found


def test_the_pictures_draw_only_answers_in_colour(drawn, tmp_path):
    results = results_with([3.0, 30.0])
    picture.draw_events(results, "dr", DEFAULT_INTERVAL, tmp_path / "events.png")
    (axis,) = drawn
    for colour, places in colours(axis).items():
        assert all((place < 10) == (colour == "0.75") for place in places), colour
    drawn.clear()
    picture.draw_coverage(results, tmp_path / "coverage.png")
    found = colours(drawn[0])
    assert len(found) == 2
    assert len(found["0.75"]) == 1
    assert (tmp_path / "coverage.png").stat().st_size > 10_000


def announcements(rows, compared, share):
    many = EstimatedShare(share, 0.01, 100)
    return FalseAnnouncements(rows, many, many, many, many, compared)


def test_a_size_of_log_that_answers_for_no_offer_is_no_row_and_no_claim():
    """That none of no offers is announced says nothing; of 36 it does."""
    results = {
        CalibrationCell("retail", "a", 1_000, 400): made_up(1.96),
        CalibrationCell(NULL_MARKET, "a", 1_000, 400): made_up(1.96),
    }
    equal = [announcements(10_000, 0.2, 0.0), announcements(60_000, 36.0, 0.0)]
    assert {row[0] for row in table.equal_offers_sheet(equal).rows} == {"60,000"}
    found = all_claims(results, equal, DEFAULT_INTERVAL)
    assert [claim.says for claim in found if "equal offers" in claim.says] == [
        "one of 36 equal offers is announced as better, 60,000 rows",
        "one of 36 equal offers is announced as worse, 60,000 rows",
    ]
    assert all(claim.holds for claim in found)


def test_where_no_size_answers_for_any_offer_the_claims_fail():
    found = all_claims({}, [announcements(10_000, 0.0, 0.0)], DEFAULT_INTERVAL)
    assert [claim.holds for claim in found if "equal offers" in claim.says] == [False, False]


def test_an_estimator_with_one_kind_of_interval_is_no_row_of_the_table_of_kinds():
    """The table of estimators has its coverage already."""
    one = results_with([30.0, 30.0])
    titles = [sheet.title for sheet in table.sheets(one, "dr", DEFAULT_INTERVAL)]
    assert not any(title.startswith("Coverage by kind of interval") for title in titles)
    two = {
        cell: replace(
            each,
            intervals=(DEFAULT_INTERVAL, "normal"),
            low=np.repeat(each.low, 2, axis=3),
            high=np.repeat(each.high, 2, axis=3),
            difference_low=np.repeat(each.difference_low, 2, axis=3),
            difference_high=np.repeat(each.difference_high, 2, axis=3),
        )
        for cell, each in one.items()
    }
    (sheet,) = [s for s in table.sheets(two, "dr", DEFAULT_INTERVAL) if s.title.startswith("Coverage by kind")]
    assert [row[0] for row in sheet.rows] == ["dr"]

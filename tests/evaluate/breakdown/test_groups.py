"""The groups and policies of a log: from a database, from a file, and in the weights of options."""

import numpy as np
import pytest

from bandit.domain import DecisionLabels, LabelledLog
from bandit.evaluate.breakdown import break_down, learning_curve
from bandit.evaluate.breakdown.option_weights import OptionWeights, ServedOffers
from bandit.evaluate.breakdown.pages import BreakdownPage
from bandit.logfiles import from_frame
from bandit.store import Store, StoreLog
from tests.evaluate.breakdown.campaign import catalogue, log_of
from tests.evaluate.test_lift_log import LOG, MONDAY, catalogue_with, write

WEEK = 7 * 86_400 * 1_000_000


@pytest.fixture
def stored(tmp_path):
    write(tmp_path / "offers.db", catalogue_with(), LOG)
    with Store.open(tmp_path / "offers.db", customer_key=b"a key for our tests", read_only=True) as store:
        yield StoreLog(store, catalogue_with())


def test_a_database_has_a_point_for_each_week_and_group(stored):
    """By hand from the rows of the log: the sum of the revenues of each week and group over its decisions."""
    by_cell = {}
    for _, group, revenue, day, _ in LOG:
        by_cell.setdefault((day // 7, group), []).append(revenue)
    points = learning_curve(stored).points
    assert [(round((point.start - MONDAY) / WEEK), point.group) for point in points] == sorted(by_cell)
    for point, (_, revenues) in zip(points, sorted(by_cell.items()), strict=True):
        assert point.value.value == pytest.approx(np.mean(revenues))
        assert (point.n, point.events) == (len(revenues), np.count_nonzero(revenues))
        assert point.policy == "uniform 1"


def test_by_policy_the_groups_are_named(stored):
    (point,) = learning_curve(stored, period="all", split="policy").points
    assert (point.policy, point.n) == ("uniform 1", len(LOG))
    assert point.group == ", ".join(sorted({group for _, group, *_ in LOG}))


def test_labels_come_with_the_batches_of_any_size(stored):
    assert isinstance(stored, LabelledLog)
    for size in (1, 3, 100):
        labels = [labels for _, labels in stored.labelled(size)]
        assert [name for each in labels for name in each.group] == [group for _, group, *_ in LOG]
        assert all(len(each) <= size for each in labels)


def test_a_file_has_the_groups_of_its_column_and_no_times_where_it_has_no_column():
    frame = {
        "discount": ["0", "10", "0", "20"],
        "channel": ["email"] * 4,
        "loyal": [True, False, True, True],
        "propensity": [1 / 6] * 4,
        "converted": [True, False, False, True],
        "group": ["new", "old", "new", ""],
    }
    log = from_frame(frame, catalogue())
    curve = learning_curve(log)
    assert not curve.times_known
    assert [(point.group, point.n, point.response.value) for point in curve.points] == [
        ("import", 1, 1.0),
        ("new", 2, 0.5),
        ("old", 1, 0.0),
    ]
    assert break_down(log, ["group"]).curves["group"].points == learning_curve(log, period="all").points


def test_a_group_whose_propensities_are_even_counts_for_more():
    """Even propensities have weights 1: sum / sum of squares is 1. Weights 1/4 and 7/4 have 2 / (50/16) = .64."""
    given = catalogue()
    given = type(given).from_dict(
        given.to_dict()
        | {"fallback": {"discount": "0", "channel": "email"}}
        | {"groups": {"policy": 0.5, "random": 0.5}}
    )
    made = log_of(given, [0, 1, 2, 3], [False] * 4, propensity=[1 / 6, 1 / 6, 4 / 6, 4 / 42]).whole
    labels = DecisionLabels(np.array(["random"] * 2 + ["policy"] * 2, dtype=object), np.full(4, "p", dtype=object))
    page = BreakdownPage(made, np.arange(4), made.converted, labels, times_known=True)
    served = ServedOffers(given)
    served.add(page)
    assert not served.even
    assert served.count_of(labels.group) == pytest.approx([1.0, 1.0, 0.64, 0.64])
    assert OptionWeights(served).of(page).counts == pytest.approx([1.0, 1.0, 0.64, 0.64])

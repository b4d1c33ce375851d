"""Which estimators are computed for a list of names, and which lists are rejected."""

import numpy as np
import pytest

from bandit.errors import InputError
from bandit.ope import DEFAULT, ESTIMATORS, Feedback, ShrunkDR, SwitchDR, estimate, resolve
from bandit.ope.estimators.clipped_ips import ClippedIps
from bandit.ope.estimators.registry import ALL

GOOD = {"reward": [1.0, 0.0], "propensity": [0.5, 0.5], "target": [0.2, 1.0]}


def test_without_predictions_the_default_set_is_what_needs_none():
    assert [each.name for each in estimate(Feedback(**GOOD))] == ["ips", "snips"]


def test_asking_for_dr_without_predictions_is_rejected():
    with pytest.raises(InputError, match="dr needs predicted_logged and predicted_target"):
        estimate(Feedback(**GOOD), ("ips", "dr"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mrdr", "mrdr needs robust_logged and robust_target, which are not given"),
        ("mips", "mips needs marginal_weight, which is not given"),
        ("pi", "pi needs slate_weight, which is not given"),
        ("dr-os-slope", "dr-os-slope needs predicted_logged and predicted_target"),
    ],
)
def test_estimators_whose_columns_are_missing_are_rejected(name, words):
    with pytest.raises(InputError, match=words):
        resolve((name, "ips"), Feedback(**GOOD).has)


def test_all_are_those_whose_needs_are_met():
    assert tuple(ESTIMATORS) == ALL
    assert [each.name for each in resolve(ALL)] == ["ips", "clipped-ips", "snips", "clipped-ips-slope"]
    assert [each.name for each in resolve(ALL, frozenset({"slate"}))] == [
        "ips",
        "clipped-ips",
        "snips",
        "pi",
        "clipped-ips-slope",
    ]
    every = frozenset({"predictions", "robust", "marginal", "slate"})
    assert [each.name for each in resolve(ALL, every)] == list(ESTIMATORS)


@pytest.mark.parametrize("names", [("ips", "magic"), (), "ips", ("ips", "ips")])
def test_a_wrong_list_of_estimators_is_rejected(names):
    with pytest.raises(InputError):
        estimate(Feedback(**GOOD), names)


def test_default_has_the_seven_in_order():
    assert DEFAULT == ("ips", "snips", "dm", "dr", "sndr", "switch-dr", "dr-os")
    for chosen in (resolve(DEFAULT, predictions=True), resolve(DEFAULT, frozenset({"predictions", "slate"}))):
        assert [each.name for each in chosen] == list(DEFAULT)


def test_thresholds_out_of_range_are_rejected():
    for build in (lambda: SwitchDR(-1.0), lambda: SwitchDR(np.nan), lambda: ShrunkDR(0.0), lambda: ClippedIps(0.0)):
        with pytest.raises(InputError, match="give a number"):
            build()

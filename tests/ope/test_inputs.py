"""What is refused, with which sentence; and how cluster keys become numbers."""

import numpy as np
import pytest

from bandit.errors import InputError, NumberError
from bandit.ope import DEFAULT, ESTIMATORS, Feedback, ShrunkDR, SwitchDR, Tally, compare, estimate, resolve
from bandit.ope.clusters import ClusterIndex
from bandit.ope.estimators.clipped_ips import ClippedIps
from bandit.ope.estimators.registry import ALL

GOOD = {"reward": [1.0, 0.0], "propensity": [0.5, 0.5], "target": [0.2, 1.0]}


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ({"reward": [1.0, np.nan]}, NumberError, "reward has nan in row 1"),
        ({"reward": [np.inf, 0.0]}, NumberError, "reward has inf in row 0"),
        ({"reward": ["a", "b"]}, NumberError, "reward is not an array of numbers"),
        ({"propensity": [0.0, 0.5]}, NumberError, r"propensity has 0.0 in row 0, which is outside \(0, 1\]"),
        ({"propensity": [0.5, 1.7]}, NumberError, "propensity has 1.7 in row 1"),
        ({"propensity": [0.5, np.nan]}, NumberError, "propensity has nan"),
        ({"propensity": [5e-324, 0.5]}, NumberError, "too large for a float64"),
        ({"target": [-0.1, 0.5]}, NumberError, r"target has -0.1 in row 0, which is outside \[0, 1\]"),
        ({"target": [0.1, 1.5]}, NumberError, "target has 1.5"),
        ({"target": [0.1]}, InputError, "target has 1 rows but reward has 2"),
        ({"reward": [[1.0, 0.0]]}, InputError, "1-d"),
        ({"predicted_logged": [0.0, 0.0]}, InputError, "only one of predicted_logged and predicted_target"),
        ({"predicted_logged": [0.0, np.nan], "predicted_target": [0, 0]}, NumberError, "predicted_logged has nan"),
        ({"cluster": [0.5, 1.0]}, InputError, "cluster has dtype float64"),
        ({"cluster": [0]}, InputError, "cluster has 1 rows"),
        ({"robust_target": [0.0, 0.0]}, InputError, "only one of robust_logged and robust_target"),
        ({"robust_logged": [0.0, 0.0], "robust_target": [0.0, np.inf]}, NumberError, "robust_target has inf"),
        ({"marginal_weight": [0.5, -0.1]}, NumberError, "marginal_weight has -0.1 in row 1"),
        ({"marginal_weight": [np.nan, 0.1]}, NumberError, "marginal_weight has nan"),
        ({"marginal_weight": [0.5]}, InputError, "marginal_weight has 1 rows"),
        ({"slate_weight": [np.inf, 0.0]}, NumberError, "slate_weight has inf in row 0"),
    ],
)
def test_bad_rows_are_refused_with_one_sentence(fault, error, words):
    with pytest.raises(error, match=words):
        estimate(Feedback(**{**GOOD, **fault}))


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.5, np.nan])
def test_a_level_outside_zero_and_one_is_refused(level):
    with pytest.raises(InputError, match="level is"):
        estimate(Feedback(**GOOD), level=level)


def test_no_rows_are_refused():
    with pytest.raises(InputError, match="no rows"):
        estimate(Feedback([], [], []))


def test_without_predictions_the_default_set_is_what_needs_none():
    assert [each.name for each in estimate(Feedback(**GOOD))] == ["ips", "snips"]


def test_asking_for_dr_without_predictions_is_refused():
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
def test_asking_for_what_the_log_does_not_have_is_refused(name, words):
    with pytest.raises(InputError, match=words):
        resolve((name, "ips"), Feedback(**GOOD).has)


def test_feedback_says_what_it_has():
    assert Feedback(**GOOD).has == frozenset()
    two = [0.0, 1.0]
    pairs = {"predicted_logged": two, "predicted_target": two, "robust_logged": two, "robust_target": two}
    full = Feedback(**GOOD, **pairs, marginal_weight=two, slate_weight=[-1.0, 2.0])
    assert full.has == {"predictions", "robust", "marginal", "slate"}
    rows = full.rows(slice(1, 2))
    assert (rows.slate_weight[0], rows.marginal_weight[0], rows.robust_logged[0]) == (2.0, 1.0, 1.0)
    assert Feedback(**GOOD).rows().slate_weight.shape == (0,)


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
def test_a_wrong_list_of_estimators_is_refused(names):
    with pytest.raises(InputError):
        estimate(Feedback(**GOOD), names)


def test_default_has_the_seven_in_order():
    assert DEFAULT == ("ips", "snips", "dm", "dr", "sndr", "switch-dr", "dr-os")
    for chosen in (resolve(DEFAULT, predictions=True), resolve(DEFAULT, frozenset({"predictions", "slate"}))):
        assert [each.name for each in chosen] == list(DEFAULT)


def test_comparing_different_rows_is_refused():
    with pytest.raises(InputError, match="same rows"):
        compare(Feedback(**GOOD), Feedback(**{**GOOD, "reward": [1.0, 0.5]}))
    with pytest.raises(InputError, match="same rows"):
        compare(Feedback(**GOOD), Feedback(**GOOD, cluster=[0, 1]))


def test_rows_with_and_without_clusters_do_not_mix():
    tally = Tally(1, resolve(("ips",), predictions=False))
    tally.add(Feedback(**GOOD))
    with pytest.raises(InputError, match="some rows have clusters"):
        tally.add(Feedback(**GOOD, cluster=[0, 1]))
    other = Tally(1, resolve(("ips",), predictions=False))
    other.add(Feedback(**GOOD, cluster=[0, 1]))
    with pytest.raises(InputError, match="clusters"):
        _ = tally + other


def test_tallies_of_different_estimators_do_not_merge():
    with pytest.raises(InputError, match="different policies or estimators"):
        _ = Tally(1, (SwitchDR(1.0),)) + Tally(1, (SwitchDR(2.0),))


def test_thresholds_out_of_range_are_refused():
    for build in (lambda: SwitchDR(-1.0), lambda: SwitchDR(np.nan), lambda: ShrunkDR(0.0), lambda: ClippedIps(0.0)):
        with pytest.raises(InputError, match="give a number"):
            build()


def test_no_weight_at_all_is_not_a_number_and_has_no_bounds():
    ips, snips = estimate(Feedback([1.0, 2.0], [0.5, 0.5], [0.0, 0.0]))
    assert (ips.value, ips.effective_sample_size) == (0.0, 0.0)
    assert np.isnan(snips.value)
    assert (snips.low, snips.high) == (-np.inf, np.inf)
    assert snips.to_dict()["value"] is None


def test_rewards_whose_squares_overflow_have_no_bounds():
    answer = estimate(Feedback([1e300, -1e300, 1.0], [0.5] * 3, [0.5] * 3), ("ips",))[0]
    assert (answer.low, answer.high) == (-np.inf, np.inf)


def test_keys_are_numbered_as_they_appear_and_dealt_alike_in_any_batches():
    names = np.array([f"customer-{i % 700}" for i in range(2_000)], dtype=object)
    numbers, shares = ClusterIndex("a").read(names, 2_000)
    again = ClusterIndex("a")
    pieces = [again.read(names[i : i + 300], len(names[i : i + 300])) for i in range(0, 2_000, 300)]
    assert (np.concatenate([piece[0] for piece in pieces]) == numbers).all()
    assert (np.concatenate([piece[1] for piece in pieces]) == shares).all()
    assert (numbers == np.arange(2_000) % 700).all()
    assert (ClusterIndex("a").read(names[::-1], 2_000)[1][::-1] == shares).all()


@pytest.mark.parametrize("named", [True, False])
def test_shares_are_uniform_and_those_of_two_salts_independent(named):
    """4,000 keys in a 4 x 4 table of two salts: chi-square with 15 degrees stays below its 99.9 % point, 37.7."""
    keys = np.array([f"c{i}" for i in range(4_000)], dtype=object) if named else np.empty(0, dtype=object)
    one, other = (ClusterIndex(salt).read(keys, 4_000)[1] for salt in ("fold", "split"))
    assert 0.0 <= min(one.min(), other.min()) <= max(one.max(), other.max()) < 1.0
    cells = np.bincount((4 * one).astype(int) * 4 + (4 * other).astype(int), minlength=16)
    assert np.sum((cells - 250) ** 2 / 250) < 37.7
    same = np.bincount((4 * one).astype(int) * 4 + (4 * one).astype(int), minlength=16)
    assert np.sum((same - 250) ** 2 / 250) > 37.7

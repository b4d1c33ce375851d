import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.catalogue import Catalogue
from bandit.policies.warmup import Warmup
from bandit.store import Store, state_hash
from bandit.store.learning.conversion_delay import LEVELS, estimate
from tests.conftest import SPRING, amended, draw_outcomes
from tests.store.rows import WEEK, decisions, events

N = 10


def exponential(mean, n, rng):
    """Delays with an exponential law cut off at the window, by its inverse."""
    return -mean * np.log1p(-rng.random(n) * (1.0 - np.exp(-WEEK / mean)))


def test_with_no_conversion_the_share_is_linear_in_the_age():
    nothing = np.zeros(0, dtype=np.int64)
    shape = estimate(nothing, nothing, WEEK)
    at = np.array([0.1, 0.25, 0.5, 1.0]) * WEEK
    assert shape.at(at) == pytest.approx([0.1, 0.25, 0.5, 1.0], abs=1e-9)
    assert shape.level_ages() == pytest.approx([share * WEEK for share, _ in LEVELS], abs=1)


def test_known_in_full_the_share_is_that_of_the_delays():
    """1,000 delays: Kolmogorov's distance is below 1.95 / sqrt(n) in 999 of 1,000, and 10 pseudo ones add 1 %."""
    rng = np.random.default_rng(3)
    delay = exponential(0.2 * WEEK, 1000, rng).astype(np.int64)
    shape = estimate(delay, np.full(1000, 2 * WEEK), WEEK)
    at = np.linspace(0.01, 1.0, 50)
    truth = np.expm1(-at / 0.2) / np.expm1(-1 / 0.2)
    assert np.abs(shape.at(at * WEEK) - truth).max() < 1.95 / np.sqrt(1000) + 0.02


def test_delays_that_only_old_decisions_can_show_are_not_forgotten():
    """Delays even over the window, ages too: those seen are short, since long ones are not yet seen.

    Seen are those with delay < age, of which 1 - (1 - t)^2 are below t: at half the window 0.75 in place of 0.5,
    which is what counting them without regard to age would give.
    """
    rng = np.random.default_rng(4)
    delay, age = rng.integers(0, WEEK, 4000), rng.integers(0, WEEK, 4000)
    seen = delay <= age
    shape = estimate(delay[seen], age[seen], WEEK)
    half = np.array([0.5 * WEEK])
    assert shape.at(half) == pytest.approx([0.5], abs=0.1)
    assert (delay[seen] < half).mean() > 0.7


@given(st.lists(st.tuples(st.integers(0, WEEK), st.integers(0, 2 * WEEK)), max_size=30))
def test_a_share_never_falls_with_age_and_ends_at_one(pairs):
    delay, age = (np.array(pairs, dtype=np.int64).reshape(-1, 2)[:, place] for place in (0, 1))
    shape = estimate(delay[delay <= age], age[delay <= age], WEEK)
    assert (np.diff(shape.share) > 0).all()
    assert (shape.share[0], shape.share[-1]) == (0.0, 1.0)
    ages = shape.level_ages()
    assert (np.diff(ages) >= 0).all()
    assert (ages > 0).all()
    assert (ages <= WEEK).all()


def test_levels_rise_and_none_of_them_is_whole():
    shares, weights = (np.array(column) for column in zip(*LEVELS, strict=True))
    assert (np.diff(shares) > 0).all()
    assert (np.diff(weights) > 0).all()
    assert weights.max() < 1.0


def test_whole_outcomes_leave_parts_out_and_are_new_where_only_parts_were_learned():
    rows = draw_outcomes(Catalogue.from_dict(SPRING), 4, np.random.default_rng(0))
    learned = amended(
        rows,
        is_update=np.array([False, True, True, True]),
        previous_revenue=np.array([0.0, 0.0, 1.0, 2.0]),
        weight=np.array([1.0, 0.5, 1.0, 1.0]),
        previous_weight=np.array([0.0, 0.25, 0.75, 1.0]),
    )
    whole = learned.only_complete()
    assert whole.offer.tolist() == rows.offer[[0, 2, 3]].tolist()
    assert whole.is_update.tolist() == [False, False, True]
    assert whole.previous.revenue.tolist() == [0.0, 0.0, 2.0]
    assert whole.weights.tolist() == [1.0, 1.0, 1.0]
    assert whole.previous.weights.tolist() == [0.0, 0.0, 1.0]
    assert rows.only_complete() is rows
    assert learned.take(np.array([1])).weights.tolist() == [0.5]


def test_a_warm_up_keeps_how_much_of_each_outcome_is_known():
    """Two batches, the first whole and without weights; a state from before there were weights is read as whole."""
    catalogue = Catalogue.from_dict(SPRING)
    whole = draw_outcomes(catalogue, 3, np.random.default_rng(0))
    part = amended(whole.take(slice(0, 2)), weight=np.array([0.5, 1.0]), previous_weight=np.array([0.0, 0.25]))
    warmup = Warmup(10, [whole, part])
    assert warmup.outcomes().weights.tolist() == [1.0, 1.0, 1.0, 0.5, 1.0]
    sizes, arrays = warmup.state()
    again = Warmup.restore(10, catalogue, sizes, arrays)
    assert again.batches[1].weights.tolist() == [0.5, 1.0]
    assert again.outcomes().previous.weights.tolist() == [0.0, 0.0, 0.0, 0.0, 0.25]
    older = {name: array for name, array in arrays.items() if name not in {"time", "weight", "was_weight"}}
    assert Warmup.restore(10, catalogue, sizes, older).outcomes().weights.tolist() == [1.0] * 5


def stream(store, p, mean, n, until, rng):
    """n decisions over `until`; a share p converts after a slow delay; the store learns 14 times a week.

    Returns what a weighted count has of conversions and of silences, by the parts of the ledger and by whole ones
    alone (the control).
    """
    number = store.catalogues.register(Catalogue.from_dict(SPRING))
    store.catalogues.register_policy(number, {})
    store.ledger.record_step(1, 0, None, state_hash(b""), b"")
    time = np.sort(rng.integers(0, until, n))
    came = time + exponential(mean, n, rng).astype(np.int64)
    came[rng.random(n) >= p] = 2**62
    ids = np.array([f"d{row}" for row in range(n)])
    counted, whole = np.zeros(2), np.zeros(2)
    before, moments = -1, np.arange(1, 1 + 14 * until // WEEK) * (WEEK // 14)
    for now in moments.tolist():
        new = (time > before) & (time <= now)
        store.decision_writer.append(decisions(number, N, ids[new].tolist(), time=time[new]))
        bought = (came > before) & (came <= now)
        store.events.append(events(ids[bought].tolist(), time=came[bought], revenue=5.0))
        before = now
        while len(rows := store.ledger.due(1, "purchase", WEEK, now)):
            step = store.ledger.latest_step(1) + 1
            store.ledger.record_step(1, step, rows, state_hash(b""), b"")
            y = rows.decisions.converted
            counted += [rows.weight @ y, rows.weight @ ~y]
            counted -= [rows.previous_weight @ rows.previous_converted, rows.previous_weight @ ~rows.previous_converted]
            full, was_full = rows.weight == 1.0, rows.previous_weight == 1.0
            whole += [(full & y).sum(), (full & ~y).sum()]
            whole -= [(was_full & rows.previous_converted).sum(), (was_full & ~rows.previous_converted).sum()]
    return counted, whole


def test_half_way_through_a_slow_campaign_the_mean_that_is_learned_is_the_true_one(tmp_path):
    """p = 0.1, delays exponential with 0.4 weeks, looked at after 1.5 weeks: 1/3 of the decisions are settled.

    Over the ages of the open ones F(t) = (1 - exp(-t / 0.4)) / (1 - exp(-2.5)) is 0.69 on average, so the weighted
    count has n (1/3 + 2/3 x 0.69) = 0.79 n outcomes, and their mean a standard deviation of sqrt(p (1 - p) / 0.79 n),
    4 of which are 0.017 at n = 6,300. To the second order it is low by 0.002 (p times 2 %), and the levels, which
    lag or lead by 1/8, leave as much: the tolerance is 0.017 + 0.005. Conversions against settled silence alone, the
    control, are 0.079 / (0.079 + 0.3) = 0.21: twice as many.
    """
    with Store.open(tmp_path / "s.db", durability="process") as store:
        n, p = 6300, 0.1
        counted, whole = stream(store, p, 0.4 * WEEK, n, 3 * WEEK // 2, np.random.default_rng(11))
    assert abs(counted[0] / counted.sum() - p) < 4 * np.sqrt(p * (1 - p) / (0.79 * n)) + 0.005
    assert counted.sum() == pytest.approx(0.79 * n, rel=0.1)
    assert whole[0] / whole.sum() > 1.7 * p


def test_before_the_first_window_is_over_the_mean_is_near_and_not_one(tmp_path):
    """At 0.9 windows nothing is settled but conversions: the control has seen nothing else, and its mean is 1.

    3,000 decisions count as some 1,900 whole ones: 4 standard deviations are 0.028, and what is assumed of the tail of
    the delays, which nobody has seen yet, may be a tenth of the mean off.
    """
    with Store.open(tmp_path / "s.db", durability="process") as store:
        counted, whole = stream(store, 0.1, 0.3 * WEEK, 3000, 9 * WEEK // 10, np.random.default_rng(12))
    assert 0.06 < counted[0] / counted.sum() < 0.15
    assert whole[1] == 0

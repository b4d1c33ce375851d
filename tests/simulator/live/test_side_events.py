"""Side events: their rates by group, and that they happen once, in order of time."""

import numpy as np
import pytest

from bandit.errors import InputError
from simulator.live.side_events import PendingSideEvents, SideEvent, SideNoise
from simulator.market.season import DAY


def test_text_names_the_event_its_rate_and_its_group():
    assert SideEvent.parse("unsubscribe=0.002") == SideEvent("unsubscribe", 0.002)
    assert SideEvent.parse("unsubscribe@policy=0.01") == SideEvent("unsubscribe", 0.01, "policy")


@pytest.mark.parametrize("text", ["unsubscribe", "unsubscribe=often", "unsubscribe=1.5", "=0.1", "unsubscribe=nan"])
def test_other_text_is_refused_with_an_example(text):
    with pytest.raises(InputError, match=r"unsubscribe=0\.002"):
        SideEvent.parse(text)


def test_a_rate_of_one_group_replaces_that_of_all():
    """20,000 decisions a group: a rate of 0.05 within four deviations of sqrt(.05 * .95 / 20,000) = .0015; the policy's
    own is 0.2 (deviation .0028). Without the second entry the policy's rate would be .05, far outside."""
    n = 40_000
    events = SideEvent("unsubscribe", 0.05), SideEvent("unsubscribe", 0.2, "policy")
    noise = SideNoise.draw(events, n, np.random.default_rng(5))
    groups = np.array(["rules", "policy"] * (n // 2), dtype=object)
    rows, delay = noise.after(np.arange(n), groups, "unsubscribe")
    happened = np.bincount(rows, minlength=n)
    assert abs(happened[groups == "rules"].mean() - 0.05) < 4 * 0.0015
    assert abs(happened[groups == "policy"].mean() - 0.2) < 4 * 0.0028
    assert 0 <= delay.min() <= delay.max() < DAY


def test_each_event_happens_once_and_in_order():
    """Rate 1: every decision of the two batches has its event, half of a day later all of those due have come."""
    noise = SideNoise.draw((SideEvent("opened", 1.0),), 200, np.random.default_rng(5))
    pending = PendingSideEvents(noise)
    for rows in (np.arange(100), np.arange(100, 200)):
        pending.add(rows, rows * 1_000, np.full(len(rows), "policy", dtype=object))
    (event, early, times) = pending.due(DAY // 2)[0]
    assert event == "opened"
    assert (np.diff(times) >= 0).all()
    assert (times <= DAY // 2).all()
    np.testing.assert_array_equal(times, early * 1_000 + (noise.delay["opened"][early] * DAY).astype(np.int64))
    (_, late, _) = pending.due(2 * DAY)[0]
    assert sorted([*early.tolist(), *late.tolist()]) == list(range(200))
    assert pending.due(10 * DAY) == []

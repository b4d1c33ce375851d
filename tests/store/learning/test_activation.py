"""With an [objective] activation, a decision has an outcome only once the event of that name was recorded on it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.catalogue import Catalogue
from bandit.store import Activation, Store, StoreLog, Where, state_hash
from bandit.store.learning.due_outcomes import DueCriterion
from tests.conftest import SPRING
from tests.store.rows import DAY, WEEK, decisions, due, events, learn, names, weights

N = 10
SHOWN = {"activation": "shown"}
ACTIVE = SPRING | {"objective": SPRING["objective"] | SHOWN}


def test_what_was_never_shown_is_never_due_not_even_when_the_window_is_over(store):
    """Of six decisions "b" and "d" were shown; without activation the other four are due as well."""
    store.events.append(events(["b", "d"], "shown"))
    assert learn(store, now=2 * WEEK, **SHOWN) == ["bd"]
    assert len(due(store, now=9 * WEEK, **SHOWN)) == 0
    assert names(due(store, now=2 * WEEK)) == "acef"


def test_a_purchase_without_being_shown_is_no_outcome_and_becomes_one_with_it(store):
    store.events.append(events(["b"], revenue=5.0))
    assert len(due(store, **SHOWN)) == 0
    learn(store, now=2 * WEEK, **SHOWN)
    store.events.append(events(["b"], "shown"))
    rows = due(store, now=3 * WEEK, **SHOWN)
    assert (names(rows), rows.weight.tolist(), rows.decisions.converted.tolist()) == ("b", [1.0], [True])
    assert not rows.is_update.any()


def test_shown_late_counts_at_the_age_of_the_decision(store):
    """The window runs from the decision: one shown on the fourth of seven days is learned as half a silence."""
    learn(store, now=WEEK // 2, **SHOWN)
    store.events.append(events(["c"], "shown", time=WEEK // 2))
    rows = due(store, now=WEEK // 2 + 1, **SHOWN)
    assert (names(rows), rows.weight.tolist()) == ("c", [0.5])
    learn(store, now=WEEK // 2 + 1, **SHOWN)
    assert learn(store, now=2 * WEEK, **SHOWN) == ["c"]
    assert weights(store)["c"] == [0.5, 1.0]


def test_what_is_reported_late_counts_if_it_was_shown_within_the_window(store):
    """Both are reported in week 3; "a" was shown on day 6, "b" on day 8 and so after its window of 7 days."""
    learn(store, now=2 * WEEK, **SHOWN)
    store.events.append(events(["a"], "shown", time=6 * DAY))
    store.events.append(events(["b"], "shown", time=8 * DAY))
    assert names(due(store, now=3 * WEEK, **SHOWN)) == "a"


def test_a_correction_to_the_activating_event_activates_and_one_away_from_it_takes_nothing_back(store):
    store.events.append(events(["a"], "queued", event_ids=["x"]))
    store.events.append(events(["b"], "shown", event_ids=["x"]))
    assert learn(store, now=2 * WEEK, **SHOWN) == ["b"]
    store.events.append(events(["a"], "shown", event_ids=["x"]), correct=True)
    store.events.append(events(["b"], "queued", event_ids=["x"]), correct=True)
    assert learn(store, now=2 * WEEK, **SHOWN) == ["a"]
    assert sorted(weights(store)) == ["a", "b"]


def test_conversions_of_decisions_that_were_not_shown_say_nothing_of_the_delay(store):
    """40 decisions bought within the hour make silence known early, if they were shown."""
    ids = [f"old-{i}" for i in range(40)]
    store.decision_writer.append(decisions(1, N, ids, time=np.full(40, -2 * WEEK)))
    store.events.append(events(ids, time=-2 * WEEK + DAY // 24, revenue=5.0))
    store.events.append(events(["a"], "shown"))
    assert len(due(store, now=DAY // 8, **SHOWN)) == 0
    store.events.append(events(ids, "shown", time=-2 * WEEK))
    rows = due(store, now=DAY // 8 + WEEK // 100, **SHOWN)
    assert (names(rows)[0], rows.weight[0]) == ("a", 0.95)


def test_the_criterion_of_a_catalogue_without_activation_is_stored_as_before():
    assert DueCriterion("purchase", WEEK, False).to_json() == f'["purchase",{WEEK},false]'
    assert DueCriterion("purchase", WEEK, False, ("random",)).to_json() == f'["purchase",{WEEK},false,["random"]]'
    shown = DueCriterion("purchase", WEEK, False, (), "shown").to_json()
    assert shown == f'["purchase",{WEEK},false,[],"shown"]'


def test_a_log_leaves_out_and_counts_what_was_never_shown(store):
    """Ten decisions at day 0, four shown; one, "x", is open. Settled: 10, of which 4 shown; negative control: all."""
    active = Catalogue.from_dict(ACTIVE)
    ids = [f"d{i}" for i in range(10)]
    store.decision_writer.append(decisions(1, N, ids, time=np.full(10, 5 * DAY)))
    store.decision_writer.append(decisions(1, N, ["x"], time=np.array([30 * DAY])))
    store.events.append(events([*ids[:4], "x"], "shown", time=6 * DAY))
    where = Where(settled_before=20 * DAY, after_time=5 * DAY)
    log = StoreLog(store, active, where=where)
    assert (log.n, log.left_out, log.still_open, log.not_activated, log.activation) == (4, 0, 1, 6, "shown")
    assert sum(map(len, log.batches())) == 4
    whole = StoreLog(store, Catalogue.from_dict(SPRING), where=where)
    assert (whole.n, whole.still_open, whole.not_activated, whole.activation) == (10, 1, 0, None)


_ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("decide"), st.integers(0, 12)),
        st.tuples(st.just("shown"), st.integers(0, 9), st.integers(0, 20)),
        st.tuples(st.just("event"), st.integers(0, 9), st.integers(0, 12), st.sampled_from([5.0, -5.0, 0.0])),
        st.tuples(st.just("correct"), st.integers(0, 40), st.sampled_from(["shown", "purchase", "mistake"])),
        st.tuples(st.just("learn"), st.integers(1, 4)),
        st.tuples(st.just("wait"), st.integers(1, 5)),
    ),
    max_size=40,
)


@settings(max_examples=25)
@given(_ACTIONS)
def test_learning_as_it_comes_ends_where_learning_all_at_once_does_and_where_the_log_is(tmp_path_factory, actions):
    """Policy 1 learns as events come, policy 2 all at once at the end: the last outcome of each decision is the same,
    and these are the decisions, with the outcomes, of the log; no other decision was ever learned."""
    with Store.open(tmp_path_factory.mktemp("s") / "s.db", durability="process") as store:
        number = store.catalogues.register(Catalogue.from_dict(ACTIVE))
        for kind in ("one", "two"):
            policy = store.catalogues.register_policy(number, {"kind": kind})
            store.ledger.record_step(policy, 0, None, state_hash(b""), b"")
        now, n, made = 0, 0, []
        for action, *arguments in actions:
            if action == "decide":
                store.decision_writer.append(decisions(number, N, [f"d{n}"], time=np.array([arguments[0] * DAY])))
                n += 1
            elif action in {"shown", "event"} and n:
                name, who = f"e{len(made)}", f"d{arguments[0] % n}"
                what, revenue = ("shown", np.nan) if action == "shown" else ("purchase", arguments[2])
                store.events.append(events([who], what, arguments[1] * DAY, revenue, event_ids=[name]))
                made.append((who, name))
            elif action == "correct" and made:
                who, name = made[arguments[0] % len(made)]
                store.events.append(events([who], arguments[1], 3 * DAY, event_ids=[name]), correct=True)
            elif action == "learn":
                learn(store, now, limit=arguments[0], **SHOWN)
            elif action == "wait":
                now += arguments[0] * DAY
        end = now + 4 * WEEK
        learn(store, end, **SHOWN)
        while len(rows := store.ledger.due(2, "purchase", WEEK, end, **SHOWN)):
            step = store.ledger.latest_step(2) + 1
            store.ledger.record_step(2, step, rows, state_hash(b"2"), b"2")
        assert last_learned(store, 1) == last_learned(store, 2)
        log = store.decisions.page("purchase", WEEK, where=Where(activation=Activation("shown", WEEK)))
        seen = zip(log.converted.tolist(), log.revenue.tolist(), strict=True)
        assert last_learned(store, 1) == dict(zip(log.seq.tolist(), ((1.0, *each) for each in seen), strict=True))
        assert store.check() == []


def last_learned(store, policy):
    """The last (weight, converted, revenue) that a policy learned of each decision."""
    learned = {}
    for step in store.ledger.steps(policy):
        rows = store.ledger.learned_rows(policy, step.step, "purchase", WEEK)
        columns = (rows.decisions.seq, rows.weight, rows.decisions.converted, rows.decisions.revenue)
        for seq, *outcome in zip(*(column.tolist() for column in columns), strict=True):
            learned[seq] = tuple(outcome)
    return learned


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_a_scan_of_any_size_finds_the_same(store, limit):
    store.events.append(events(["b", "d", "e"], "shown"))
    assert "".join(learn(store, now=2 * WEEK, limit=limit, **SHOWN)) == "bde"

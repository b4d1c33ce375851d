"""Sticky offers: within a while after a decision a customer gets the same offer, and the log has one decision."""

import contextlib
import copy
import functools
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bandit
from bandit.domain import MICROSECONDS
from bandit.engine import sticky as sticky_module
from bandit.errors import DuplicateError, UnknownDecisionError
from bandit.governance.customer_data import customer_data
from bandit.governance.erasure import erase
from bandit.governance.retention import retain
from bandit.store import StoreLog
from tests.catalogue.test_groups import NOTHING
from tests.conftest import SPRING
from tests.engine.conftest import DAY, KEY, Clock, context

HOUR = 3_600 * MICROSECONDS
STICKY = {"for": "3d", "until": ["purchase"]}
LOYAL = {"gender": "f", "recency": 3.0, "loyal": True}

EVENTS = dict.fromkeys(("opened", "shown", "mistake"), "ignored")
"""What is recorded beside the purchase, declared so that nobody is warned of it."""


def with_sticky(**changes):
    return bandit.Catalogue.from_dict(copy.deepcopy(SPRING) | {"sticky": STICKY, "events": EVENTS} | changes)


@pytest.fixture
def catalogue():
    return with_sticky()


@pytest.fixture
def serving(path, clock):
    """A function that opens the test's database with a catalogue."""
    with contextlib.ExitStack() as stack:

        def opened(catalogue):
            policy = bandit.Uniform(catalogue)
            return stack.enter_context(
                bandit.Engine.open(path, catalogue, policy, seed=7, customer_key=KEY, clock=clock)
            )

        yield opened


@pytest.fixture
def engine(open_engine, catalogue):
    return open_engine(bandit.Uniform(catalogue))


def rows(engine, table):
    with engine.store._connection.reading() as raw:
        return raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608


def decide_until(engine, wanted, customer="c"):
    """The first decision, of customers c0, c1, ..., whose offer is as wanted; and the customer."""
    for number in range(200):
        found = engine.decide(f"{customer}{number}", LOYAL)
        if wanted(found.offer):
            return found, f"{customer}{number}"
    raise AssertionError("none was drawn")


class TestHold:
    def test_a_further_request_gets_the_same_decision_under_its_own_id(self, engine, clock):
        first = engine.decide("c", LOYAL, decision_id="mail")
        clock.now += 2 * DAY
        again = engine.decide("c", LOYAL | {"recency": 5.0}, decision_id="app")
        assert (again.decision_id, again.held_from, again.time) == ("app", "mail", first.time + 2 * DAY)
        assert (again.offer, again.offer_index, again.propensity) == (first.offer, first.offer_index, first.propensity)
        assert (again.group, again.reasons, again.fault) == (first.group, first.reasons, None)
        assert again.eligible.tolist() == first.eligible.tolist()
        assert (first.held_from, again.logged) == (None, True)
        assert (rows(engine, "decisions"), rows(engine, "repeats")) == (1, 1)
        assert engine.verify().problems == ()

    def test_without_sticky_each_request_is_a_decision(self, serving):
        """The negative control of the test above."""
        engine = serving(bandit.Catalogue.from_dict(SPRING))
        assert [engine.decide("c", LOYAL).held_from for _ in range(3)] == [None] * 3
        assert engine.decide_batch(["c", "d"], [LOYAL, LOYAL]).held_from is None
        assert (rows(engine, "decisions"), rows(engine, "repeats")) == (5, 0)

    def test_it_ends_after_the_duration_counted_from_the_decision_and_not_from_its_repeats(self, engine, clock):
        """Three days: one microsecond before it is held, though a repeat came on day 2; at three days it is not."""
        first = engine.decide("c", LOYAL)
        for passed, held in ((2 * DAY, True), (3 * DAY - 1, True), (3 * DAY, False)):
            assert (engine.decide("c", LOYAL, time=first.time + passed).held_from is not None) == held
        assert engine.decide("c", LOYAL, time=first.time - 1).held_from is None

    def test_it_ends_with_an_event_that_ends_it_and_with_no_other(self, engine, clock):
        first = engine.decide("c", LOYAL)
        engine.record(first.decision_id, "opened")
        assert engine.decide("c", LOYAL).held_from == first.decision_id
        clock.now += HOUR
        engine.record(first.decision_id, "purchase", revenue=50.0)
        assert engine.decide("c", LOYAL, time=clock.now - 1).held_from == first.decision_id
        assert engine.decide("c", LOYAL).held_from is None
        assert engine.verify().problems == ()

    def test_a_purchase_that_was_corrected_away_ends_nothing(self, engine, clock):
        first = engine.decide("c", LOYAL)
        engine.record(first.decision_id, "purchase", revenue=50.0)
        engine.record(first.decision_id, "mistake", event_id="purchase", correct=True)
        assert engine.decide("c", LOYAL).held_from == first.decision_id
        assert engine.verify().problems == ()

    def test_a_purchase_that_is_recorded_late_leaves_earlier_repeats_as_they_were(self, engine, clock):
        """It happened before the repeat and is recorded after it: the repeat was right with what was known."""
        first = engine.decide("c", LOYAL)
        engine.decide("c", LOYAL, time=first.time + 2 * HOUR)
        engine.record(first.decision_id, "purchase", revenue=5.0, time=first.time + HOUR)
        assert engine.decide("c", LOYAL, time=first.time + 3 * HOUR).held_from is None
        assert engine.verify().problems == ()

    def test_it_ends_where_the_offer_is_not_eligible_any_more(self, engine):
        """A tote is for the loyal only: for the context of a customer who is not, another offer is drawn."""
        tote, customer = decide_until(engine, lambda offer: offer["gift"] == "tote")
        plain, other = decide_until(engine, lambda offer: offer["gift"] == "none", "d")
        again = engine.decide(customer, LOYAL | {"loyal": False})
        assert (again.held_from, again.offer["gift"]) == (None, "none")
        assert engine.decide(other, LOYAL | {"loyal": False}).held_from == plain.decision_id
        assert tote.decision_id != again.decision_id

    def test_reasons_and_eligible_offers_are_those_of_the_original(self, engine):
        first, customer = decide_until(engine, lambda offer: offer["gift"] == "none")
        assert [reason.reason for reason in first.reasons] == ["margin floor"]
        again = engine.decide(customer, LOYAL | {"loyal": False})
        assert (again.held_from, again.reasons) == (first.decision_id, first.reasons)
        assert again.eligible.sum() == first.eligible.sum() == 10

    def test_it_ends_with_another_group(self, engine):
        first = engine.decide("c", LOYAL)
        assert engine.decide("c", LOYAL, group="pilot").held_from is None
        assert engine.decide("d", LOYAL).held_from is None
        # the newest decision is the one of the pilot
        assert engine.decide("c", LOYAL, group="pilot").held_from != first.decision_id
        assert engine.decide("c", LOYAL).held_from is None

    def test_it_ends_with_another_version_of_the_catalogue(self, serving):
        one, two = serving(with_sticky()), serving(with_sticky(currency="USD"))
        first = one.decide("c", LOYAL)
        assert one.decide("c", LOYAL).held_from == first.decision_id
        assert two.decide("c", LOYAL).held_from is None
        assert one.decide("c", LOYAL).held_from is None  # the newest decision is the other version's

    def test_decisions_up_to_a_number_can_be_let_go(self, engine):
        first = engine.decide("c", LOYAL)
        contexts = engine.catalogue.contexts([LOYAL], [engine.store.customers.stored("c")])
        times = np.array([first.time])
        holds = engine._sticky
        assert len(holds.held(contexts, times, "policy")) == 1
        assert len(replace(holds, held_after=lambda: 0).held(contexts, times, "policy")) == 1
        assert replace(holds, held_after=lambda: 1).held(contexts, times, "policy") is None
        assert replace(holds, held_after=lambda: None).held(contexts, times, "policy") is None

    def test_the_vector_is_that_of_the_original_where_vectors_are_kept(self, open_engine, catalogue):
        engine = open_engine(bandit.Uniform(catalogue), keep_probabilities=True)
        first = engine.decide("c", LOYAL)
        assert engine.decide("c", LOYAL).probabilities.tolist() == first.probabilities.tolist()
        batch = engine.decide_batch(["c", "d"], [LOYAL, LOYAL])
        assert batch.probabilities[0].tolist() == first.probabilities.tolist()
        assert batch.probabilities[1].sum() == pytest.approx(1.0)

    def test_two_processes_hold_the_same(self, engine, path, catalogue, clock):
        first = engine.decide("c", LOYAL)
        with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), customer_key=KEY, clock=clock) as other:
            assert other.decide("c", LOYAL).held_from == first.decision_id


class TestRollout:
    @pytest.fixture
    def engine(self, serving):
        rules = {"segments": [{"when": "loyal", "offer": NOTHING | {"discount": "10"}}], "otherwise": NOTHING}
        return serving(with_sticky(rollout={"mode": "ramp", "share": 0.5, "salt": "a", "rules": rules}))

    def test_the_arm_is_that_of_the_original_also_after_the_ramp_moved_the_customer(self, engine, clock):
        """A hold outlives a change of the share; once it is over, everybody has the policy."""
        customers = [f"c{number}" for number in range(40)]
        first = engine.decide_batch(customers, [LOYAL] * 40)
        assert set(first.arm) == {"policy", "rules"}
        engine.rollout.set_mode("ramp", 1.0, author="a tester")
        again = engine.decide_batch([*customers, "new"], [LOYAL] * 41)
        assert again.arm[:40].tolist() == first.arm.tolist()
        assert again.propensity[:40].tolist() == first.propensity.tolist()
        assert engine.decide("c0", LOYAL).arm == first.arm[0]
        clock.now += 4 * DAY
        assert engine.decide_batch(customers, [LOYAL] * 40).arm is None
        assert engine.verify().problems == ()

    def test_a_kill_ends_all_holds_in_every_process_and_a_later_resume_brings_none_back(self, engine, clock, path):
        first = engine.decide("c", LOYAL)
        with bandit.Engine.open(
            path, engine.catalogue, bandit.Uniform(engine.catalogue), customer_key=KEY, clock=clock
        ) as other:
            assert other.decide("c", LOYAL).held_from == first.decision_id
            clock.now += HOUR
            engine.rollout.kill(author="a tester")
            other._rollout._next_check = 0.0
            for each in (engine, other):
                served = each.decide("c", LOYAL)
                assert (served.held_from, served.offer_index) == (None, engine.catalogue.fallback)
                assert each.decide_batch(["c", "d"], [LOYAL, LOYAL]).held_from is None
            clock.now += HOUR
            engine.rollout.resume(author="a tester")
            clock.now += HOUR
            other._rollout._next_check = 0.0
            after = other.decide("c", LOYAL)
            assert after.held_from is None
            assert engine.decide("c", LOYAL).held_from == after.decision_id
        assert engine.verify().problems == ()


class TestIds:
    def test_the_same_request_id_gives_the_same_answer(self, engine, clock):
        engine.decide("c", LOYAL, decision_id="one")
        clock.now += HOUR
        first = engine.decide("c", LOYAL, decision_id="two")
        clock.now += 5 * DAY
        again = engine.decide("c", LOYAL, decision_id="two")
        assert (again.held_from, again.time, again.offer) == ("one", first.time, first.offer)
        assert rows(engine, "repeats") == 1

    def test_another_request_with_the_id_of_a_repeat_is_refused(self, engine):
        engine.decide("c", LOYAL, decision_id="one")
        engine.decide("c", LOYAL, decision_id="two")
        for customer, facts in (("d", LOYAL), ("c", LOYAL | {"recency": 9.0})):
            with pytest.raises(DuplicateError, match="two"):
                engine.decide(customer, facts, decision_id="two")
        for ids in (["new", "two"], ["one", "new"]):
            with pytest.raises(DuplicateError):
                engine.decide_batch(["c", "d"], [LOYAL, LOYAL], decision_ids=ids)
        assert (rows(engine, "decisions"), rows(engine, "repeats")) == (1, 1)

    def test_two_processes_cannot_give_one_id_to_a_decision_and_to_a_repeat(self, engine, monkeypatch):
        """Both look before they write; whoever writes second is refused."""
        engine.decide("c", LOYAL, decision_id="one")
        engine.decide("c", LOYAL, decision_id="two")
        monkeypatch.setattr(type(engine._lookup), "find_existing", lambda *_: None)
        with pytest.raises(DuplicateError, match="two"):
            engine.decide("d", LOYAL, decision_id="two")
        with pytest.raises(DuplicateError, match="one"):
            engine.decide("c", LOYAL, decision_id="one")
        assert (rows(engine, "decisions"), rows(engine, "repeats")) == (1, 1)


class TestEvents:
    def test_what_is_recorded_under_a_repeat_belongs_to_the_original(self, engine, catalogue):
        """Two purchases of 20 and 30, under two ids, are two events of one decision: revenue 50."""
        engine.decide("c", LOYAL, decision_id="one")
        engine.decide("c", LOYAL, decision_id="two")
        assert engine.record("two", "purchase", revenue=30.0).n_new == 1
        assert engine.record("two", "purchase", revenue=30.0).n_repeated == 1
        assert engine.record("one", "purchase", revenue=20.0).n_new == 1
        events = engine.store.decisions.events_of("one")
        assert sorted(events.event_id.tolist()) == ["purchase", "purchase@two"]
        (logged,) = StoreLog(engine.store, catalogue).batches()
        assert (len(logged), logged.revenue.tolist()) == (1, [50.0])

    def test_an_event_id_of_ones_own_stays(self, engine):
        engine.decide("c", LOYAL, decision_id="one")
        engine.decide("c", LOYAL, decision_id="two")
        engine.record("one", "purchase", revenue=20.0, event_id="order-1")
        assert engine.record("two", "purchase", revenue=20.0, event_id="order-1").n_repeated == 1

    def test_a_batch_of_events_may_mix_originals_and_repeats(self, engine):
        engine.decide("c", LOYAL, decision_id="one")
        engine.decide("c", LOYAL, decision_id="two")
        engine.decide("d", LOYAL, decision_id="other")
        ids = ["other", "two", "one", "two"]
        receipt = engine.record_batch(ids, ["shown"] * 3 + ["opened"], event_ids=[None, None, None, "mine"])
        assert receipt.n_new == 4
        assert sorted(engine.store.decisions.events_of("one").event_id) == ["mine", "shown", "shown@two"]
        assert engine.store.decisions.events_of("other").event_id.tolist() == ["shown"]
        with pytest.raises(UnknownDecisionError, match="nobody"):
            engine.record_batch(["two", "nobody"], "shown")

    def test_a_correction_names_the_event_under_the_same_id(self, engine):
        engine.decide("c", LOYAL, decision_id="one")
        engine.decide("c", LOYAL, decision_id="two")
        engine.record("two", "purchase", revenue=30.0)
        assert engine.record("two", "purchase", revenue=25.0, correct=True).n_corrected == 1
        with pytest.raises(DuplicateError, match="purchase@two"):
            engine.record("two", "purchase", revenue=1.0)

    def test_an_activation_under_a_repeat_activates_the_original(self, serving):
        shown = with_sticky(objective=SPRING["objective"] | {"activation": "shown"}, events={"shown": "shown"})
        engine = serving(shown)
        engine.decide("c", LOYAL, decision_id="one")
        engine.decide("c", LOYAL, decision_id="two")
        engine.decide("d", LOYAL, decision_id="other")
        engine.record("two", "shown")
        assert (StoreLog(engine.store, shown).n, StoreLog(engine.store, shown).not_activated) == (1, 1)


class TestBatch:
    def test_held_rows_are_answered_and_the_others_decided(self, engine, clock):
        first = engine.decide("c", LOYAL)
        clock.now += HOUR
        ids = ["w", "x", "y", "z"]
        facts = [LOYAL, LOYAL | {"recency": 1.0}, context(1), LOYAL]
        batch = engine.decide_batch(["d", "c", "e", "f"], facts, decision_ids=ids)
        assert batch.held_from.tolist() == [None, first.decision_id, None, None]
        assert (batch.offer_index[1], batch.propensity[1]) == (first.offer_index, first.propensity)
        assert batch.eligible[1].tolist() == first.eligible.tolist()
        for row in range(4):
            single = engine.decide("dcef"[row], facts[row], decision_id=ids[row])
            assert (single.offer_index, single.propensity) == (batch.offer_index[row], batch.propensity[row])
            assert {name: column[row] for name, column in batch.offers.items()} == dict(single.offer)
            assert single.eligible.tolist() == batch.eligible[row].tolist()
        assert (rows(engine, "decisions"), rows(engine, "repeats")) == (4, 1)
        assert engine.verify().problems == ()

    def test_all_may_be_held_and_none_may_be(self, engine):
        customers = [f"c{number}" for number in range(5)]
        first = engine.decide_batch(customers, [LOYAL] * 5)
        again = engine.decide_batch(customers[::-1], [LOYAL] * 5)
        assert first.held_from is None
        assert again.held_from.tolist() == list(first.decision_ids[::-1])
        assert again.offer_index.tolist() == first.offer_index.tolist()[::-1]
        assert again.eligible.strides[0] == 0  # one set for all, kept once
        assert (rows(engine, "decisions"), rows(engine, "repeats")) == (5, 5)

    def test_two_requests_of_one_customer_in_a_batch_hold_nothing_of_each_other(self, engine):
        """Both are decided, whatever the sizes of the parts; afterwards the newer one is held for both."""
        batch = engine.decide_batch(["c", "c"], [LOYAL, LOYAL])
        assert batch.held_from is None
        again = engine.decide_batch(["c", "c"], [LOYAL, LOYAL])
        assert again.held_from.tolist() == [batch.decision_ids[1]] * 2

    def test_a_large_batch_in_parts_is_what_it_is_in_one(self, engine, monkeypatch):
        monkeypatch.setattr(sticky_module, "LOOKUP_ROWS", 7)
        customers = [f"c{number}" for number in range(40)]
        first = engine.decide_batch(customers[::2], [LOYAL] * 20)
        again = engine.decide_batch(customers, [LOYAL] * 40)
        assert again.held_from[::2].tolist() == list(first.decision_ids)
        assert again.held_from[1::2].tolist() == [None] * 20
        assert again.offer_index[::2].tolist() == first.offer_index.tolist()

    def test_groups_are_looked_at_row_by_row(self, serving):
        grouped = with_sticky(groups={"policy": 0.5, "random": 0.5})
        engine = serving(grouped)
        customers = [f"c{number}" for number in range(20)]
        first = engine.decide_batch(customers, [LOYAL] * 20)
        again = engine.decide_batch(customers, [LOYAL] * 20, group=["policy"] * 20)
        held = np.array([each is not None for each in again.held_from])
        assert held.tolist() == (first.group == "policy").tolist()
        assert 0 < held.sum() < 20
        assert engine.verify().problems == ()


class TestOutages:
    @pytest.fixture
    def open_engine(self, open_engine, monkeypatch):
        monkeypatch.setattr("bandit.store.spool.writer.RETRY", 0.0)
        return functools.partial(open_engine, busy_timeout=0.02)

    def test_while_the_database_does_not_answer_the_fallback_is_served_and_nothing_is_held(self, engine, locked, clock):
        first = engine.decide("c", LOYAL)
        free = locked()
        clock.now += HOUR
        during = engine.decide("c", LOYAL)
        batch = engine.decide_batch(["c", "d"], [LOYAL, LOYAL])
        assert (during.held_from, batch.held_from) == (None, None)
        assert "StoreError" in during.fault
        free()
        clock.now += HOUR
        after = engine.decide("c", LOYAL)  # what ended in a fault holds nothing, and ends nothing
        assert (after.held_from, after.offer) == (first.decision_id, first.offer)
        assert engine.verify().problems == ()

    def test_events_that_wait_in_the_spool_under_the_id_of_a_repeat_are_folded_into_the_original(self, engine, locked):
        engine.decide("c", LOYAL, decision_id="one")
        engine.decide("c", LOYAL, decision_id="two")
        free = locked()
        assert engine.record("two", "purchase", revenue=30.0).n_spooled == 1
        free()
        # The spool is folded first, so the purchase in it ends the hold.
        assert engine.decide("c", LOYAL).held_from is None
        assert engine.store.decisions.events_of("one").event_id.tolist() == ["purchase@two"]

    def test_an_original_that_is_erased_meanwhile_is_not_held(self, engine, path, monkeypatch):
        engine.decide("c", LOYAL, decision_id="one")
        found = type(engine._sticky)._legal

        def erased_meanwhile(holds, contexts, offer):
            with bandit.store.Store.open(path, customer_key=KEY) as other:
                erase(other, "c")
            return found(holds, contexts, offer)

        monkeypatch.setattr(type(engine._sticky), "_legal", erased_meanwhile)
        assert engine.decide("c", LOYAL).held_from is None


class TestKeeping:
    def test_a_customers_data_name_the_repeats_and_an_erasure_deletes_them(self, engine):
        engine.decide("c", LOYAL, decision_id="one")
        engine.decide("c", LOYAL | {"recency": 8.0}, decision_id="two")
        engine.decide("d", LOYAL, decision_id="other")
        (decision,) = customer_data(engine.store, "c")["decisions"]
        (repeat,) = decision["repeats"]
        assert (repeat["decision_id"], repeat["context"]["recency"]) == ("two", 8.0)
        erase(engine.store, "c")
        assert (rows(engine, "decisions"), rows(engine, "repeats")) == (1, 0)
        assert b"two" not in engine.store.path.read_bytes()

    def test_a_retention_run_deletes_the_repeats_of_the_decisions_that_it_deletes(self, engine, clock):
        engine.decide("c", LOYAL, decision_id="old")
        engine.decide("c", LOYAL, decision_id="old-app")
        clock.now += 10 * DAY
        engine.decide("d", LOYAL, decision_id="young")
        engine.decide("d", LOYAL, decision_id="young-app")
        engine.learn()
        retain(engine.store, clock.now - DAY)
        assert (rows(engine, "decisions"), rows(engine, "repeats")) == (1, 1)
        assert engine.store.repeats.get("old-app") is None
        assert engine.decide("d", LOYAL, decision_id="young-app").held_from == "young"
        assert engine.verify().problems == ()

    def test_verify_finds_repeats_that_were_not_held(self, engine, clock):
        """Each change by hand is found; before any of them nothing is."""
        first = engine.decide("c", LOYAL, decision_id="one")
        for name in ("a", "b", "e"):
            engine.decide("c", LOYAL, decision_id=name)
        engine.record("one", "purchase", revenue=1.0)
        engine.decide("d", LOYAL, decision_id="other")
        assert engine.store.check() == []
        with sqlite3.connect(engine.store.path) as raw:
            raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
            raw.execute("UPDATE repeats SET time = ? WHERE decision_id = 'a'", (first.time + 3 * DAY,))
            raw.execute("UPDATE repeats SET through = 99 WHERE decision_id = 'b'")
            raw.execute("UPDATE repeats SET decision_id = 'other' WHERE decision_id = 'e'")
            raw.execute("INSERT INTO repeats VALUES ('lost', 77, 0, '{}', 0)")
        problems = "\n".join(engine.store.check())
        for words in (
            'repeat "a" was made at a time at which the decision "one" was not held',
            'repeat "b" was made after "purchase" ended the hold of the decision "one"',
            'the id "other" is that of a decision and of a repeat',
            'repeat "lost" is of the decision number 77, which is not there',
        ):
            assert words in problems
        with sqlite3.connect(engine.store.path) as raw:
            raw.execute("UPDATE decisions SET fault = 'x' WHERE decision_id = 'one'")
        assert any("ended in a fault" in problem for problem in engine.store.check())

    def test_a_repeat_cannot_be_changed_or_deleted(self, engine):
        engine.decide("c", LOYAL)
        engine.decide("c", LOYAL)
        with sqlite3.connect(engine.store.path) as raw:
            for statement in ("UPDATE repeats SET time = 0", "DELETE FROM repeats"):
                with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                    raw.execute(statement)


_ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("decide"), st.integers(0, 2), st.booleans(), st.sampled_from(["policy", "pilot"])),
        st.tuples(st.just("buy"), st.integers(0, 30)),
        st.tuples(st.just("wait"), st.integers(1, 40)),
        st.tuples(st.just("learn")),
    ),
    max_size=40,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(_ACTIONS)
def test_after_any_history_what_is_held_is_what_the_rules_say(tmp_path_factory, actions):
    """The oracle keeps a customer's newest decision and applies the rules in their words; the log must rebuild."""
    catalogue, clock = with_sticky(), Clock()
    newest, bought, ids, drawn = {}, {}, [], 0
    path = tmp_path_factory.mktemp("s") / "s.db"
    policy = bandit.ThompsonSampling(catalogue)
    with bandit.Engine.open(
        path, catalogue, policy, seed=3, customer_key=KEY, clock=clock, durability="process"
    ) as engine:
        for action, *arguments in actions:
            if action == "decide":
                customer, loyal, group = f"c{arguments[0]}", arguments[1], arguments[2]
                made = engine.decide(customer, LOYAL | {"loyal": loyal}, group=group)
                held = newest.get(customer)
                if held is not None and (
                    clock.now - held.time >= 3 * DAY
                    or held.decision_id in bought
                    or held.group != group
                    or (held.offer["gift"] == "tote" and not loyal)
                ):
                    held = None
                assert made.held_from == (None if held is None else held.decision_id)
                if held is None:
                    newest[customer], drawn = made, drawn + 1
                else:
                    assert (made.offer, made.propensity) == (held.offer, held.propensity)
                ids.append((made.decision_id, made.held_from or made.decision_id))
            elif action == "buy" and ids:
                name, original = ids[arguments[0] % len(ids)]
                engine.record(name, "purchase", revenue=10.0)
                bought[original] = True
            elif action == "wait":
                clock.now += arguments[0] * HOUR
            elif action == "learn":
                engine.learn()
        clock.now += 30 * DAY
        engine.learn()
        assert (rows(engine, "decisions"), rows(engine, "repeats")) == (drawn, len(ids) - drawn)
        assert engine.rebuild().same
        assert engine.verify().problems == ()

"""Guardrails on a store: what counts, late events and corrections, restarts, erasures, and an oracle."""

import json

import numpy as np
import pytest

import bandit
from bandit.governance.erasure import erase
from bandit.governance.guardrails import GuardrailMonitor, last_restart
from bandit.ope.guardrail_difference import difference_bounds
from bandit.ope.guardrail_rate import rate_bounds
from bandit.store import Store
from tests.conftest import SPRING
from tests.engine.conftest import KEY, Clock
from tests.store.rows import DAY, HOUR, WEEK, decisions, events

UNSUBSCRIBE = {"event": "unsubscribe", "at_most": 0.1}
AGAINST = {"event": "unsubscribe", "against": "rules", "worse_by": 0.01}
GROUPS = {
    "policy": 0.7,
    "random": 0.1,
    "rules": {"share": 0.2, "segments": [], "otherwise": SPRING["fallback"]},
    "salt": "1",
}


def catalogue_with(*guardrails, groups=None, activation=None):
    more = {"guardrails": list(guardrails)} | ({} if groups is None else {"groups": groups})
    objective = SPRING["objective"] | ({} if activation is None else {"activation": activation})
    return bandit.Catalogue.from_dict(SPRING | more | {"objective": objective})


class Live:
    """A store with one policy, and short ways to add decisions, what served them, and events."""

    def __init__(self, store, catalogue):
        self.store, self.catalogue = store, catalogue
        self.number = store.catalogues.register(catalogue)
        self.policy = store.catalogues.register_policy(self.number, {"kind": "uniform"})
        self.monitor = GuardrailMonitor(store, catalogue)

    def decide(self, ids, arm=None, **columns):
        ids = list(ids)
        rows = decisions(self.number, 10, ids, **({"policy_id": self.policy} | columns))
        seqs = self.store.decision_writer.append(rows)
        if arm is not None:
            self.served(seqs, arm)
        return seqs

    def served(self, seqs, arm):
        """Write who served, as an engine whose roll-out was changed does."""
        raw = self.store._connection.raw
        with self.store.transaction():
            if not self.store.rollout_changes.latest_id():
                self.store.rollout_changes.append(1, "anna", "ramp", "", "{}")
            raw.executemany(
                "INSERT INTO decision_arms (seq, change_id, arm, mixture) VALUES (?, 1, ?, ?)",
                [(seq, arm, json.dumps({arm: 1.0})) for seq in np.asarray(seqs).tolist()],
            )

    def event(self, *ids, event="unsubscribe", time=HOUR, **more):
        self.store.events.append(events(list(ids), event, time=time, **more))

    def correct(self, decision_id, event_id, event, time=HOUR):
        """Replace an event of a decision by another one."""
        rows = events([decision_id], event, time=time, event_ids=[event_id])
        self.store.events.append(rows, correct=True)

    def counted(self, **options):
        """(events, decisions) of the first guardrail."""
        status = self.monitor.check(now=0, **options)[0]
        return status.events, status.decisions


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


@pytest.fixture
def live(path):
    """A guardrail of one rate, without groups."""
    with Store.open(path, customer_key=b"a key for our tests", durability="process") as store:
        yield Live(store, catalogue_with(UNSUBSCRIBE))


def grouped(path, *guardrails, **options):
    return Live(Store.open(path, durability="process"), catalogue_with(*guardrails, groups=GROUPS, **options))


class TestWhatCounts:
    def test_a_decision_counts_once_however_often_it_has_the_event(self, live):
        """Two of four decisions; one of them has the event under two ids, and there are events of other names."""
        live.decide("abcd")
        live.event("a", "b")
        live.event("a", event_ids=["again"])
        live.event("a", "c", event="purchase")
        assert live.counted() == (2, 4)

    def test_events_after_the_window_do_not_count(self, live):
        live.decide("ab")
        live.event("a", time=WEEK)
        live.event("b", time=WEEK + 1_000_001)
        assert live.counted() == (1, 2)

    def test_what_the_policy_did_not_serve_does_not_count(self, live):
        """Of eight only three: served by the policy, by a challenger, and one from before any roll-out. Rules and the
        fallback served two, one has a fault, and two were imported, with and without propensities."""
        for name, arm in (("p", "policy"), ("c", "challenger:7"), ("r", "rules"), ("f", "fallback")):
            live.decide(name, arm)
        live.decide(["before"])
        live.decide("x", fault="the policy failed")
        live.decide("i", policy_id=None)
        live.decide("j", policy_id=live.store.catalogues.unknown_policy(live.number))
        live.event("p", "c", "r", "f", "x", "i", "j")
        assert live.counted() == (2, 3)

    def test_where_groups_are_declared_only_the_group_policy_counts(self, path, live):
        """Without [groups] every label counts; with them only "policy"."""
        live.decide("ab", group="loyal")
        live.event("a")
        assert live.counted() == (1, 2)
        other = Live(live.store, catalogue_with(UNSUBSCRIBE, groups=GROUPS))
        other.decide("cd", group="random")
        other.decide("ef", group="policy")
        other.event("c", "e")
        assert other.counted() == (1, 2)

    def test_a_catalogue_without_guardrails_has_no_status(self, live):
        assert GuardrailMonitor(live.store, catalogue_with()).check(now=0) == ()

    def test_only_activated_decisions_count_where_the_catalogue_says_so(self, path):
        """Of four decisions two are shown, one of them late; the events of the others count with it only."""
        with Store.open(path, durability="process") as store:
            live = Live(store, catalogue_with(UNSUBSCRIBE, activation="shown"))
            live.decide("abcd")
            live.event("a", event="shown")
            live.event("a", "b")
            assert live.counted() == (1, 1)
            live.event("b", event="shown", time=WEEK + DAY)
            assert live.counted() == (2, 2)
            live.correct("b", "shown", "opened")
            assert live.counted() == (1, 1)


class TestChanges:
    def test_an_event_that_comes_late_for_an_old_decision_is_counted(self, live):
        live.decide("abc")
        assert live.counted() == (0, 3)
        live.decide("de")
        live.event("d")
        assert live.counted() == (1, 5)
        live.event("a")
        assert live.counted() == (2, 5)

    def test_a_corrected_event_counts_as_what_it_was_corrected_to(self, live):
        """Once named otherwise, once back, once moved out of the window and in again."""
        live.decide("ab")
        live.event("a", "b")
        assert live.counted() == (2, 2)
        live.correct("a", "unsubscribe", "complaint")
        assert live.counted() == (1, 2)
        live.correct("a", "unsubscribe", "unsubscribe")
        assert live.counted() == (2, 2)
        live.correct("b", "unsubscribe", "unsubscribe", time=2 * WEEK)
        assert live.counted() == (1, 2)
        live.correct("b", "unsubscribe", "unsubscribe", time=HOUR)
        assert live.counted() == (2, 2)

    def test_a_second_event_keeps_a_decision_whose_first_one_was_corrected(self, live):
        live.decide("a")
        live.event("a")
        live.event("a", event_ids=["again"])
        live.correct("a", "unsubscribe", "opened")
        assert live.counted() == (1, 1)
        live.correct("a", "again", "opened")
        assert live.counted() == (0, 1)

    def test_an_erased_customer_counts_no_more(self, live):
        live.decide("abc")
        live.event("a", "b")
        assert live.counted() == (2, 3)
        erase(live.store, "customer-0")
        assert live.counted() == (1, 2)

    def test_a_check_that_failed_is_made_anew(self, live, monkeypatch):
        live.decide("abc")
        live.event("a")

        def fail(*_):
            raise RuntimeError

        with monkeypatch.context() as patch:
            patch.setattr(live.store.monitored, "touched", fail)
            with pytest.raises(RuntimeError):
                live.counted()
        assert live.counted() == (1, 3)

    def test_a_restart_counts_from_its_moment(self, live):
        """By time, by number, by both; and back to all. Decisions are one second apart."""
        seqs = live.decide("abcd")
        live.event("a", "c")
        assert live.counted() == (2, 4)
        assert live.counted(since=1_000_000) == (1, 3)
        assert live.counted(since_seq=int(seqs[2])) == (0, 1)
        assert live.counted(since=2_000_000, since_seq=int(seqs[0])) == (1, 2)
        live.event("d")
        assert live.counted(since=2_000_000, since_seq=int(seqs[0])) == (2, 2)
        assert live.counted() == (3, 4)
        assert live.monitor.check(since=5, now=9)[0].since == 5

    def test_the_last_restart_is_the_newest_change_resume(self, live):
        assert last_restart(live.store) is None
        changes = live.store.rollout_changes
        for time, action in ((10, "resume"), (20, "stop"), (30, "resume"), (40, "kill")):
            changes.append(time, "anna", action, "", "{}")
        assert last_restart(live.store) == 30


class TestStatus:
    def test_a_broken_guardrail_says_so_in_words(self, live):
        """30 of 100 where .1 is allowed."""
        live.decide([f"d{row}" for row in range(100)])
        live.event(*[f"d{row}" for row in range(30)])
        (status,) = live.monitor.check(now=7)
        bounds = rate_bounds(30, 100, 0.95)
        assert (status.rate, status.value, status.low, status.high) == (0.3, 0.3, bounds.low, bounds.high)
        assert (status.broken, status.stops, status.verdict, status.time) == (True, True, "broken", 7)
        assert status.sentence == (
            '"unsubscribe" at most 0.1 is broken: 30 of 100 decisions had it (0.3); the rate is at least '
            f"{bounds.low:.2g} (95%, at every look)"
        )
        plain = json.loads(json.dumps(status.to_dict()))
        assert (plain["guardrail"], plain["broken"], plain["against"]) == ('"unsubscribe" at most 0.1', True, None)

    def test_a_warning_does_not_stop_and_each_has_its_own_level(self, live):
        """18 of 100: enough at 60 %, not at 99.9 %."""
        both = (UNSUBSCRIBE | {"level": 0.6, "action": "warn"}, {"event": "spam", "at_most": 0.1, "level": 0.999})
        other = Live(live.store, catalogue_with(*both))
        other.decide([f"d{row}" for row in range(100)])
        for event in ("unsubscribe", "spam"):
            other.event(*[f"d{row}" for row in range(18)], event=event)
        warning, strict = other.monitor.check(now=0)
        assert (warning.verdict, warning.stops) == ("broken", False)
        assert (strict.verdict, strict.events) == ("holds", 18)
        assert "(0.999, at every look)" in strict.sentence

    def test_nothing_counted_is_too_early(self, live):
        (status,) = live.monitor.check(now=0)
        assert (status.verdict, status.rate, status.broken) == ("too early", None, False)
        assert status.sentence.endswith("too early to say: no decision of the policy counts yet")


class TestAgainst:
    def write(self, live):
        """200 customers of the policy, 60 with the event, and 150 of the rules, 6 with it; two visits each."""
        for group, n, hit in (("policy", 200, 60), ("rules", 150, 6), ("random", 50, 50)):
            for visit in range(2):
                ids = [f"{group}-{visit}-{row}" for row in range(n)]
                live.decide(ids, group=group, customers=[f"{group}-{row}" for row in range(n)])
                live.event(*ids[:hit])

    def test_the_groups_are_compared_by_customer(self, path):
        live = grouped(path, AGAINST, UNSUBSCRIBE)
        with live.store:
            self.write(live)
            status, alone = live.monitor.check(now=0)
            assert (status.events, status.decisions, status.other_events, status.other_decisions) == (120, 400, 12, 300)
            assert (status.rate, status.other_rate) == pytest.approx((0.3, 0.04))
            per_customer = np.zeros((350, 2))
            per_customer[:60, 0], per_customer[200:206, 1] = 2.0, 2.0
            visits = np.zeros((350, 2))
            visits[:200, 0], visits[200:, 1] = 2.0, 2.0
            expected = difference_bounds(per_customer, visits, 0.95)
            assert (status.value, status.low, status.high) == pytest.approx(
                (expected.value, expected.low, expected.high)
            )
            assert status.broken
            assert "in rules 12 of 300 (0.04); the difference is at least" in status.sentence
            assert (alone.events, alone.decisions) == (120, 400)

    def test_the_fallback_does_not_stand_for_the_other_group(self, path):
        """While the policy was killed everybody got the fallback: 150 decisions of the rules are left out."""
        live = grouped(path, AGAINST)
        with live.store:
            self.write(live)
            live.decide([f"k{row}" for row in range(150)], "fallback", group="rules")
            assert live.monitor.check(now=0)[0].other_decisions == 300

    def test_few_customers_are_too_early(self, path):
        live = grouped(path, AGAINST)
        with live.store:
            live.decide("abc", group="policy")
            (status,) = live.monitor.check(now=0)
            assert (status.verdict, status.value) == ("too early", None)
            assert "the policy has 3 customers" in status.sentence or "the other group has 0" in status.sentence
            assert "no rate" in status.sentence
            json.dumps(status.to_dict(), allow_nan=False)


class TestAgainstAnOracle:
    @pytest.mark.parametrize("activation", [None, "shown"])
    def test_checks_step_by_step_count_what_one_check_of_everything_counts(self, path, activation):
        """30 rounds of random decisions, events, late events and corrections, each followed by a check; the oracle
        reads all events of each decision."""
        live = grouped(path, AGAINST, UNSUBSCRIBE, {"event": "spam", "at_most": 0.5}, activation=activation)
        rng, known = np.random.default_rng(3), []
        arms = (None, "policy", "challenger:1", "rules", "fallback")
        names = ("unsubscribe", "spam", "shown", "purchase")
        with live.store:
            for turn in range(30):
                ids = [f"{turn}-{row}" for row in range(int(rng.integers(1, 12)))]
                who = [f"customer-{rng.integers(8)}" for _ in ids]
                group = ("policy", "policy", "rules", "random")[int(rng.integers(4))]
                arm = arms[int(rng.integers(5))]
                live.decide(ids, arm, customers=who, group=group, time=np.full(len(ids), turn * DAY))
                known += [(each, group, arm, turn * DAY) for each in ids]
                for _ in range(8):
                    each, _, _, time = known[int(rng.integers(len(known)))]
                    late = time + int(rng.integers(10)) * DAY
                    event_id = f"e{rng.integers(3)}"
                    live.correct(each, event_id, names[int(rng.integers(4))], time=late)
                if rng.random() < 0.7:
                    self.compare(live, known, activation)
            self.compare(live, known, activation)

    def compare(self, live, known, activation):
        found = live.monitor.check(now=0)
        assert found == GuardrailMonitor(live.store, live.catalogue).check(now=0)
        counts = {}
        for each, group, arm, time in known:
            if group == "policy" and arm in (None, "policy", "challenger:1"):
                side = "policy"
            elif group == "rules" and arm != "fallback":
                side = "rules"
            else:
                continue
            log = live.store.decisions.events_of(each)
            current = [(log.event[row], log.time[row]) for row in np.flatnonzero(log.current)]
            if activation is not None and activation not in {event for event, _ in current}:
                continue
            within = {event for event, moment in current if moment <= time + WEEK}
            for name in ("unsubscribe", "spam"):
                events_of, n = counts.get((side, name), (0, 0))
                counts[side, name] = (events_of + (name in within), n + 1)
        against, rate, spam = found
        assert (rate.events, rate.decisions) == counts.get(("policy", "unsubscribe"), (0, 0))
        assert (spam.events, spam.decisions) == counts.get(("policy", "spam"), (0, 0))
        assert (against.events, against.decisions) == counts.get(("policy", "unsubscribe"), (0, 0))
        assert (against.other_events, against.other_decisions) == counts.get(("rules", "unsubscribe"), (0, 0))


class TestBesideAnEngine:
    def test_what_an_engine_wrote_under_a_roll_out_is_counted_by_its_arms(self, path):
        """400 customers under groups and a ramp: the policy's arm counts, and the group rules beside it. After a stop
        nothing is added to the policy's side, after a kill to neither, and from the restart on counts are new."""
        clock = Clock()
        catalogue = bandit.Catalogue.from_dict(
            SPRING | {"groups": GROUPS, "rollout": {"mode": "ramp", "share": 0.5}, "guardrails": [UNSUBSCRIBE, AGAINST]}
        )
        with bandit.Engine.open(
            path, catalogue, bandit.Uniform(catalogue), seed=1, clock=clock, customer_key=KEY, durability="process"
        ) as engine:
            monitor = GuardrailMonitor(engine.store, catalogue)

            def decide():
                clock.now += 1
                facts = [{"gender": "f", "recency": 1.0, "loyal": False}] * 400
                return engine.decide_batch([f"customer-{row}" for row in range(400)], facts)

            def counted(**options):
                rate, against = monitor.check(now=0, **options)
                assert (rate.events, rate.decisions) == (against.events, against.decisions)
                return rate.events, rate.decisions, against.other_decisions

            batch = decide()
            served = np.flatnonzero((batch.arm == "policy") & (batch.group == "policy"))
            others = int((batch.group == "rules").sum())
            assert 80 < len(served) < 200
            engine.record_batch([batch.decision_ids[row] for row in range(400)], "unsubscribe")
            assert counted() == (len(served), len(served), others)
            engine.rollout.stop(author="guardrail", reason="broken")
            decide()
            assert counted() == (len(served), len(served), 2 * others)
            engine.rollout.kill(author="anna")
            decide()
            assert counted() == (len(served), len(served), 2 * others)
            clock.now += 1
            engine.rollout.resume(author="anna")
            assert counted(since=last_restart(engine.store)) == (0, 0, 0)
            decide()
            assert counted(since=last_restart(engine.store)) == (0, len(served), others)

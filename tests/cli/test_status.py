"""The command status: its numbers by hand, its width, that it only reads, its gate, and watching."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

import bandit
from bandit.domain import MICROSECONDS
from bandit.evaluate.live_status import GroupActivity, StatusReader
from bandit.report.status import status_tables
from bandit.store import Store
from tests.catalogue.test_groups import GROUPS
from tests.cli.conftest import run
from tests.conftest import SPRING

DAY = 86_400 * MICROSECONDS
TODAY = 20_500 * DAY
NOON = TODAY + DAY // 2

# Group, days before today at noon, days after the decision at which it was bought (None: not). By hand: 3 decisions
# and 2 conversions today, 5 and 4 in the 7 days that end today, 7 in all. The event at 9 days is past the window of 7.
LOG = (
    ("policy", 10, 9),
    ("rules", 7, 0.1),
    ("policy", 6, 0.2),
    ("policy", 2, 0.1),
    ("policy", 0, 0.01),
    ("rules", 0, None),
    ("policy", 0, 0.02),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    monkeypatch.setattr("bandit.clock.now", lambda: NOON + DAY // 4)
    return tmp_path


def write(catalogue, log=LOG, policy=None):
    with bandit.Engine.open(
        "offers.db",
        catalogue,
        policy or bandit.Uniform(catalogue),
        customer_key=b"a key for our tests",
        durability="process",
    ) as engine:
        groups, days, bought = zip(*log, strict=True)
        n, time = len(log), NOON - np.array(days, dtype=np.int64) * DAY
        facts = {"gender": ["f"] * n, "recency": [1.0] * n, "loyal": [True] * n}
        labels = list(groups) if catalogue.groups is not None else None
        made = engine.decide_batch([f"c{row}" for row in range(n)], facts, time=time, group=labels)
        rows = [row for row in range(n) if bought[row] is not None]
        at = time[rows] + (np.array([bought[row] for row in rows]) * DAY).astype(np.int64)
        engine.record_batch(
            [made.decision_ids[row] for row in rows], "purchase", revenue=np.full(len(rows), 9.0), time=at
        )
        return made


def with_groups(**more):
    return bandit.Catalogue.from_dict(SPRING | {"groups": GROUPS} | more)


class TestNumbers:
    def test_today_and_the_week_are_those_by_hand(self, capsys, folder):
        """The purchase at 9 days is past the window; that of 7 days ago is before the week, which begins 6 days ago."""
        write(with_groups())
        found = run(capsys, "status", "offers.db", "--json").json
        assert (found["decisions"], found["decisions_week"], found["decisions_today"]) == (7, 5, 3)
        assert (found["conversions_week"], found["conversions_today"]) == (4, 2)
        assert found["last_decision"] == NOON
        groups = {each["name"]: each for each in found["groups"]}
        assert list(groups) == ["policy", "rules", "random", "holdout"]
        assert (groups["policy"]["customers"], groups["policy"]["decisions"]) == (5, 5)
        assert (groups["rules"]["decisions"], groups["rules"]["decisions_today"]) == (2, 1)
        assert (groups["policy"]["customers_today"], groups["holdout"]["customers"]) == (2, 0)
        assert found["sample_ratio"]["expected"]["policy"] == pytest.approx(5.6)
        assert (found["well"], found["guardrails"], found["spools"]) == (True, [], 0)

    def test_a_corrected_event_counts_once_and_another_event_not(self, capsys, folder):
        made = write(with_groups())
        run(capsys, "record", "offers.db", made.decision_ids[4], "purchase", "--revenue", "5", "--correct")
        run(capsys, "record", "offers.db", made.decision_ids[5], "shown")
        assert run(capsys, "status", "offers.db", "--json").json["conversions_today"] == 2

    def test_customers_in_several_groups_are_counted_apart(self, capsys, folder):
        write(with_groups())
        write(with_groups(), [("random", 1, None)])  # c0, who was in the group policy
        found = run(capsys, "status", "offers.db", "--json").json
        assert found["several"] == 1
        assert {each["name"]: each["customers"] for each in found["groups"]}["policy"] == 4
        assert "and 1 customer seen in several groups" in run(capsys, "status", "offers.db").out

    def test_only_the_assignment_in_force_counts(self, capsys, folder):
        write(with_groups())
        write(with_groups(groups=GROUPS | {"salt": "2026-autumn"}), LOG[:2])
        found = run(capsys, "status", "offers.db", "--json").json
        assert sum(each["decisions"] for each in found["groups"]) == 2
        assert found["decisions"] == 9

    def test_learning_says_how_far_behind_it_is(self, capsys, folder, catalogue):
        """Seven decisions and six events are learned; then one of each comes."""
        policy = bandit.ThompsonSampling(catalogue)
        write(catalogue, policy=policy)
        assert run(capsys, "learn", "offers.db", "--json").json["n"] > 0
        (state,) = run(capsys, "status", "offers.db", "--json").json["learning"]
        assert (state["policy_id"], state["kind"], state["step"]) == (1, "thompson", 1)
        assert (state["decisions"], state["events"]) == (0, 0)
        write(catalogue, [("policy", 0, 0.01)], bandit.ThompsonSampling(catalogue))
        (state,) = run(capsys, "status", "offers.db", "--json").json["learning"]
        assert (state["decisions"], state["events"]) == (1, 1)
        assert "policy 1 (thompson): step 1, " in run(capsys, "status", "offers.db").out

    def test_a_policy_that_learns_nothing_says_so(self, capsys, folder):
        write(with_groups())
        assert "policy 1 (uniform) learns nothing" in run(capsys, "status", "offers.db").out

    def test_read_again_it_has_what_came_meanwhile(self, folder):
        """The sizes of groups are brought up to date by what is new alone, and are those of a new reader."""
        write(with_groups())
        with Store.open("offers.db", customer_key=b"a key for our tests", read_only=True) as store:
            reader = StatusReader(store, with_groups())
            before = reader.read(NOON)
            write(with_groups(), [("random", 1, None), ("holdout", 0, 0.1)] * 3)
            after = reader.read(NOON)
            assert (before.decisions, after.decisions) == (7, 13)
            assert after == StatusReader(store, with_groups()).read(NOON)


class TestGlance:
    def crowded(self, capsys):
        """Long names, several policies, guardrails, a halt with a long reason."""
        rollout = {"mode": "ramp", "share": 0.125, "rules": {k: v for k, v in GROUPS["rules"].items() if k != "share"}}
        guardrails = [{"event": "unsubscribe-from-all-letters", "at_most": 0.0125}]
        catalogue = with_groups(rollout=rollout, guardrails=guardrails)
        for name in ("one", "two"):
            write(catalogue, policy=bandit.ThompsonSampling(catalogue, name=name))
        ramp = ("rollout", "challenge", "offers.db", "--policy", "2", "--champion", "1", "--share", "0.125")
        assert run(capsys, *ramp, "--by", "a" * 60, "--reason", "why " * 60).code == 0

    def test_it_fits_80_columns(self, capsys, folder):
        self.crowded(capsys)
        said = run(capsys, "status", "offers.db")
        assert said.code == 0, said.err
        assert max(map(len, said.out.splitlines())) <= 80
        for words in ("roll-out ", "last change ", "guardrails ", "decisions ", "conversions ", "learning ", "spool "):
            assert f"\n{words}" in said.out
        assert "unsubscribe" in said.out

    def test_large_numbers_and_long_names_fit_too(self, folder):
        """The negative control is a wider table: with 40 more digits it does not fit."""
        write(with_groups())
        with Store.open("offers.db", customer_key=b"a key for our tests", read_only=True) as store:
            status = StatusReader(store, with_groups()).read(NOON)

        def widest(number):
            group = GroupActivity("a label as callers give it " * 4, 0.125, *[number] * 4)
            console = Console(width=200, record=True, file=io.StringIO())
            for table in status_tables(replace(status, groups=(group,) * 3, decisions=number), ()):
                console.print(table)
            return max(map(len, console.export_text().splitlines()))

        assert widest(9_999_999) <= 80
        assert widest(10**12) > 80

    def test_it_says_who_halted_the_policies(self, capsys, folder):
        write(with_groups())
        run(capsys, "kill", "offers.db", "--by", "ops", "--reason", "coupons do not work")
        said = run(capsys, "status", "offers.db").out
        assert re.search(r"roll-out +killed: the fallback serves everybody", said)
        assert re.search(r"last change +kill by ops, .*: coupons do not work", said)
        assert re.search(r"to end it +offer-bandit rollout resume offers.db", said)


class TestGate:
    def test_it_is_0_while_well_3_when_halted(self, capsys, folder):
        write(with_groups())
        assert run(capsys, "status", "offers.db", "--gate").code == 0
        run(capsys, "kill", "offers.db", "--by", "ops")
        assert run(capsys, "status", "offers.db", "--gate").code == 3
        assert run(capsys, "status", "offers.db").code == 0
        assert run(capsys, "status", "offers.db", "--json").json["well"] is False

    def test_it_is_3_when_a_guardrail_is_broken(self, capsys, folder):
        """All 40 of 40 decisions of the policy have the event; a rate of at most 0.01 is broken."""
        catalogue = with_groups(guardrails=[{"event": "purchase", "at_most": 0.01, "action": "warn"}])
        write(catalogue, [("policy", 0, 0.01)] * 40)
        ran = run(capsys, "status", "offers.db", "--gate")
        assert ran.code == 3
        assert re.search(r"guardrails +\"purchase\" at most 0.01 is broken \(warn\)", ran.out)


class TestWatch:
    @pytest.fixture
    def two_looks(self, monkeypatch):
        """A clock whose second wait is the user's Ctrl-C; returns the waits."""
        waits = []

        def sleep(seconds):
            waits.append(seconds)
            if len(waits) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr("bandit.cli.status.clock_module.sleep", sleep)
        return waits

    def test_it_is_shown_again_until_interrupted(self, capsys, folder, two_looks):
        write(with_groups())
        ran = run(capsys, "status", "offers.db", "--watch", "--every", "5")
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.count("conversions  today 2, in 7 days 4") == 2
        assert two_looks == [5.0, 5.0]

    def test_with_json_each_look_is_a_line(self, capsys, folder, two_looks):
        write(with_groups())
        ran = run(capsys, "status", "offers.db", "--watch", "--json")
        assert len(ran.out.splitlines()) == 2
        assert '"decisions":7' in ran.out

    def test_on_a_terminal_it_is_shown_in_place(self, capsys, folder, two_looks, monkeypatch):
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setattr("rich.console.Console.is_terminal", property(lambda _: True))
        write(with_groups())
        assert run(capsys, "status", "offers.db", "--watch").code == 0


def test_it_only_reads_and_needs_no_key(capsys, folder, monkeypatch):
    write(with_groups())
    before = (folder / "offers.db").read_bytes()
    monkeypatch.delenv("OFFER_BANDIT_KEY")
    assert run(capsys, "status", "offers.db").code == 0
    assert (folder / "offers.db").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing.db",), "there is no such database"),
        (("offers.db", "--watch", "--every", "0"), "--every is a number of seconds above 0; seen 0"),
        (("offers.db", "--watch", "--gate"), "--gate and --watch exclude each other"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(capsys, folder, arguments, words):
    write(with_groups())
    ran = run(capsys, "status", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.sentence

"""The commands of the roll-out and kill: changes as sentences and JSON, the history, the report, and bad input."""

import json

import pytest

import bandit
from bandit.store import Store
from tests.catalogue.test_groups import RULES
from tests.cli.conftest import run
from tests.conftest import SPRING
from tests.engine.conftest import context

CATALOGUE = SPRING | {"rollout": {"mode": "shadow", "rules": RULES | {"exploration": 0.5}}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A database in shadow, with 60 decisions of policy 1 and a second policy that is not live."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    monkeypatch.setattr("getpass.getuser", lambda: "login")
    catalogue = bandit.Catalogue.from_dict(CATALOGUE)
    policies = [bandit.ThompsonSampling(catalogue, name=name) for name in ("one", "two")]
    for policy in policies:
        with bandit.Engine.open("offers.db", catalogue, policy, seed=1, durability="process") as engine:
            if policy.name == "one":
                names = [f"customer-{row}" for row in range(60)]
                made = engine.decide_batch(names, [context(row) for row in range(60)])
                engine.record_batch(made.decision_ids[:20], "purchase", revenue=[30.0] * 20)
                engine.record_batch(made.decision_ids, "closed")
    return tmp_path


def state(capsys):
    return run(capsys, "rollout", "show", "offers.db", "--json").json


class TestShow:
    def test_it_says_what_serves_whom_and_who_changed_it(self, capsys, folder):
        said = run(capsys, "rollout", "show", "offers.db").out
        assert "shadow: the segment rules serve everybody, and the policy's choice is logged beside." in said
        assert "Last change, number 1: declare by catalogue, " in said
        shown = state(capsys)
        assert (shown["mode"], shown["halted"], shown["change"]["author"]) == ("shadow", None, "catalogue")
        assert [(arm["name"], arm["share"]) for arm in shown["arms"]] == [("rules", 1.0), ("policy", 0.0)]

    def test_live_policies_have_their_kinds_and_steps(self, capsys, folder):
        run(capsys, "rollout", "set", "offers.db", "--mode", "ramp", "--share", "0.5")
        said = run(capsys, "rollout", "challenge", "offers.db", "--policy", "2", "--share", "0.2").out
        assert (
            "ramp: the champion and its challengers serve 50% of the customers, the segment rules the others." in said
        )
        rows = {line.split("│")[1].strip(): line for line in said.splitlines() if line.startswith("│")}
        assert "40%" in rows["policy"]
        assert "policy 1 (thompson)" in rows["policy"]
        assert "10%" in rows["challenger:2"]
        assert [(each["policy_id"], each["kind"], each["step"]) for each in state(capsys)["policies"]] == [
            (1, "thompson", 0), (2, "thompson", 0),
        ]  # fmt: skip


class TestChanges:
    def test_each_is_a_row_with_who_and_why(self, capsys, folder):
        by = ("--by", "anna", "--reason", "shadow is well")
        made = run(capsys, "rollout", "set", "offers.db", "--mode", "ramp", "--share", "0.1", *by)
        assert made.code == 0, made.err
        assert "ramp: the policy serves 10% of the customers, the segment rules the others." in made.out
        assert "Change 2: set by anna, " in made.out
        assert ": shadow is well." in made.out
        plain = run(capsys, "rollout", "challenge", "offers.db", "--policy", "2", "--share", "0.25", "--json").json
        assert (plain["id"], plain["author"], plain["action"], plain["reason"]) == (3, "login", "challenge", "")
        assert plain["state"]["policies"] == [{"policy_id": 1, "share": 0.75}, {"policy_id": 2, "share": 0.25}]
        assert run(capsys, "rollout", "promote", "offers.db").code == 0
        assert state(capsys)["policies"][0]["policy_id"] == 2
        for _ in range(2):
            assert run(capsys, "rollout", "rollback", "offers.db").code == 0
        assert (state(capsys)["mode"], state(capsys)["policies"]) == ("ramp", [])
        table = run(capsys, "rollout", "history", "offers.db").out
        cells = [line.split("│")[4].strip() for line in table.splitlines() if line.startswith("│")]
        assert [each for each in cells if each] == [
            "declare", "set", "challenge", "promote", "rollback", "rollback",
        ]  # fmt: skip
        listed = run(capsys, "rollout", "history", "offers.db", "--json").json
        assert [each["author"] for each in listed] == ["catalogue", "anna", "login", "login", "login", "login"]
        assert listed[1]["time"].endswith("+00:00")

    def test_a_kill_needs_no_key_and_asks_nothing(self, capsys, folder, monkeypatch):
        monkeypatch.delenv("OFFER_BANDIT_KEY")
        killed = run(capsys, "kill", "offers.db", "--by", "ops", "--reason", "coupons do not work")
        assert (killed.code, killed.err) == (0, "")
        assert "killed: the fallback serves everybody (the mode shadow waits)." in killed.out
        assert "Every process serves the fallback from its next decision on, within a second." in killed.out
        assert "\nTo end it:\n  offer-bandit rollout resume offers.db\n" in killed.out
        shown = run(capsys, "rollout", "show", "offers.db").out
        assert "kill by ops, " in shown
        assert "\nTo end it:\n  offer-bandit rollout resume offers.db\n" in shown
        monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
        decided = run(capsys, "decide", "offers.db", "customer-7", "--policy-id", "1", "--json").json
        assert decided["offer"] == SPRING["fallback"]
        assert run(capsys, "rollout", "resume", "offers.db").code == 0
        assert state(capsys)["halted"] is None

    def test_what_the_catalogue_declares_comes_before_a_persons_first_change(self, capsys, tmp_path, monkeypatch):
        """A database that no engine has opened yet: the later opening must not undo what was set."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
        catalogue = bandit.Catalogue.from_dict(CATALOGUE)
        with Store.open("offers.db", customer_key=b"a key for our tests") as store:
            store.catalogues.register(catalogue)
        run(capsys, "rollout", "set", "offers.db", "--mode", "ramp", "--share", "0.1", "--by", "anna")
        with bandit.Engine.open("offers.db", catalogue, bandit.Uniform(catalogue)) as engine:
            assert engine.rollout.state.share == 0.1
            assert [each.action for each in engine.rollout.history()] == ["declare", "set"]


class TestReport:
    def test_shadow_is_reported_in_words_and_numbers(self, capsys, folder):
        said = run(capsys, "rollout", "report", "offers.db")
        assert said.code == 0, said.err
        assert "in shadow, since change 1: profit in EUR" in said.out
        assert "In shadow the policy chose what the rules served in " in said.out
        assert said.out.startswith("? The policy in shadow against the rules: cannot tell - ")
        plain = run(capsys, "rollout", "report", "offers.db", "--json").json
        assert plain["shadow"]["decisions"] == 60
        assert 0.0 < plain["shadow"]["expected"] < 1.0
        assert plain["arms"] is None

    @pytest.mark.parametrize("mode", [("shadow",), ("ramp", "--share", "0.5")])
    def test_the_end_of_a_halt_that_has_served_nothing_yet_is_part_of_the_report(self, capsys, folder, mode):
        """A kill and its end begin no new run of changes, so the run's last change has no decisions."""
        run(capsys, "rollout", "set", "offers.db", "--mode", *mode)
        with bandit.Engine.resume("offers.db", policy_id=1, seed=2) as engine:
            names = [f"visitor-{row}" for row in range(60)]
            made = engine.decide_batch(names, [context(row) for row in range(60)])
            engine.record_batch(made.decision_ids, "closed")
        before = run(capsys, "rollout", "report", "offers.db", "--json").json
        run(capsys, "kill", "offers.db")
        run(capsys, "rollout", "resume", "offers.db")
        after = run(capsys, "rollout", "report", "offers.db", "--json")
        assert after.code == 0, after.err
        part = "shadow" if mode == ("shadow",) else "arms"
        assert before[part] is not None
        counted = [
            {key: value for key, value in each[part].items() if key != "changes"} for each in (before, after.json)
        ]
        assert counted[0] == counted[1]

    def test_arms_have_a_row_each_and_their_difference(self, capsys, folder):
        run(capsys, "rollout", "set", "offers.db", "--mode", "ramp", "--share", "0.5")
        with bandit.Engine.resume("offers.db", policy_id=1, seed=2) as engine:
            names = [f"visitor-{row}" for row in range(200)]
            made = engine.decide_batch(names, [context(row) for row in range(200)])
            engine.record_batch(made.decision_ids, "closed")
        said = run(capsys, "rollout", "report", "offers.db").out
        assert "arms, since change 2: profit in EUR; intervals of 95% for one look" in said
        assert "policy minus rules" in said
        assert "The arms are compared on 200 settled decisions of 200 customers since change 2 (set by login" in said
        plain = run(capsys, "rollout", "report", "offers.db", "--json").json
        assert [each["name"] for each in plain["arms"]["groups"]] == ["rules", "policy"]

    def test_nothing_to_report_is_said(self, capsys, example):
        said = run(capsys, "rollout", "report", "offers.db")
        assert said.out.strip().endswith("there is nothing to report.")
        assert run(capsys, "rollout", "history", "offers.db").out.strip() == "The roll-out was never changed."
        assert run(capsys, "rollout", "history", "offers.db", "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", "offers.db", "--mode", "half"), 'there is no mode "half"; choose from shadow, apprentice, ramp, full'),
        (("set", "offers.db", "--mode", "ramp"), "a ramp needs its share of the customers"),
        (("set", "offers.db", "--mode", "full", "--share", "1"), 'a share is given with the mode "ramp" only'),
        (("challenge", "offers.db", "--policy", "9", "--share", "0.1"), "there is no policy 9 in offers.db"),
        (("challenge", "offers.db", "--policy", "1", "--share", "0.1"), "name it with --champion"),
        (("challenge", "offers.db", "--policy", "2", "--share", "1"), "at least 0 and below 1"),
        (("promote", "offers.db", "--policy", "9"), "there is no policy 9"),
        (("rollback", "offers.db"), "the roll-out is as it was in the beginning"),
        (("resume", "offers.db"), "the policies are not halted"),
        (("set", "offers.db", "--mode", "full", "--by", ""), "say who makes the change"),
        (("show", "nothing.db"), "there is no such database"),
        (("fly", "offers.db"), "No such command 'fly'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_and_changes_nothing(capsys, folder, arguments, words):
    ran = run(capsys, "rollout", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.sentence
    assert len(run(capsys, "rollout", "history", "offers.db", "--json").json) == 1


def test_without_a_login_name_one_is_asked_for(capsys, folder, monkeypatch):
    def nobody():
        raise OSError("no login name")

    monkeypatch.setattr("getpass.getuser", nobody)
    ran = run(capsys, "kill", "offers.db")
    assert (ran.code, ran.sentence) == (2, "the login name is not known; say who makes the change with --by NAME")


def test_odd_names_and_reasons_stay_on_one_line(capsys, folder):
    run(capsys, "kill", "offers.db", "--by", "an\x1bna", "--reason", "two\nlines [red]")
    said = run(capsys, "rollout", "show", "offers.db").out
    assert "\x1b" not in said
    assert "kill by an\\x1bna, " in said
    assert ": two lines [red]." in said


class TestCandidate:
    @pytest.mark.slow
    def test_a_candidate_learned_from_the_log_becomes_a_challenger_in_two_commands(self, capsys, example):
        """It knows the 2,000 decisions of the log already, and serves nobody before it is made a challenger."""
        learned = run(
            capsys, "learn-offline", "offers.db", "--policy", "thompson", "--folds", "2", "--into", "offers.db"
        )
        assert learned.code == 0, learned.err
        assert "It is policy 2 of offers.db, learned from all 2,000 decisions; it serves nobody yet." in learned.out
        assert "offer-bandit rollout challenge offers.db --policy 2 --share 0.1" in learned.out
        again = run(capsys, "learn", "offers.db", "--policy-id", "2", "--json").json
        assert (again["n"], again["policy_id"]) == (0, 2)
        assert run(capsys, "learn", "offers.db", "--json").json["policy_id"] == 1
        challenged = run(capsys, "rollout", "challenge", "offers.db", "--policy", "2", "--share", "0.1", "--json")
        assert challenged.code == 0, challenged.err
        assert [each["policy_id"] for each in challenged.json["state"]["policies"]] == [1, 2]
        assert run(capsys, "verify", "offers.db", "--json").json["problems"] == []
        assert run(capsys, "rebuild", "offers.db", "--json").json["ok"]
        run(capsys, "rollout", "promote", "offers.db")
        assert run(capsys, "learn", "offers.db", "--json").json["policy_id"] == 2

    @pytest.mark.slow
    def test_its_name_is_its_own(self, capsys, example):
        common = ("learn-offline", "offers.db", "--folds", "2", "--into", "offers.db", "--name", "fresh")
        made = run(capsys, *common, "--json").json
        assert (made["policy_id"], made["into"]) == (2, "offers.db")
        refused = run(capsys, *common)
        assert refused.code == 2
        assert 'policy 2 has these settings and the name "fresh" already' in refused.sentence
        alone = run(capsys, "learn-offline", "offers.db", "--name", "fresh")
        assert alone.sentence == "--name is the policy's name in the database of --into; give both"
        other = run(capsys, *common[:-1], "other", "--objective", "conversion")
        assert "joins the database of its log under the newest catalogue there" in other.sentence

    def test_a_gate_that_is_not_passed_leaves_the_database_as_it_was(self, capsys, example):
        before = json.dumps(run(capsys, "doctor", "offers.db", "--json").json["left to learn"])
        ran = run(
            capsys,
            "learn-offline",
            "offers.db",
            "--folds",
            "2",
            "--into",
            "offers.db",
            "--gate",
            "--level",
            "0.9999999999",
        )
        assert ran.code in {4, 5}
        assert "offers.db was not changed: the policy did not pass the gate." in ran.out
        assert json.dumps(run(capsys, "doctor", "offers.db", "--json").json["left to learn"]) == before

"""Changes of a roll-out: each a row with who, when and why; what is refused; rollback, promotion, kill and resume."""

import numpy as np
import pytest

import bandit
import bandit.rollout.control
from bandit.errors import InputError, PolicyError
from bandit.rollout import LivePolicy, RolloutControl, RolloutState
from bandit.store import Store
from tests.conftest import SPRING

RULES = {"segments": [], "otherwise": {"discount": "10", "channel": "email", "gift": "none"}}


class Clock:
    """A clock that goes on by one at each look."""

    def __init__(self):
        self.now = 1_000

    def __call__(self):
        self.now += 1
        return self.now


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "offers.db", customer_key=b"a key for our tests") as store:
        yield store


def control_of(store, **more):
    """The control of a catalogue with three policies, numbered 1 to 3."""
    catalogue = bandit.Catalogue.from_dict(SPRING | more)
    number = store.catalogues.register(catalogue)
    for name in ("one", "two", "three"):
        store.catalogues.register_policy(number, bandit.ThompsonSampling(catalogue, name=name).spec())
    return RolloutControl(store, catalogue, Clock())


@pytest.fixture
def control(store):
    return control_of(store, rollout={"mode": "shadow", "rules": RULES, "salt": "s"})


class TestBeginning:
    def test_without_a_declaration_one_policy_serves_everybody(self, store):
        plain = control_of(store)
        assert plain.state == plain.initial == RolloutState()
        assert plain.declare() is None
        assert plain.latest() is None
        assert plain.history() == ()

    def test_the_substitute_is_the_rules_of_the_roll_out_else_of_the_group_else_the_fallback(self, store):
        assert control_of(store, rollout={"mode": "shadow", "rules": RULES}).initial.substitute == "rules"
        groups = {"policy": 0.5, "rules": {"share": 0.5, **RULES}}
        assert control_of(store, groups=groups).initial.substitute == "rules"
        assert control_of(store, groups=groups, rollout={"mode": "shadow"}).initial.substitute == "rules"
        assert control_of(store, rollout={"mode": "shadow"}).initial.substitute == "fallback"

    def test_what_is_declared_is_a_row_once_for_each_version_that_says_something_else(self, store, control):
        change = control.declare()
        assert (change.id, change.author, change.action) == (1, "catalogue", "declare")
        assert (change.state.mode, change.state.salt, change.state.substitute) == ("shadow", "s", "rules")
        assert control.declare() is None
        same = control_of(store, rollout={"mode": "shadow", "rules": RULES, "salt": "s"}, name="renamed")
        assert same.declare() is None
        other = control_of(store, rollout={"mode": "ramp", "share": 0.1, "rules": RULES, "salt": "s"})
        assert other.declare().state.share == 0.1
        assert control.declare() is None  # the first version was in force already; it does not come back by itself

    def test_what_a_person_set_stays_when_the_same_version_is_opened_again(self, control):
        control.declare()
        control.set_mode("ramp", 0.2, author="anna")
        assert control.declare() is None
        assert (control.state.mode, control.state.share) == ("ramp", 0.2)

    def test_a_kill_outlasts_a_new_declaration(self, store, control):
        control.kill(author="anna")
        other = control_of(store, rollout={"mode": "ramp", "share": 0.1, "rules": RULES})
        assert other.declare().state.halted == "kill"


class TestRows:
    def test_every_change_is_a_row_with_who_when_and_why(self, control):
        control.declare()
        control.set_mode("ramp", 0.1, author="anna", reason="shadow is well")
        control.challenge(2, 0.25, champion=1, author="ben", reason="fresh")
        control.promote(author="anna", reason="it is better")
        control.kill(author="ops", reason="coupons do not work")
        control.resume(author="ops", reason="they do")
        control.stop(author="guardrail", reason="unsubscribe")
        control.resume(author="anna")
        control.rollback(author="ben", reason="too early")
        history = control.history()
        assert [each.id for each in history] == list(range(1, 10))
        assert [each.time for each in history] == list(range(1_001, 1_010))
        assert [(each.action, each.author) for each in history] == [
            ("declare", "catalogue"), ("set", "anna"), ("challenge", "ben"), ("promote", "anna"), ("kill", "ops"),
            ("resume", "ops"), ("stop", "guardrail"), ("resume", "anna"), ("rollback", "ben"),
        ]  # fmt: skip
        assert history[1].reason == "shadow is well"
        assert history[2].state.policies == (LivePolicy(1, 0.75), LivePolicy(2, 0.25))
        assert history[3].state.policies == (LivePolicy(2, 1.0),)
        assert [each.state.halted for each in history] == [None] * 4 + ["kill", None, "guardrail", None, None]
        assert history[-1].state.policies == history[2].state.policies
        assert control.latest() == history[-1]
        assert control.state == history[-1].state

    def test_a_refused_change_leaves_no_row(self, control):
        with pytest.raises(InputError):
            control.set_mode("ramp", 0.0, author="anna")
        with pytest.raises(InputError):
            control.set_mode("full", author=" ")
        assert control.history() == ()


class TestRefusals:
    @pytest.mark.parametrize(
        ("mode", "share", "words"),
        [
            ("half", None, 'one of the modes shadow, apprentice, ramp, full; seen "half"'),
            ("ramp", None, "a ramp needs its share of the customers, above 0 and at most 1, such as 0.1; seen none"),
            ("ramp", 0.0, "seen 0"),
            ("ramp", 1.5, "seen 1.5"),
            ("ramp", float("nan"), "seen nan"),
            ("full", 0.5, 'a share is given with the mode "ramp" only; seen with "full"'),
        ],
    )
    def test_a_mode_that_is_none(self, control, mode, share, words):
        with pytest.raises(InputError, match=words):
            control.set_mode(mode, share, author="anna")

    @pytest.mark.parametrize(
        ("policy", "share", "champion", "words"),
        [
            (2, 1.0, 1, "at least 0 and below 1; seen 1.0"),
            (2, -0.1, 1, "seen -0.1"),
            (2, float("nan"), 1, "seen nan"),
            (9, 0.1, 1, "there is no policy 9 .*known are 1, 2, 3"),
            (2, 0.1, None, "the champion is not known yet"),
            (2, 0.1, 2, "policy 2 is the champion"),
            (2, 0.1, 9, "there is no policy 9"),
        ],
    )
    def test_a_challenger_that_cannot_be(self, control, policy, share, champion, words):
        with pytest.raises(InputError, match=words):
            control.challenge(policy, share, champion=champion, author="anna")

    def test_challengers_leave_the_champion_something(self, control):
        control.challenge(2, 0.6, champion=1, author="anna")
        with pytest.raises(InputError, match="sum to 1, which leaves the champion nothing"):
            control.challenge(3, 0.4, author="anna")
        control.challenge(3, 0.3, author="anna")
        assert [each.share for each in control.state.policies] == pytest.approx([0.1, 0.6, 0.3])

    def test_a_policy_of_another_version_of_the_catalogue(self, store, control):
        other = control_of(store, name="autumn")
        with pytest.raises(InputError, match="is of another version of the catalogue"):
            other.challenge(2, 0.1, champion=4, author="anna")

    def test_who_and_why_have_a_length(self, control):
        with pytest.raises(InputError, match="author of a change has at most 200 characters; seen 201"):
            control.kill(author="a" * 201)
        with pytest.raises(InputError, match="reason of a change has at most 2,000 characters"):
            control.kill(author="a", reason="b" * 2_001)
        with pytest.raises(InputError, match="say who makes the change"):
            control.kill(author="")

    def test_nothing_to_undo(self, control):
        with pytest.raises(InputError, match="never changed"):
            control.rollback(author="anna")
        with pytest.raises(InputError, match="not halted"):
            control.resume(author="anna")
        control.set_mode("full", author="anna")
        with pytest.raises(InputError, match="nothing to promote"):
            control.promote(author="anna")


class TestPromotion:
    def test_without_challengers_the_policy_is_rolled_out_in_full(self, control):
        control.set_mode("ramp", 0.3, author="anna")
        state = control.promote(author="anna").state
        assert (state.mode, state.share, state.policies) == ("full", 1.0, ())

    def test_the_only_challenger_becomes_the_champion_and_the_ramp_stays(self, control):
        control.set_mode("ramp", 0.3, author="anna")
        control.challenge(2, 0.5, champion=1, author="anna")
        state = control.promote(author="anna").state
        assert (state.mode, state.share, state.policies) == ("ramp", 0.3, (LivePolicy(2, 1.0),))

    def test_of_several_one_is_named(self, control):
        control.challenge(2, 0.2, champion=1, author="anna")
        control.challenge(3, 0.2, author="anna")
        with pytest.raises(InputError, match=r"several challengers \(2, 3\)"):
            control.promote(author="anna")
        assert control.promote(3, author="anna").state.policies == (LivePolicy(3, 1.0),)
        with pytest.raises(InputError, match="there is no policy 7"):
            control.promote(7, author="anna")

    def test_a_challenger_with_share_0_leaves(self, control):
        control.challenge(2, 0.2, champion=1, author="anna")
        assert control.challenge(2, 0.0, author="anna").state.policies == (LivePolicy(1, 1.0),)


class TestRollback:
    def test_several_changes_are_undone_one_by_one(self, control):
        control.declare()
        control.set_mode("ramp", 0.1, author="anna")
        control.set_mode("ramp", 0.5, author="anna")
        control.challenge(2, 0.2, champion=1, author="anna")
        undone = [control.rollback(author="ben").state for _ in range(3)]
        assert [(each.mode, each.share, len(each.policies)) for each in undone] == [
            ("ramp", 0.5, 0), ("ramp", 0.1, 0), ("shadow", 1.0, 0),
        ]  # fmt: skip
        with pytest.raises(InputError, match="as it was in the beginning"):
            control.rollback(author="ben")

    def test_after_an_undone_change_a_new_one_is_undone_to_the_same_state(self, control):
        control.set_mode("ramp", 0.1, author="anna")
        control.set_mode("ramp", 0.5, author="anna")
        control.rollback(author="ben")
        control.set_mode("full", author="anna")
        assert control.rollback(author="ben").state.share == 0.1
        assert control.rollback(author="ben").state.mode == "shadow"

    def test_a_halt_stays_until_resume(self, control):
        control.set_mode("ramp", 0.1, author="anna")
        control.set_mode("full", author="anna")
        control.kill(author="ops")
        assert control.rollback(author="ben").state.halted == "kill"
        resumed = control.resume(author="ops").state
        assert (resumed.halted, resumed.mode, resumed.share) == (None, "ramp", 0.1)

    def test_a_kill_is_no_change_that_a_rollback_returns_to(self, control):
        """Set, kill, set again, resume: one step back is the first set, and not halted."""
        control.set_mode("ramp", 0.1, author="anna")
        control.kill(author="ops")
        control.set_mode("ramp", 0.2, author="anna")
        control.resume(author="ops")
        state = control.rollback(author="ben").state
        assert (state.share, state.halted) == (0.1, None)

    def test_a_declaration_is_undone_like_a_change(self, store, control):
        control.declare()
        control.set_mode("ramp", 0.3, author="anna")
        other = control_of(store, rollout={"mode": "full", "rules": RULES})
        other.declare()
        assert (other.rollback(author="ben").state.mode, other.state.share) == ("ramp", 0.3)


NO_TEXTS = (None, 5, True, b"anna", [], {}, 0.5, np.float64(0.5), np.array([0.1]), object())
NO_NUMBERS = (True, b"x", "0.5", "", [], {}, np.array([0.1, 0.2]), object(), 1 + 2j, 10**400)


class TestWrongTypes:
    @pytest.mark.parametrize("value", NO_TEXTS, ids=lambda value: type(value).__name__)
    def test_an_author_or_a_reason_that_is_no_text_is_refused_and_nothing_is_written(self, control, value):
        for change in (
            lambda: control.set_mode("shadow", author=value),
            lambda: control.set_mode("shadow", author="anna", reason=value),
            lambda: control.kill(author=value),
            lambda: control.kill(author="anna", reason=value),
        ):
            with pytest.raises(InputError, match="of a change is a text; seen "):
                change()
        assert control.history() == ()

    @pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
    def test_a_share_that_is_no_number_is_refused_and_nothing_is_written(self, control, value):
        for change in (
            lambda: control.set_mode("ramp", value, author="anna"),
            lambda: control.challenge(2, value, champion=1, author="anna"),
        ):
            with pytest.raises(InputError, match="a share is "):
                change()
        assert control.history() == ()

    @pytest.mark.parametrize("value", [True, "2", 2.0, [], np.array([2])], ids=lambda value: type(value).__name__)
    def test_a_policy_that_is_no_whole_number_is_refused_and_nothing_is_written(self, control, value):
        for change in (
            lambda: control.challenge(value, 0.1, champion=1, author="anna"),
            lambda: control.challenge(2, 0.1, champion=value, author="anna"),
            lambda: control.promote(value, author="anna"),
        ):
            with pytest.raises(InputError, match="a policy is named by its number"):
                change()
        assert control.history() == ()

    @pytest.mark.parametrize("value", [None, 5, [], np.array(["ramp", "full"])], ids=lambda value: type(value).__name__)
    def test_a_mode_that_is_no_text_is_refused(self, control, value):
        with pytest.raises(InputError, match="one of the modes shadow, apprentice, ramp, full; seen "):
            control.set_mode(value, author="anna")

    def test_numbers_of_numpy_are_numbers(self, control):
        assert control.set_mode("ramp", np.float64(0.25), author="anna").state.share == 0.25
        state = control.challenge(np.int64(2), np.float32(0.5), champion=np.int32(1), author="anna").state
        assert state.policies == (LivePolicy(1, 0.5), LivePolicy(2, 0.5))
        assert control.promote(np.int64(2), author="anna").state.champion == 2


def test_a_challenger_that_cannot_be_built_any_more_can_be_taken_out(store, control, monkeypatch):
    control.set_mode("ramp", 0.5, author="anna")
    control.challenge(2, 0.1, champion=1, author="anna")

    def fails(catalogue, spec):
        if spec["name"] == "two":
            raise PolicyError("damaged")
        return built(catalogue, spec)

    built = bandit.rollout.control.build
    monkeypatch.setattr("bandit.rollout.control.build", fails)
    with pytest.raises(InputError, match="policy 2 cannot be built"):
        control.challenge(2, 0.2, author="anna")
    assert control.challenge(2, 0.0, author="anna").state.policies == (LivePolicy(1, 1.0),)

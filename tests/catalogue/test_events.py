"""What a catalogue takes events for, and what it says of those that do not count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bandit
from bandit.catalogue.events import EventParts
from bandit.errors import CatalogueError, InputError
from tests.conftest import SPRING

NAN = float("nan")
DAY = 86_400_000_000
WEEK = 7 * DAY
DECLARED = {"purchase": "converts", "refund": "returns", "survey": "feedback", "page view": "ignored"}


def events(kind="profit", **changes):
    objective = SPRING["objective"] | {"kind": kind} | changes.pop("objective", {})
    return bandit.Catalogue.from_dict(SPRING | {"objective": objective} | changes).events


def faults(parts, event, revenue=NAN, reward=NAN, delay=0):
    return [note.fault for note in parts.notes(event, np.array([revenue]), np.array([reward]), np.array([delay]))]


def check(parts, event, revenue=NAN, reward=NAN):
    parts.check(event, np.array([revenue]), np.array([reward]))


class TestDeclared:
    def test_a_name_that_is_not_declared_is_refused_with_the_nearest_and_what_to_write(self):
        parts = events(events=DECLARED)
        with pytest.raises(InputError, match=r'"purchse" is not declared \(did you mean "purchase"\?\).*purchse = "ig'):
            check(parts, "purchse")
        with pytest.raises(InputError, match=r'"order" is not declared;.*"purchase", .*"closed"'):
            parts.check(["purchase", "order"], np.full(2, NAN), np.full(2, NAN))
        for name in (*DECLARED, "closed"):
            check(parts, name)

    def test_amounts_that_cannot_be_meant_are_refused(self):
        parts = events(events=DECLARED)
        with pytest.raises(InputError, match='"page view" is declared as "ignored"'):
            check(parts, "page view", 5.0)
        with pytest.raises(InputError, match=r"pays back: send revenue=-50; seen 50"):
            check(parts, "refund", 50.0)
        check(parts, "refund", -50.0)

    def test_without_events_everything_may_be_recorded(self):
        assert not events().declared
        check(events(), "anything", 5.0)

    def test_events_of_guardrails_sticky_and_the_activation_are_known_by_themselves(self):
        parts = events(
            events={"purchase": "converts"},
            objective={"activation": "shown"},
            guardrails=[{"event": "unsubscribe", "at_most": 0.01}],
            sticky={"for": "3d", "until": ["purchase", "basket"]},
        )
        assert parts.parts == {
            "unsubscribe": "feedback",
            "purchase": "converts",
            "basket": "feedback",
            "shown": "shown",
            "closed": "closes",
        }

    @pytest.mark.parametrize(
        ("declared", "words"),
        [
            ({"order": "converts"}, 'write event = "order" under .objective.'),
            ({"purchase": "ignored"}, "it is the event of the .objective."),
            ({"seen": "shown"}, 'activated by no event: write activation = "seen"'),
            ({"closed": "ignored"}, "known by itself"),
            ({" ": "ignored"}, "empty name"),
            ({"x": "buys"}, "Invalid enum value 'buys'"),
        ],
    )
    def test_a_part_that_an_event_cannot_have_is_refused(self, declared, words):
        with pytest.raises(CatalogueError, match=words):
            events(events=declared)

    def test_a_watched_event_cannot_be_ignored_nor_an_activation_be_feedback(self):
        with pytest.raises(CatalogueError, match=r"a guardrail or .sticky. looks at it"):
            events(events={"spam": "ignored"}, guardrails=[{"event": "spam", "at_most": 0.01}])
        with pytest.raises(CatalogueError, match="it is the activation"):
            events(events={"shown": "feedback"}, objective={"activation": "shown"})

    def test_a_catalogue_without_events_has_the_version_it_had(self):
        plain = bandit.Catalogue.from_dict(SPRING)
        assert "events" not in plain.to_dict()
        with_events = bandit.Catalogue.from_dict(SPRING | {"events": DECLARED})
        assert with_events.to_dict()["events"] == DECLARED
        assert with_events.version != plain.version
        assert bandit.Catalogue.from_dict(with_events.to_dict()).version == with_events.version


class TestNotes:
    @pytest.mark.parametrize(
        ("kind", "event", "revenue", "reward", "expected"),
        [
            ("profit", "purchase", 50.0, NAN, []),
            ("profit", "purchase", NAN, NAN, ["no revenue"]),
            ("profit", "purchase", NAN, 5.0, ["reward does not count", "no revenue"]),
            ("profit", "order", 50.0, NAN, ["undeclared"]),
            ("profit", "return", -50.0, NAN, []),
            ("profit", "return", 50.0, NAN, ["positive return"]),
            ("profit", "return", NAN, NAN, ["undeclared"]),
            ("profit", "closed", NAN, NAN, []),
            ("revenue", "purchase", NAN, NAN, ["no revenue"]),
            ("conversion", "purchase", NAN, NAN, []),
            ("conversion", "purchase", NAN, 1.0, ["reward does not count"]),
            ("conversion", "order", NAN, NAN, ["undeclared"]),
            ("reward", "purchase", 50.0, NAN, ["revenue does not count"]),
            ("reward", "purchase", NAN, NAN, ["no reward"]),
            ("reward", "net", NAN, 5.0, []),
            ("reward", "order", 50.0, NAN, ["undeclared"]),
        ],
    )
    def test_what_the_objective_does_not_count_is_noted(self, kind, event, revenue, reward, expected):
        assert faults(events(kind), event, revenue, reward) == expected

    @pytest.mark.parametrize(
        ("event", "revenue", "delay", "expected"),
        [
            ("purchase", 50.0, -1, ["early"]),
            ("purchase", 50.0, WEEK, []),
            ("purchase", 50.0, WEEK + 1, ["late"]),
            ("return", -50.0, WEEK + 1, ["late return"]),
            ("order", 50.0, -1, ["undeclared"]),
            ("closed", NAN, -1, []),
            ("closed", NAN, WEEK + 1, []),
        ],
    )
    def test_events_before_the_decision_and_after_the_window_are_noted(self, event, revenue, delay, expected):
        assert faults(events(), event, revenue, delay=delay) == expected

    def test_a_note_says_the_number_the_meaning_and_the_cure(self):
        (note,) = events().notes(["Purchase"] * 3, np.full(3, 50.0), np.full(3, NAN), None)
        assert note.to_dict() == {
            "event": "Purchase",
            "n": 3,
            "fault": "undeclared",
            "sentence": '3 events "Purchase" convert nothing, as the objective\'s event is "purchase" (did you mean '
            '"purchase"?): a revenue of theirs counts only where "purchase" has converted the decision; correct the '
            'name, or declare it under [events] in the catalogue, as Purchase = "ignored"',
        }

    @given(
        st.sampled_from(["profit", "revenue", "conversion", "reward"]),
        st.lists(
            st.tuples(
                st.sampled_from(["purchase", "order", "refund", "closed", "survey"]),
                st.sampled_from([NAN, -5.0, 5.0]),
                st.sampled_from([NAN, 1.0]),
                st.sampled_from([-1, 0, WEEK, WEEK + 1]),
            ),
            min_size=1,
            max_size=8,
        ),
    )
    def test_a_batch_has_the_notes_of_its_events_one_by_one(self, kind, rows):
        """The quick way for one usual conversion, single events, batches and weighted rows agree."""
        parts: EventParts = events(kind, events={"survey": "feedback"})
        name, revenue, reward, delay = (list(column) for column in zip(*rows, strict=True))
        columns = (np.array(revenue), np.array(reward), np.array(delay))
        singly = {}
        for row in rows:
            for fault in faults(parts, *row):
                singly[row[0], fault] = singly.get((row[0], fault), 0) + 1
        assert {(note.event, note.fault): note.n for note in parts.notes(name, *columns)} == singly
        twice = parts.notes(name, *columns, np.full(len(rows), 2))
        assert {(note.event, note.fault): note.n for note in twice} == {key: 2 * n for key, n in singly.items()}


def with_attribute(**attribute):
    plain = SPRING | {"dimensions": [{"name": "gift", "options": [{"name": "none"}, {"name": "tote", **attribute}]}]}
    return bandit.Catalogue.from_dict({key: plain[key] for key in ("name", "objective", "dimensions")})


class TestOptionAttributes:
    @pytest.mark.parametrize(
        ("key", "cure"),
        [
            ("cap", "cannot be limited here"),
            ("daily_budget", "cannot be limited here"),
            ("share", "up to the policy"),
            ("cost", "Write contact_cost"),
            ("percent", "Write rate = 0.10"),
        ],
    )
    def test_a_key_that_looks_like_a_setting_is_said_to_describe_the_option(self, key, cure):
        with pytest.warns(UserWarning, match=f'"{key}" in "gift" .{key} = 100. is no cost and no limit.*{cure}'):
            catalogue = with_attribute(**{key: 100})
        assert len(catalogue.notes) == 1

    @pytest.mark.parametrize("key", ["contact_costs", "Contact-Cost", "rates", "redemtion_cost"])
    def test_a_misspelt_cost_is_refused(self, key):
        with pytest.raises(CatalogueError, match=f'option "tote" of "gift": "{key}" is no key of an option .did you'):
            with_attribute(**{key: 0.1})

    def test_numbers_that_describe_an_option_are_taken_in_silence(self):
        assert with_attribute(depth=10, size=3).notes == ()

    def test_a_stored_catalogue_is_read_in_silence(self):
        with pytest.warns(UserWarning, match="cap"):
            plain = with_attribute(cap=100).to_dict()
        assert bandit.Catalogue.from_stored(plain).notes

"""Texts with a zero character are refused."""

import pytest

from bandit.errors import InputError
from bandit.store import Store
from tests.store.rows import decisions, events

N = 10

WITH_ZERO = {
    "decision id": {"decision_ids": ["a\0b"]},
    "customer": {"customers": ["a\0b"]},
    "context": {"contexts_json": ['{"gender":"\0"}']},
    "group": {"group": "a\0b"},
    "seed": {"seed": "a\0b"},
    "batch": {"batch": "a\0b"},
}


@pytest.mark.parametrize("what", WITH_ZERO)
def test_a_text_with_a_zero_character_is_refused(tmp_path, sound, what):
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    with Store.open(path) as store:
        with pytest.raises(InputError, match=f"the {what} (.* )?has a zero character"):
            store.decision_writer.append(decisions(1, N, ["new"], **WITH_ZERO[what]))
        assert store.counts().decisions == 120


@pytest.mark.parametrize(
    ("what", "options"),
    [("event", {"event": "a\0b"}), ("event id", {"event_ids": ["a\0b"]}), ("event", {"event": ["a\0b"]})],
)
def test_an_event_with_a_zero_character_is_refused(tmp_path, sound, what, options):
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    with Store.open(path) as store, pytest.raises(InputError, match=f"the {what} .* has a zero character"):
        store.events.append(events(["d1"], **options))

"""Every surface under some dozens of hostile inputs; `python -m tests.fuzz.run` goes on for as long as one likes."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.limits import TooSlow, accepted, fit, in_time
from tests.fuzz.mutate import generator, mutated
from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.filterwarnings("ignore:customers are stored in the clear")

SLOW = {
    "policy_bytes": 8,
    "policy_arrays": 8,
    "vw_model": 8,
    "stored_text": 6,
    "spool": 10,
    "stored_number": 6,
    "key_file": 8,
    "vw_arguments": 0,
}
"""Targets of which an input takes some hundredths of a second, and how many of them are tried here; arguments of
Vowpal Wabbit may end this process."""


@pytest.mark.filterwarnings("ignore::bandit.errors.UndeclaredValueWarning")
@pytest.mark.parametrize("name", TARGETS)
def test_what_is_nearly_sound_is_taken_or_refused_in_one_sentence(name):
    target, seeds = TARGETS[name]
    rng, sound = generator(zlib.crc32(name.encode())), seeds()
    for data in [*sound[:10], *(mutated(sound, rng) for _ in range(SLOW.get(name, 40)))]:
        target(data)


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in SLOW])
@settings(max_examples=10, database=None)
@given(data=st.binary(max_size=300))
@pytest.mark.filterwarnings("ignore::bandit.errors.UndeclaredValueWarning")
def test_any_bytes_are_taken_or_refused_in_one_sentence(name, data):
    TARGETS[name][0](data)


def test_a_target_does_find_what_is_not_to_be():
    """The controls: a fault that is none of ours, a message that steers a terminal, an input that takes too long."""
    with pytest.raises(ZeroDivisionError), accepted():
        _ = 1 / 0
    with pytest.raises(AssertionError, match="steers"):
        fit("\x1b[2J")
    with pytest.raises(AssertionError, match="characters"):
        fit("x" * 1_001)
    with pytest.raises(TooSlow), in_time(0.05):  # noqa: PT012
        while True:
            pass

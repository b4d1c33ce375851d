import io

import numpy as np
import pytest

import bandit
from bandit.errors import PolicyError
from bandit.policies import close
from bandit.policies.state import as_before_by_number, pack, unpack
from tests.conftest import draw_outcomes


def test_states_are_close_up_to_rounding_and_not_beyond(catalogue):
    policy = bandit.ThompsonSampling(catalogue)
    policy.update(draw_outcomes(catalogue, 100, np.random.default_rng(1)))
    state = policy.dumps()
    meta, arrays = unpack(state)
    mean = arrays["main/mean"]
    assert close(state, pack(meta, {**arrays, "main/mean": mean * (1 + 1e-9)}))
    assert not close(state, pack(meta, {**arrays, "main/mean": mean * 1.001}))
    assert not close(state, pack({**meta, "kind": "other"}, arrays))
    assert not close(state, b"rubbish")


def test_of_a_sample_of_an_older_version_the_corrected_responses_are_not_compared(catalogue):
    """Which of several alike outcomes was corrected depended on when the state was stored: two such states are equal.

    In states of this version it does not, and another response is another state.
    """
    policy = bandit.ThompsonSampling(catalogue)
    policy.update(draw_outcomes(catalogue, 100, np.random.default_rng(1)))
    state = policy.dumps()
    meta, arrays = unpack(state)
    values = arrays["main/sample/values"].copy()
    values[5, 1] = 1.0 - values[5, 1]
    otherwise = pack(meta, {**arrays, "main/sample/values": values})
    assert not close(state, otherwise)
    assert close(state, as_before_by_number(otherwise))
    assert close(as_before_by_number(otherwise), state)
    values[5, 2] += 1.0
    assert not close(state, as_before_by_number(pack(meta, {**arrays, "main/sample/values": values})))


def test_the_same_content_gives_the_same_bytes_and_comes_back():
    meta, arrays = {"kind": "x", "n": 3}, {"b": np.arange(4), "a": np.array(["é", "z"])}
    state = pack(meta, arrays)
    assert state == pack(dict(reversed(meta.items())), dict(reversed(arrays.items())))
    again, same = unpack(state)
    assert again == meta
    for name, array in arrays.items():
        np.testing.assert_array_equal(same[name], array)


def test_a_compressed_archive_and_one_of_objects_are_refused():
    for write, array in ((np.savez_compressed, np.zeros(9)), (np.savez, np.array([{}], dtype=object))):
        archive = io.BytesIO()
        write(archive, a=array)
        with pytest.raises(PolicyError, match="cannot be read"):
            unpack(archive.getvalue())


class SoftTimeout(Exception):  # noqa: N818 - what it stands for is no error
    """What the handler of a signal raises."""


def test_an_exception_of_a_signal_handler_is_not_taken_for_bytes_that_cannot_be_read(monkeypatch):
    """Learning reads each state back; an exception taken for an unreadable state would set outcomes aside for it."""
    state = pack({"version": 1}, {"a": np.zeros(2)})

    def interrupted(*_arguments, **_named):
        raise SoftTimeout

    monkeypatch.setattr("bandit.policies.state.np.frombuffer", interrupted)
    with pytest.raises(SoftTimeout):
        unpack(state)

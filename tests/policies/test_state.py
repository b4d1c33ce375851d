import io

import numpy as np
import pytest

import bandit
from bandit.errors import PolicyError
from bandit.policies import close
from bandit.policies.state import pack, unpack
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

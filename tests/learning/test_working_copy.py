"""Copies of a policy to learn on."""

import threading

import numpy as np
import pytest

import bandit
from bandit.learning.working_copy import working_copy
from tests.conftest import draw_outcomes


def in_use(lock):
    """Whether another thread would have to wait for a lock."""
    free = []
    thread = threading.Thread(target=lambda: free.append(lock.acquire(blocking=False) and not lock.release()))
    thread.start()
    thread.join()
    return not free[0]


@pytest.fixture
def lock():
    return threading.RLock()


def test_thompson_sampling_is_copied_with_its_state(catalogue, lock):
    """The copy learns on as the original would, to the last byte, and the original stays as it was."""
    policy = bandit.ThompsonSampling(catalogue)
    rng = np.random.default_rng(1)
    policy.update(draw_outcomes(catalogue, 20, rng))
    state, more = policy.dumps(), draw_outcomes(catalogue, 20, rng)
    with working_copy(catalogue, policy, lock) as found:
        assert found.in_state
        assert type(found.policy) is bandit.ThompsonSampling
        assert found.policy.dumps() == state
        assert not in_use(lock)
        found.policy.update(more)
        assert policy.dumps() == state
        policy.update(more)
        assert found.policy.dumps() == policy.dumps() != state


def test_a_policy_is_built_anew_from_its_specification(catalogue, lock):
    """Its state is still the first one: the caller loads another."""
    policy = bandit.VowpalWabbit(catalogue, warm_up=50)
    first = policy.dumps()
    policy.update(draw_outcomes(catalogue, 20, np.random.default_rng(1)))
    with working_copy(catalogue, policy, lock) as found:
        copy = found.policy
        assert type(copy) is bandit.VowpalWabbit
        assert not found.in_state
        assert (copy.spec(), copy.dumps()) == (policy.spec(), first)
        assert not in_use(lock)


class Own(bandit.Uniform):
    """A class that `build` does not know."""

    def spec(self):
        return {"kind": "own"}


def test_a_policy_of_another_class_is_copied_as_it_is(catalogue, lock):
    policy = Own(catalogue)
    with working_copy(catalogue, policy, lock) as found:
        copy = found.policy
        assert type(copy) is Own
        assert copy is not policy
        assert not in_use(lock)


class Single(Own):
    """A class whose objects cannot be copied."""

    def __deepcopy__(self, memory):
        raise TypeError("there is one of it")


def test_a_policy_that_cannot_be_copied_is_changed_in_place_while_decisions_wait(catalogue, lock):
    policy = Single(catalogue)
    with working_copy(catalogue, policy, lock) as found:
        same = found.policy
        assert same is policy
        assert in_use(lock)
    assert not in_use(lock)

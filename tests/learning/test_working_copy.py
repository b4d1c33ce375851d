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


def test_a_policy_is_built_anew_from_its_specification(catalogue, lock):
    """Its state is still the first one: the caller loads another."""
    policy = bandit.ThompsonSampling(catalogue, half_life="30d")
    first = policy.dumps()
    policy.update(draw_outcomes(catalogue, 20, np.random.default_rng(1)))
    with working_copy(catalogue, policy, lock) as copy:
        assert type(copy) is bandit.ThompsonSampling
        assert copy is not policy
        assert (copy.spec(), copy.dumps()) == (policy.spec(), first)
        assert not in_use(lock)


class Own(bandit.Uniform):
    """A class that `build` does not know."""

    def spec(self):
        return {"kind": "own"}


def test_a_policy_of_another_class_is_copied_as_it_is(catalogue, lock):
    policy = Own(catalogue)
    with working_copy(catalogue, policy, lock) as copy:
        assert type(copy) is Own
        assert copy is not policy
        assert not in_use(lock)


class Single(Own):
    """A class whose objects cannot be copied."""

    def __deepcopy__(self, memory):
        raise TypeError("there is one of it")


def test_a_policy_that_cannot_be_copied_is_changed_in_place_while_decisions_wait(catalogue, lock):
    policy = Single(catalogue)
    with working_copy(catalogue, policy, lock) as same:
        assert same is policy
        assert in_use(lock)
    assert not in_use(lock)

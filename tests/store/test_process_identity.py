"""Owners of leases: whether their process has ended, which is only said where it is certain."""

import os
import subprocess
import sys

import pytest

from bandit.engine import Engine
from bandit.policies.thompson import ThompsonSampling
from bandit.store import Lease, Store, learning_lease
from bandit.store.process_identity import has_ended, owner_name
from tests.engine.conftest import KEY

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

PROGRAM = """
import sys
from bandit.clock import now
from bandit.store import Lease, Store
from bandit.store.process_identity import owner_name

store = Store.open(sys.argv[1], customer_key=sys.argv[2].encode())
print(Lease(store.leases, sys.argv[3], owner_name("other"), now).take(), owner_name("other"), flush=True)
sys.stdin.read()
"""
HOUR = 3_600_000_000


def other_process(path, lease="learn/1"):
    """Start a process that takes a lease; returns it and the name of its owner."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", PROGRAM, str(path), KEY.decode(), lease],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    taken, owner = process.stdout.readline().split()
    assert taken == "True"
    return process, owner


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "offers.db", customer_key=KEY, durability="process") as opened:
        yield opened


def test_a_lease_of_a_killed_process_is_free_at_once_also_before_its_parent_has_waited_for_it(store):
    """The clock does not move, so the lease of 60 s cannot have expired; at first the dead process is a zombie."""
    process, owner = other_process(store.path)
    until = store.leases.get("learn/1").until
    assert not has_ended(owner)
    assert not store.leases.take("learn/1", owner_name("mine"), until - 1)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is left a zombie
    assert has_ended(owner)
    assert store.leases.is_free("learn/1", "mine", until - 1)
    process.communicate()
    assert has_ended(owner)
    assert store.leases.take("learn/1", owner_name("mine"), until - 1)
    assert not store.leases.take("learn/1", owner_name("third"), until - 1), "the new owner lives"


def test_a_process_that_has_the_id_of_one_that_ended_is_another():
    """The id is this process's and the start one tick later: the owner had the id before, or after, and has ended."""
    mine = owner_name("x")
    rest, _, start = mine.rpartition("/")
    assert not has_ended(mine)
    assert has_ended(f"{rest}/{int(start) + 1}")


@pytest.mark.parametrize("owner", ["", "x", "x@", "x@//1/1", "x@a/1/0/1", "x@a/1/1/1/1", "x@-/1/99999999999/1", "\0@"])
def test_nothing_is_concluded_from_a_name_without_an_identity(owner):
    assert not has_ended(owner)


def test_nothing_is_concluded_about_another_boot_or_another_pid_namespace():
    """Process 4194305 is above the largest id that Linux gives (2^22), so in this boot and namespace it has ended."""
    unique, _, identity = owner_name("x").partition("@")
    boot, namespace, _, start = identity.split("/")
    assert has_ended(f"{unique}@{boot}/{namespace}/4194305/{start}")
    assert not has_ended(f"{unique}@{boot}/{int(namespace) + 1}/4194305/{start}")
    assert not has_ended(f"{unique}@{boot[::-1]}/{namespace}/4194305/{start}")


def test_a_process_of_another_user_is_not_taken_for_ended(monkeypatch):
    """`kill` is not permitted, and the files of the process are hidden (a mount with hidepid): it may be running."""
    mine = owner_name("x")

    def refused(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)
    assert not has_ended(mine)
    monkeypatch.setattr("bandit.store.process_identity._start", lambda pid: None)
    assert not has_ended(mine)


def test_a_forked_child_has_an_identity_of_its_own():
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, owner_name("x").encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        owner = pipe.read()
    os.waitpid(child, 0)
    assert owner != owner_name("x")
    assert has_ended(owner)


def test_an_engine_learns_at_once_after_the_leader_was_killed(tmp_path, catalogue):
    """The leader has the lease and is killed; with no wait, the next `learn` of another engine learns 40 purchases."""
    context = {"gender": "f", "recency": 1.0, "loyal": True}
    path = tmp_path / "offers.db"
    with Engine.open(
        path, catalogue, ThompsonSampling(catalogue), seed=1, customer_key=KEY, durability="process"
    ) as engine:
        for row in range(40):
            engine.record(engine.decide(f"c{row}", context).decision_id, "purchase", revenue=2.0)
        process, _ = other_process(path, learning_lease(engine.policy_id))
        assert not engine.learn().learner
        process.kill()
        process.communicate()
        report = engine.learn()
        assert (report.n, report.learner) == (40, True)
        assert engine.store.leases.all() == ()


def test_an_erasure_takes_over_from_a_learner_that_was_killed(store):
    """What holds for the learner's lease holds for whoever takes it: erasure and retention ask in the same way."""
    process, _ = other_process(store.path)
    process.kill()
    process.communicate()
    until = store.leases.get("learn/1").until
    lease = Lease(store.leases, "learn/1", owner_name("removal-1"), lambda: until - 1)
    assert lease.take()
    lease.release()
    assert store.leases.get("learn/1") is None

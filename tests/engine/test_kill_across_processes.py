"""A kill across eight processes: how long each goes on serving by its policy, and what it decides afterwards.

Run by itself it prints the figures: python -m tests.engine.test_kill_across_processes
"""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

import bandit
from bandit.governance.verify import verify
from bandit.store import Store
from tests.conftest import SPRING
from tests.engine.conftest import ROOT

PROCESSES = 8
WITHIN = 1.0
"""Seconds in which a kill is to be in force everywhere."""

BEFORE, AFTER = 1.0, 2.0
"""Seconds of deciding before the kill and after it."""

# The monotonic clock is the system's, so that times of different processes can be compared.
WORKER = """
import json, sys, time
import bandit
from tests.conftest import SPRING
path, name = sys.argv[1:]
catalogue = bandit.Catalogue.from_dict(SPRING)
times, arms = [], []
with bandit.Engine.open(path, catalogue, bandit.ThompsonSampling(catalogue), durability="process") as engine:
    print("ready", flush=True)
    sys.stdin.readline()
    end, n = None, 0
    while end is None or time.monotonic() < end:
        decision = engine.decide(f"customer-{name}-{n}", {"gender": "f", "recency": 1.0, "loyal": True})
        times.append(time.monotonic())
        arms.append(decision.arm)
        n += 1
        if end is None and decision.arm == "fallback":
            end = time.monotonic() + float(sys.stdin.readline())
print(json.dumps({"times": times, "arms": arms}))
"""
KILLER = """
import sys
from bandit.cli import main
sys.exit(main(["kill", sys.argv[1], "--by", "the ninth", "--reason", "a test"]))
"""


@dataclass(frozen=True)
class Measured:
    """One process: seconds from the kill to its last decision by a policy, such decisions after the kill, and others.

    `late` counts decisions by the policy after the kill was written; `fallbacks` those of the fallback.
    """

    seconds: float
    late: int
    before: int
    fallbacks: int


def start(script, *arguments):
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def say(worker, line):
    worker.stdin.write(f"{line}\n")
    worker.stdin.flush()


def kill_across_processes(path, n=PROCESSES):
    """Let n processes decide as fast as they can, kill from another one, and return what each did after it."""
    with ExitStack() as stack:
        workers = [stack.enter_context(start(WORKER, path, number)) for number in range(n)]
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            say(worker, "go")
        time.sleep(BEFORE)
        with start(KILLER, path) as killer:
            killer.communicate()
        assert killer.returncode == 0
        for worker in workers:
            say(worker, AFTER)
        told = [json.loads(worker.stdout.read()) for worker in workers]
    with Store.open(path, read_only=True, unnamed_customers=True) as store:
        (row,) = [each for each in store.rollout_changes.all() if each.action == "kill"]
    # The row has the wall clock's time of the moment before it was committed.
    written = time.monotonic() - (time.time() - row.time / 1e6)
    return [measured(each["times"], each["arms"], written) for each in told]


def measured(times, arms, written):
    policy = [moment for moment, arm in zip(times, arms, strict=True) if arm != "fallback"]
    late = [moment for moment in policy if moment > written]
    seconds = max([moment - written for moment in late], default=0.0)
    return Measured(seconds, len(late), len(policy) - len(late), len(times) - len(policy))


@pytest.mark.slow
def test_a_kill_is_in_force_in_eight_processes_within_a_second(tmp_path, monkeypatch):
    """Every process decided by its policy before, none does a second after the kill was written, and all verifies."""
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    path = tmp_path / "offers.db"
    catalogue = bandit.Catalogue.from_dict(SPRING)
    bandit.Engine.open(path, catalogue, bandit.ThompsonSampling(catalogue)).close()
    found = kill_across_processes(path)
    assert len(found) == PROCESSES
    assert all(each.before > 0 and each.fallbacks > 0 for each in found)
    assert max(each.seconds for each in found) < WITHIN
    with Store.open(path, customer_key=b"a key for our tests") as store:
        report = verify(store)
    assert (report.problems, report.n_recomputed) == (
        (),
        sum(each.before + each.late + each.fallbacks for each in found),
    )


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "offers.db"
        catalogue = bandit.Catalogue.from_dict(SPRING)
        bandit.Engine.open(path, catalogue, bandit.ThompsonSampling(catalogue)).close()
        found = kill_across_processes(path)
    sys.stdout.write("process  by policy before  after the kill  last after, s  fallbacks\n")
    for number, each in enumerate(found):
        sys.stdout.write(f"{number:7}  {each.before:16,}  {each.late:14,}  {each.seconds:13.3f}  {each.fallbacks:9,}\n")


if __name__ == "__main__":
    main()

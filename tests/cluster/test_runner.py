"""A cluster changes nothing but time: the same sums bit by bit, also where workers are killed."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from bandit.cluster.opening import IN_PROCESS, LOCAL, default_cluster, open_runner
from bandit.domain import InProcessRunner
from bandit.errors import InputError, LogFileError
from tests.cluster import tasks
from tests.cluster.conftest import ROOT


def here(dataset, function, *arguments):
    return list(InProcessRunner().map(function, dataset.parts, None, *arguments))


@pytest.mark.slow
def test_a_local_cluster_gives_what_this_process_gives_and_ends(dataset):
    """Two processes, in the order of the parts; with progress; a part's error is raised once, as it was."""
    seen = []
    with open_runner("local:2", dataset) as runner:
        found = list(runner.map(tasks.reward_sum, dataset.parts, lambda *each: seen.append(each), 2.0))
        assert found == here(dataset, tasks.reward_sum, 2.0)
        assert (seen[0], seen[-1]) == ((0, 121), (121, 121))
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        pids = set(runner.map(tasks.process, dataset.parts, None))
        assert pids
        assert os.getpid() not in pids
        with pytest.raises(LogFileError, match="is full of holes") as caught:
            list(runner.map(tasks.fails, dataset.parts, None))
        assert not any("distributed" in entry.filename for entry in frames(caught.value))
        assert list(runner.map(tasks.reward_sum, (), None)) == []
    wait_until(lambda: not any(map(is_running, pids)))


def frames(fault):
    trace = fault.__traceback__
    while trace is not None:
        yield type("Frame", (), {"filename": trace.tb_frame.f_code.co_filename})
        trace = trace.tb_next


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(is_so, seconds=60):
    for _ in range(seconds * 10):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come")


@pytest.mark.slow
def test_a_killed_worker_of_a_local_cluster_changes_nothing(dataset, tmp_path):
    with open_runner("local:2", dataset) as runner:
        assert list(runner.map(tasks.kills_once, dataset.parts, None, str(tmp_path))) == here(dataset, tasks.reward_sum)
        assert (tmp_path / "killed").exists()
        with pytest.raises(InputError, match=r"partition \d has ended \d workers of the cluster local:2 one after the"):
            list(runner.map(tasks.kills, dataset.parts[:1], None))


@pytest.mark.slow
def test_a_worker_killed_by_kill_9_in_the_middle_changes_nothing_but_time(dataset, processes):
    """Real `dask scheduler` and `dask worker` processes: one of two workers is killed while it computes."""
    first, _ = processes.add_worker(), processes.add_worker()
    with open_runner(processes.address, dataset) as runner:
        threading.Timer(1.5, lambda: os.kill(first.pid, signal.SIGKILL)).start()
        found = list(runner.map(tasks.slow_sum, dataset.parts, None, 1.0))
    first.wait(timeout=30)
    assert first.returncode == -signal.SIGKILL
    assert [value for value, _ in found] == here(dataset, tasks.reward_sum)
    assert len({pid for _, pid in found}) <= 2


@pytest.mark.slow
def test_ctrl_c_ends_a_local_cluster_without_leaving_processes(dataset):
    """The terminal sends SIGINT to all processes of the command; nothing but the command itself hears it."""
    command = [sys.executable, "-m", "tests.cluster.interrupted", dataset.address]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as started:
        workers = list(map(int, started.stdout.readline().split()))
        assert workers
        time.sleep(1.0)
        os.killpg(started.pid, signal.SIGINT)
        errors = started.stderr.read().decode()
        assert started.wait(timeout=60) == 130
    assert errors == ""
    wait_until(lambda: not any(map(is_running, workers)))


@pytest.mark.slow
def test_what_a_scheduler_lacks_is_said_in_a_sentence(dataset, processes, monkeypatch):
    """No worker; a worker of another version; a folder that a worker does not see; a scheduler that goes away."""
    module = "bandit.cluster.opening"
    monkeypatch.setattr(f"{module}._WAIT", 3)
    with pytest.raises(InputError, match="the scheduler has no workers; start some with `dask worker"):
        _open(processes.address, dataset)
    processes.add_worker()
    monkeypatch.setattr(f"{module}._WAIT", 60)
    mine = {"offer-bandit": "9.9.9", "python": "3.11"}
    with monkeypatch.context() as patch:
        patch.setattr(f"{module}.versions", _Versions(mine))
        with pytest.raises(InputError, match=r"has offer-bandit .* and this process has 9\.9\.9; install the same on"):
            _open(processes.address, dataset)
    with monkeypatch.context() as patch:
        patch.setattr(f"{module}.MANIFEST_NAME", "elsewhere.json")
        with pytest.raises(InputError, match=r"cannot read it .it is not there.; the dataset is in a local folder of"):
            _open(processes.address, dataset)
    with open_runner(processes.address, dataset) as runner:
        threading.Timer(1.0, processes.running[0].kill).start()
        with pytest.raises(InputError, match="has gone away while it was computing"):
            list(runner.map(tasks.slow_sum, dataset.parts, None, 5.0))


def _open(address, dataset):
    with open_runner(address, dataset):
        pass


class _Versions:
    """What the client believes to be its versions; a worker still says its own."""

    def __init__(self, mine):
        self.mine = mine

    def __call__(self):
        return self.mine

    def __reduce__(self):
        from bandit.cluster.worker import versions  # noqa: PLC0415

        return getattr, (__import__("bandit.cluster.worker", fromlist=["versions"]), versions.__name__)


@pytest.mark.parametrize(
    ("cluster", "says"),
    [
        ("here", 'there is no cluster "here"; give off, local, local:N'),
        ("local:0", "a local cluster has 1 to 512 processes; seen 0"),
        ("tcp://127.0.0.1:1", "no Dask scheduler answers there; start one with `dask scheduler`"),
    ],
)
def test_a_cluster_that_is_none_is_said_in_a_sentence(dataset, cluster, says, monkeypatch):
    monkeypatch.setattr("bandit.cluster.opening._WAIT", 1)
    with pytest.raises(InputError, match=says):
        _open(cluster, dataset)


def test_small_datasets_are_read_in_this_process(dataset, monkeypatch):
    """A process for each processor from a million decisions on, if there are several of either."""
    assert default_cluster(dataset) == IN_PROCESS
    monkeypatch.setattr("bandit.cluster.opening.WORTHWHILE_ROWS", 100)
    monkeypatch.setattr("bandit.cluster.opening.n_processors", lambda: 2)
    assert default_cluster(dataset) == LOCAL
    monkeypatch.setattr("bandit.cluster.opening.n_processors", lambda: 1)
    assert default_cluster(dataset) == IN_PROCESS
    with open_runner(IN_PROCESS, dataset) as runner:
        assert isinstance(runner, InProcessRunner)

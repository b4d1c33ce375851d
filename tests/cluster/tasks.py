"""What the tests compute on the parts of a dataset; the workers load this module."""

import os
import signal
import time
from pathlib import Path


def reward_sum(part, factor=1.0):
    """The sum of the rewards of a part, in the order of its rows."""
    return sum(float(batch.reward.sum()) for batch in part.open().batches()) * factor


def slow_sum(part, seconds):
    """The same after some time, so that a worker can be killed meanwhile."""
    time.sleep(seconds)
    return reward_sum(part), os.getpid()


def fails(part):
    """Raise an error of our own."""
    from bandit.errors import LogFileError  # noqa: PLC0415

    raise LogFileError(f"partition {part.partition} is full of holes")


def kills_once(part, folder):
    """Kill the own worker where nobody has done so before, else return the sum."""
    mark = Path(folder) / "killed"
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return reward_sum(part)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def kills(part):
    """Kill the own worker every time."""
    os.kill(os.getpid(), signal.SIGKILL)


def process(part):
    """The process that computes a part."""
    return os.getpid()

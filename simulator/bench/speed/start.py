"""Processor time of starting the command line, beside that of `sqlite-utils`.

Both programs take turns in one run, so that a busy machine slows both alike. The time is that of the processor, user
and system together, of the whole process: the interpreter, its imports, and printing the version or the help.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bandit.errors import InputError

START_ROUNDS = 15

_OFFER_BANDIT = (sys.executable, "-c", "import sys; from bandit.cli import main; sys.exit(main())")
_SQLITE_UTILS = (sys.executable, "-c", "import sys; from sqlite_utils.cli import cli; sys.exit(cli())")

START_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "sqlite-utils --version": (*_SQLITE_UTILS, "--version"),
    "offer-bandit --version": (*_OFFER_BANDIT, "--version"),
    "offer-bandit --help": (*_OFFER_BANDIT, "--help"),
    "offer-bandit evaluate --help": (*_OFFER_BANDIT, "evaluate", "--help"),
    "offer-bandit doctor": (*_OFFER_BANDIT, "doctor"),
}
"""What is timed; the first is what the others are compared with."""


@dataclass(frozen=True, slots=True)
class StartTiming:
    """Processor time of one command in milliseconds; `ratio` is its median over that of the first command."""

    command: str
    rounds: int
    median: float
    least: float
    ratio: float

    def to_dict(self) -> dict[str, str | int | float]:
        """Return plain JSON values."""
        return asdict(self)


def measure(
    rounds: int = START_ROUNDS, commands: Mapping[str, Sequence[str]] = START_COMMANDS
) -> tuple[StartTiming, ...]:
    """Time each command `rounds` times, after one round that fills the caches of files and bytecode.

    InputError for a number of rounds below 1 and for a command that fails.
    """
    if rounds < 1:
        raise InputError(f"rounds is {rounds}; it must be a whole number of at least 1")
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            milliseconds = _processor_time(name, command)
            if number:
                taken[name].append(milliseconds)
    medians = {name: statistics.median(each) for name, each in taken.items()}
    base = next(iter(medians.values()))
    return tuple(
        StartTiming(name, rounds, medians[name], min(each), medians[name] / base) for name, each in taken.items()
    )


def _processor_time(name: str, command: Sequence[str]) -> float:
    """Return the user and system time of one run in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise InputError(f"{name} ended with exit code {done.returncode}; run it by itself to see why")
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def markdown(timings: Sequence[StartTiming]) -> str:
    """Return the timings as a Markdown table."""
    first = timings[0].command
    lines = [f"| command | median, ms | least, ms | {first} = 1 |", "|---|---:|---:|---:|"]
    lines += [f"| {each.command} | {each.median:.0f} | {each.least:.0f} | {each.ratio:.2f} |" for each in timings]
    return "\n".join(lines) + f"\n\nProcessor time; {timings[0].rounds} rounds in which all commands take turns.\n"

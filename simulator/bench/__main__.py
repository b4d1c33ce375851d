"""`python -m simulator.bench`: one benchmark, by the name of its command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console

from bandit.errors import OfferBanditError
from simulator.bench.commands import BENCH_COMMANDS
from simulator.bench.options import bench_parser
from simulator.programs.single_thread import run_single_threaded


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the benchmarks; return 1 where it found a fault, 2 for invalid input."""
    given = bench_parser().parse_args(arguments)
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 160)
    try:
        return BENCH_COMMANDS[given.command or "earned"](given, console)
    except OfferBanditError as fault:
        sys.stderr.write(f"{fault}\n")
        return 2


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.bench", main))

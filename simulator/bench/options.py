"""Options of the benchmarks' commands."""

from __future__ import annotations

import argparse
from pathlib import Path

from simulator.bench.durability.disturbed.settings import DISTURBANCES
from simulator.bench.earnings import settings
from simulator.bench.scale import customers, day
from simulator.bench.speed import obp_speed, opening, processes, rows, speed, start
from simulator.scenarios import SCENARIOS

BENCH_FOLDER = Path("bench")
SMALL_SCENARIOS = ("tiny",)
"""Scenarios for examples and tests, which the comparison of earnings leaves out."""


def bench_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m simulator.bench`; without a command the options are those of `earned`."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator.bench",
        description="Benchmarks on simulated customers: earnings and speed beside other libraries, durability.",
    )
    _earned_options(parser)
    names = (
        "earned | methods | speed | settings | ope | many | arrivals | crash | soak | power | customer | large | "
        "opening | customers | day | start | rows | service"
    )
    commands = parser.add_subparsers(dest="command", metavar=f"[{names}]")
    _earned_options(commands.add_parser("earned", help="earnings of the engine and of other libraries (the default)"))
    _methods_options(commands)
    _speed_options(commands)
    _settings_options(commands)
    _many_options(commands)
    _arrivals_options(commands)
    crash = commands.add_parser("crash", help="kill processes while they work, and check what their databases lost")
    crash.add_argument("--kills", type=int, default=500, help="number of kills (default: %(default)s)")
    crash.add_argument("--only", "--activities", type=_names, default=None, help="names, with commas (default: all)")
    _common_options(crash, "seed of the moments of the kills")
    _soak_options(commands)
    power = commands.add_parser("power", help="cut the power at moments of a recording, and check what is left")
    power.add_argument("--cuts", type=int, default=720, help="number of power cuts (default: %(default)s)")
    power.add_argument("--only", type=_names, default=None, help="activities, with commas (default: all)")
    _common_options(power, "seed of the moments and of what is lost")
    customer = commands.add_parser("customer", help="one customer with very many decisions: what each step costs")
    customer.add_argument("--decisions", type=int, default=100_000, help="of the customer (default: %(default)s)")
    _common_options(customer, "seed of the facts")
    large = commands.add_parser("large", help="a file of many gigabytes: what each task costs on it")
    large.add_argument(
        "--gib", type=float, default=10.0, help="size; twice as much room is needed (default: %(default)s)"
    )
    large.add_argument("--folder", type=Path, default=None, help="where a temporary folder is made (default: system's)")
    _common_options(large, "seed of the facts")
    ope = commands.add_parser("ope", help="seconds and memory of evaluation beside Open Bandit Pipeline")
    ope.add_argument("--rows", type=_numbers, default=obp_speed.EVALUATION_SIZES, help="log sizes, with commas")
    ope.add_argument("--rounds", type=int, default=5, help="runs of each side at each size (default: %(default)s)")
    _common_options(ope, "seed of the log")
    _service_options(commands)
    first = commands.add_parser("opening", help="milliseconds until an engine has decided, by the size of the log")
    first.add_argument("--decisions", type=_numbers, default=opening.LOG_SIZES, help="log sizes, with commas")
    first.add_argument("--rounds", type=int, default=opening.ROUNDS_A_SIZE, help="at each size (default: %(default)s)")
    _common_options(first, "seed of the log")
    _rows_options(commands)
    many = commands.add_parser("customers", help="one file of very many customers with history: time and memory")
    many.add_argument("--customers", type=_numbers, default=customers.CUSTOMER_SIZES, help="numbers, with commas")
    many.add_argument("--folder", type=Path, default=None, help="where a temporary folder is made (default: system's)")
    _common_options(many, "seed of histories and contexts")
    one_day = commands.add_parser(
        "day", help="an audience decided in one job that is killed, resumed, and learned once"
    )
    one_day.add_argument("--decisions", type=int, default=day.DAY_DECISIONS, help="of the day (default: %(default)s)")
    one_day.add_argument("--folder", type=Path, default=None, help="where a temporary folder is made")
    _common_options(one_day, "seed of contexts and purchases")
    begun = commands.add_parser("start", help="milliseconds of starting the command line, beside sqlite-utils")
    begun.add_argument("--rounds", type=int, default=start.START_ROUNDS, help="of all commands (default: %(default)s)")
    begun.add_argument("--out", type=Path, default=BENCH_FOLDER, help="folder of the results (default: %(default)s)")
    return parser


def _common_options(parser: argparse.ArgumentParser, seed: str, default: int = 1) -> None:
    parser.add_argument("--seed", type=int, default=default, help=f"{seed} (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=BENCH_FOLDER, help="folder of the results (default: %(default)s)")


def _earned_options(parser: argparse.ArgumentParser) -> None:
    wanted = [name for name in SCENARIOS if name not in SMALL_SCENARIOS]
    parser.add_argument("--scenarios", type=_names, default=wanted, help="names, with commas (default: all but tiny)")
    parser.add_argument("--only", type=_names, default=None, help="contestants, with commas (default: all installed)")
    parser.add_argument(
        "--versions",
        type=_names,
        default=[],
        help="commits of other versions of the engine that take part, with commas (default: none)",
    )
    parser.add_argument("--seeds", type=int, default=5, help="draws of each scenario (default: %(default)s)")
    _size_options(parser)
    parser.add_argument("--again", action="store_true", help="repeat what has a result already")
    _common_options(parser, "the seed of all draws")


def _methods_options(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("methods", help="what each method of learning gives, paired on the same customers")
    wanted = [name for name in SCENARIOS if name not in SMALL_SCENARIOS]
    parser.add_argument("--scenarios", type=_names, default=wanted, help="names, with commas (default: all but tiny)")
    parser.add_argument(
        "--arm",
        action="append",
        default=[],
        help="""settings of Thompson sampling under a name, such as 'low={"floor": 0.002}', compared with the first;
        may be repeated (default: no method, all, each alone and each left out)""",
    )
    parser.add_argument("--seeds", type=int, default=8, help="draws of each scenario (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=2, help="runs in each draw (default: %(default)s)")
    _size_options(parser)
    _common_options(parser, "the seed of all draws", default=101)


def _size_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--customers", type=int, default=None, help="(default: what the scenario recommends)")
    parser.add_argument("--visits", type=int, default=None, help="(default: what the scenario recommends)")
    parser.add_argument("--processes", type=int, choices=(1, 2), default=1, help="in parallel (default: %(default)s)")


def _speed_options(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("speed", help="microseconds of the engine as multiples of Vowpal Wabbit's")
    parser.add_argument("--offers", type=_numbers, default=speed.OFFER_COUNTS, help="numbers of offers, with commas")
    parser.add_argument("--facts", type=_numbers, default=speed.FACT_COUNTS, help="numbers of facts, with commas")
    parser.add_argument("--seconds", type=float, default=8.0, help="of timing at each size (default: %(default)s)")
    _common_options(parser, "seed of the contexts")


def _settings_options(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("settings", help="regret of Thompson sampling by draws, floor and width")
    scenarios = list(settings.SETTINGS_SCENARIOS)
    parser.add_argument("--scenarios", type=_names, default=scenarios, help="names, with commas")
    parser.add_argument("--seeds", type=int, default=5, help="draws of each scenario (default: %(default)s)")
    parser.add_argument("--visits", type=int, default=None, help="(default: what the scenario recommends)")
    _common_options(parser, "the seed of all draws", default=2)


def _many_options(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("many", help="many processes on one database, beside plain sqlite3")
    parser.add_argument("--processes", type=int, default=8, help="number of processes (default: %(default)s)")
    parser.add_argument("--decisions", type=int, default=10_000, help="of each process (default: %(default)s)")
    durabilities = processes.TIMED_DURABILITIES
    parser.add_argument("--durability", choices=durabilities, default=None, help="process or full (default: both)")
    parser.add_argument(
        "--learn-every", type=int, default=0, help="decisions after which a process learns (default: never)"
    )
    _common_options(parser, "seed of the contexts")


def _soak_options(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    soak = commands.add_parser(
        "soak",
        help="millions of decisions on one engine, or with --minutes several processes and everything that can happen",
        description="Without --minutes: millions of decisions on one engine (memory, latency, covariance). With it: "
        "several processes decide, record and learn on one database while they are killed, interrupted, stopped and "
        "forked, the database is locked, full, moved and replaced, clocks step, and customers are erased; everything "
        "that was acknowledged must be there at the end, once. Example: soak --minutes 120 --rate 60",
    )
    soak.add_argument("--decisions", type=int, default=2_000_000, help="number of decisions (default: %(default)s)")
    soak.add_argument("--every", type=int, default=50_000, help="decisions for each row (default: %(default)s)")
    soak.add_argument("--minutes", type=float, default=None, help="of the soak with everything at once")
    soak.add_argument("--rate", type=float, default=100.0, help="decisions a second of all (default: %(default)s)")
    soak.add_argument("--processes", type=int, default=3, help="that decide (default: %(default)s)")
    soak.add_argument("--durability", choices=("process", "full"), default="process", help="(default: %(default)s)")
    soak.add_argument(
        "--activities", type=_names, default=list(DISTURBANCES), help=f"{', '.join(DISTURBANCES)} (default: all)"
    )
    soak.add_argument("--folder", type=Path, default=None, help="a new folder to work in, kept (default: temporary)")
    _common_options(soak, "seed of customers, decisions and moments")


def _arrivals_options(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("arrivals", help="many processes decide, one learns: waits at half of the full rate")
    parser.add_argument("--processes", type=int, default=8, help="number of processes (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each of the two parts (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="of each version (default: %(default)s)")
    durabilities = processes.TIMED_DURABILITIES
    parser.add_argument("--durability", choices=durabilities, default="process", help="(default: %(default)s)")
    parser.add_argument(
        "--before", type=Path, default=None, help="tree of another version, measured in turns with this one"
    )
    _common_options(parser, "seed of contexts and arrivals")


def _rows_options(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("rows", help="processor time and memory of evaluating a long log in a Parquet file")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the log (default: %(default)s)")
    parser.add_argument("--customers", type=int, default=None, help="(default: one for 20 rows)")
    parser.add_argument("--offers", type=_numbers, default=(12,), help="12, 48 or 144, with commas (default: 12)")
    parser.add_argument(
        "--estimators", type=_names, default=list(rows.ROWS_ESTIMATORS), help="names, with commas (default: seven)"
    )
    parser.add_argument("--before", type=Path, default=None, help="tree of another version, which is measured, too")
    parser.add_argument("--again", action="store_true", help="measure what was measured before")
    _common_options(parser, "seed of the log")


def _service_options(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("service", help="the HTTP service beside the bare library and an empty route")
    parser.add_argument("--clients", type=int, default=8, help="processes that ask (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each part (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the service (default: %(default)s)")
    parser.add_argument("--learn-every", default="10s", help="how often the service learns (default: %(default)s)")
    parser.add_argument("--kill", action="store_true", help="kill workers meanwhile, and check what is in the database")
    _common_options(parser, "seed of customers, facts and kills")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _names(text))

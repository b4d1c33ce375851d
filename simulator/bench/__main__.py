"""`python -m simulator.bench`: what engine and peers earn, how fast they are, and what an engine survives.

`python -m simulator.bench ope` is evaluation beside Open Bandit Pipeline.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bandit.errors import InputError, MissingExtraError, OfferBanditError
from simulator.bench.durability import crash, soak, soak_rows
from simulator.bench.earnings import settings
from simulator.bench.earnings.contestants import named
from simulator.bench.earnings.tournament import EARNED_PICTURE, EARNED_TABLE, Tournament
from simulator.bench.earnings.world import WorldSpec
from simulator.bench.speed import obp_speed, opening, processes, speed
from simulator.scenarios import SCENARIOS
from simulator.single_thread import run_single_threaded

BENCH_FOLDER = Path("bench")
LEFT_OUT_SCENARIOS = ("tiny",)
"""Scenarios that are for examples and tests."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the benchmarks; 2 for bad input."""
    given = _parser().parse_args(arguments)
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 160)
    try:
        if given.command == "settings":
            return _settings(given, console)
        if given.command in {"many", "crash", "soak", "ope", "opening"}:
            does = {"many": _many, "crash": _crash, "soak": _soak, "ope": _evaluation, "opening": _opening}
            return does[given.command](given, console)
        return _speed(given, console) if given.command == "speed" else _earned(given, console)
    except OfferBanditError as fault:
        sys.stderr.write(f"{fault}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator.bench", description="Compare the engine with other libraries on simulated customers."
    )
    _earned_options(parser)
    known = "earned | speed | settings | ope | many | crash | soak | opening"
    commands = parser.add_subparsers(dest="command", metavar=f"[{known}]")
    _earned_options(commands.add_parser("earned", help="what engine and peers earn (the default)"))
    quick = commands.add_parser("speed", help="microseconds of the engine and of Vowpal Wabbit, as ratios")
    quick.add_argument("--offers", type=_numbers, default=speed.OFFERS, help="numbers of offers, with commas")
    quick.add_argument("--facts", type=_numbers, default=speed.FACTS, help="numbers of facts, with commas")
    quick.add_argument("--seconds", type=float, default=8.0, help="of timing at each size (default: %(default)s)")
    quick.add_argument("--seed", type=int, default=1, help="seed of the contexts (default: %(default)s)")
    quick.add_argument("--out", type=Path, default=BENCH_FOLDER, help="folder of the results (default: %(default)s)")
    tried = commands.add_parser("settings", help="what draws, floor and width of Thompson sampling cost, by scenario")
    tried.add_argument("--scenarios", type=_names, default=list(settings.SCENARIOS), help="names, with commas")
    tried.add_argument("--seeds", type=int, default=5, help="draws of each scenario (default: %(default)s)")
    tried.add_argument("--seed", type=int, default=2, help="the seed of all draws (default: %(default)s)")
    tried.add_argument("--visits", type=int, default=None, help="(default: what the scenario recommends)")
    tried.add_argument("--out", type=Path, default=BENCH_FOLDER, help="folder of the results (default: %(default)s)")
    crowd = commands.add_parser("many", help="many processes on one file, beside plain sqlite3")
    crowd.add_argument("--processes", type=int, default=8, help="(default: %(default)s)")
    crowd.add_argument("--decisions", type=int, default=10_000, help="of each process (default: %(default)s)")
    crowd.add_argument(
        "--durability",
        choices=processes.DURABILITIES,
        default=None,
        help="process or full (default: one after the other)",
    )
    crowd.add_argument(
        "--learn-every", type=int, default=0, help="decisions after which a process learns (default: never)"
    )
    crowd.add_argument("--seed", type=int, default=1, help="seed of the contexts (default: %(default)s)")
    crowd.add_argument("--out", type=Path, default=BENCH_FOLDER, help="folder of the results (default: %(default)s)")
    killed = commands.add_parser("crash", help="kill processes at their work, and look for what was lost")
    killed.add_argument("--kills", type=int, default=500, help="(default: %(default)s)")
    killed.add_argument("--only", type=_names, default=None, help="activities, with commas (default: all)")
    killed.add_argument("--seed", type=int, default=1, help="seed of the moments (default: %(default)s)")
    killed.add_argument("--out", type=Path, default=BENCH_FOLDER, help="folder of the results (default: %(default)s)")
    long = commands.add_parser("soak", help="millions of decisions on one engine: memory, latency, the belief")
    long.add_argument("--decisions", type=int, default=2_000_000, help="(default: %(default)s)")
    long.add_argument("--every", type=int, default=50_000, help="decisions a row (default: %(default)s)")
    long.add_argument("--seed", type=int, default=1, help="seed of customers and decisions (default: %(default)s)")
    long.add_argument("--out", type=Path, default=BENCH_FOLDER, help="folder of the results (default: %(default)s)")
    judged = commands.add_parser("ope", help="evaluation beside Open Bandit Pipeline, in seconds and memory")
    judged.add_argument("--rows", type=_numbers, default=obp_speed.ROWS, help="sizes of the log, with commas")
    judged.add_argument("--rounds", type=int, default=5, help="of each side at each size (default: %(default)s)")
    judged.add_argument("--seed", type=int, default=1, help="seed of the log (default: %(default)s)")
    judged.add_argument("--out", type=Path, default=BENCH_FOLDER, help="folder of the results (default: %(default)s)")
    first = commands.add_parser("opening", help="milliseconds until an engine has decided, by the size of the log")
    first.add_argument("--decisions", type=_numbers, default=opening.LOG_SIZES, help="sizes of the log, with commas")
    first.add_argument("--rounds", type=int, default=opening.ROUNDS_A_SIZE, help="at each size (default: %(default)s)")
    first.add_argument("--seed", type=int, default=1, help="seed of the log (default: %(default)s)")
    first.add_argument("--out", type=Path, default=BENCH_FOLDER, help="folder of the results (default: %(default)s)")
    return parser


def _earned_options(parser: argparse.ArgumentParser) -> None:
    wanted = [name for name in SCENARIOS if name not in LEFT_OUT_SCENARIOS]
    parser.add_argument("--scenarios", type=_names, default=wanted, help="names, with commas (default: all but tiny)")
    parser.add_argument("--only", type=_names, default=None, help="contestants, with commas (default: all there are)")
    parser.add_argument("--seeds", type=int, default=5, help="draws of each scenario (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of all draws (default: %(default)s)")
    parser.add_argument("--customers", type=int, default=None, help="(default: what the scenario recommends)")
    parser.add_argument("--visits", type=int, default=None, help="(default: what the scenario recommends)")
    parser.add_argument("--processes", type=int, choices=(1, 2), default=1, help="at a time (default: %(default)s)")
    parser.add_argument("--again", action="store_true", help="play again what has a result already")
    parser.add_argument("--out", type=Path, default=BENCH_FOLDER, help="folder of the results (default: %(default)s)")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _names(text))


def _earned(given: argparse.Namespace, console: Console) -> int:
    contestants, absent = named(given.only)
    for name, why in absent.items():
        console.print(f"{name} does not play: {why}")
    specs = tuple(
        WorldSpec.of(name, given.seed, number, given.customers, given.visits)
        for name in given.scenarios
        for number in range(given.seeds)
    )
    tournament = Tournament(specs, contestants, absent, given.out, given.processes, given.again)
    tournament.run(console)
    console.print((given.out / EARNED_TABLE).read_text(encoding="utf-8"), soft_wrap=True, markup=False)
    console.print(f"in {given.out / EARNED_TABLE}, drawn in {given.out / EARNED_PICTURE}")
    return 0


def _settings(given: argparse.Namespace, console: Console) -> int:
    begun = time.perf_counter()
    given.out.mkdir(parents=True, exist_ok=True)
    specs = [
        [WorldSpec.of(name, given.seed, number, visits=given.visits) for number in range(given.seeds)]
        for name in given.scenarios
    ]
    found = settings.measure(specs, console)
    (given.out / "settings.md").write_text(settings.markdown(found), encoding="utf-8")
    (given.out / "settings.json").write_text(settings.as_json(found), encoding="utf-8")
    console.print(settings.markdown(found), soft_wrap=True, markup=False)
    console.print(f"took {(time.perf_counter() - begun) / 60:.1f} minutes; in {given.out / 'settings.md'}")
    return 0


def _many(given: argparse.Namespace, console: Console) -> int:
    begun = time.perf_counter()
    given.out.mkdir(parents=True, exist_ok=True)
    chosen = processes.DURABILITIES if given.durability is None else (given.durability,)
    found = processes.run(given.processes, given.decisions, chosen, given.learn_every, given.seed, console)
    text = processes.markdown(found)
    (given.out / "many.md").write_text(f"# Many at once: {given.processes} processes\n\n{text}", encoding="utf-8")
    numbers = json.dumps([line.to_dict() for each in found for line in each.lines], indent=2)
    (given.out / "many.json").write_text(numbers + "\n", encoding="utf-8")
    console.print(text, soft_wrap=True, markup=False)
    console.print(f"took {(time.perf_counter() - begun) / 60:.1f} minutes; in {given.out / 'many.md'}")
    return 1 if any(each.problems for each in found) else 0


def _crash(given: argparse.Namespace, console: Console) -> int:
    begun = time.perf_counter()
    given.out.mkdir(parents=True, exist_ok=True)
    found = crash.run(given.kills, given.only, given.seed, console)
    text = crash.markdown(found)
    (given.out / "crash.md").write_text(f"# Killed at work: {given.kills} times\n\n{text}", encoding="utf-8")
    numbers = json.dumps([each.to_dict() for each in found], indent=2)
    (given.out / "crash.json").write_text(numbers + "\n", encoding="utf-8")
    console.print(text, soft_wrap=True, markup=False)
    console.print(f"took {(time.perf_counter() - begun) / 60:.1f} minutes; in {given.out / 'crash.md'}")
    return 1 if any(each.problems for each in found) else 0


def _soak(given: argparse.Namespace, console: Console) -> int:
    given.out.mkdir(parents=True, exist_ok=True)
    rows: list[soak_rows.SoakRow] = []

    def report(row: soak_rows.SoakRow) -> None:
        rows.append(row)
        console.print(soak_rows.line(row), soft_wrap=True, markup=False)
        numbers = json.dumps([each.to_dict() for each in rows], indent=2)
        (given.out / "soak.json").write_text(numbers + "\n", encoding="utf-8")
        (given.out / "soak.md").write_text(f"# A long life\n\n{soak_rows.markdown(rows)}", encoding="utf-8")

    console.print(soak_rows.HEAD, soft_wrap=True, markup=False)
    with tempfile.TemporaryDirectory() as folder:
        soak.Soak(Path(folder), given.seed).run(given.decisions, given.every, report)
    found = soak_rows.problems(rows)
    console.print("; ".join(found) or "no fault, and every covariance stayed one")
    try:
        soak_rows.draw(rows, given.out / "soak.png")
    except MissingExtraError as fault:
        console.print(str(fault))
    return 1 if found else 0


def _speed(given: argparse.Namespace, console: Console) -> int:
    begun = time.perf_counter()
    given.out.mkdir(parents=True, exist_ok=True)
    timings: list[speed.Timing] = []
    failed: list[str] = []
    for size in speed.sizes(given.offers, given.facts):
        try:
            fresh = speed.measure_apart(size, given.seconds, given.seed)
        except InputError as fault:
            failed.append(str(fault))
            console.print(str(fault))
            continue
        timings += fresh
        console.print(speed.table(fresh))
        numbers = json.dumps([each.to_dict() for each in timings], indent=2)
        (given.out / "speed.json").write_text(numbers + "\n", encoding="utf-8")
        (given.out / "speed.md").write_text("# How fast\n\n" + speed.markdown(timings), encoding="utf-8")
    with (given.out / "speed.md").open("a", encoding="utf-8") as file:
        file.writelines(f"\n- {line}\n" for line in failed)
    console.print(f"took {(time.perf_counter() - begun) / 60:.1f} minutes; in {given.out / 'speed.md'}")
    return 0


def _evaluation(given: argparse.Namespace, console: Console) -> int:
    given.out.mkdir(parents=True, exist_ok=True)
    timings: list[obp_speed.Timing] = []
    for rows in given.rows:
        fresh = obp_speed.measure(rows, given.rounds, given.seed)
        console.print(obp_speed.table(fresh))
        timings += fresh
        numbers = json.dumps([each.to_dict() for each in timings], indent=2)
        (given.out / "ope.json").write_text(numbers + "\n", encoding="utf-8")
        (given.out / "ope.md").write_text(
            "# Evaluation beside Open Bandit Pipeline\n\n" + obp_speed.markdown(timings), encoding="utf-8"
        )
    console.print(f"in {given.out / 'ope.md'}")
    return 0


def _opening(given: argparse.Namespace, console: Console) -> int:
    given.out.mkdir(parents=True, exist_ok=True)
    timings = opening.measure(
        given.decisions,
        given.rounds,
        given.seed,
        built=lambda size, seconds: console.print(f"{size:,} decisions are in the log, after {seconds:.0f} s"),
    )
    text = opening.markdown(timings)
    (given.out / "opening.md").write_text(f"# Opening an engine\n\n{text}", encoding="utf-8")
    numbers = json.dumps([each.to_dict() for each in timings], indent=2)
    (given.out / "opening.json").write_text(numbers + "\n", encoding="utf-8")
    console.print(text, soft_wrap=True, markup=False)
    console.print(f"in {given.out / 'opening.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.bench", main))

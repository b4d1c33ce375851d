"""The commands of `python -m simulator.bench`: each runs one benchmark, prints its results and writes them to files."""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from rich.console import Console

from bandit.errors import InputError, MissingExtraError
from simulator.bench.durability import crash, soak, soak_rows
from simulator.bench.durability.disturbed import report as disturbed_report
from simulator.bench.durability.disturbed import supervisor
from simulator.bench.durability.disturbed.settings import soak_settings
from simulator.bench.durability.large import large_file, one_customer
from simulator.bench.durability.large.measured import LargeStep, step_line, steps_markdown
from simulator.bench.durability.power import run as power
from simulator.bench.earnings import ablation, ablation_table, settings
from simulator.bench.earnings.contestants import contestant_of, named
from simulator.bench.earnings.tournament import EARNED_PICTURE, EARNED_TABLE, Tournament, mapped
from simulator.bench.earnings.versions import prepare
from simulator.bench.earnings.world import WorldSpec
from simulator.bench.scale import customers, day
from simulator.bench.speed import arrivals, obp_speed, opening, processes, rows, rows_log, speed, start


class _Plain(Protocol):
    def to_dict(self) -> Mapping[str, object]: ...


def earned(given: argparse.Namespace, console: Console) -> int:
    """Compare the earnings of the engine and of other libraries."""
    versions = [prepare(revision) for revision in given.versions]
    contestants, absent = named(given.only)
    contestants += tuple(map(contestant_of, versions))
    for name, why in absent.items():
        console.print(f"{name} is left out: {why}")
    specs = tuple(
        WorldSpec.of(name, given.seed, number, given.customers, given.visits)
        for name in given.scenarios
        for number in range(given.seeds)
    )
    Tournament(specs, contestants, absent, given.out, given.processes, given.again).run(console)
    console.print((given.out / EARNED_TABLE).read_text(encoding="utf-8"), soft_wrap=True, markup=False)
    console.print(f"table: {given.out / EARNED_TABLE}, picture: {given.out / EARNED_PICTURE}")
    return 0


def learning_methods(given: argparse.Namespace, console: Console) -> int:
    """Compare settings of Thompson sampling pair by pair, each method alone and left out by default."""
    begun = time.perf_counter()
    arms = ablation.parse_arms(given.arm) if given.arm else ablation.ablation_arms()
    given.out.mkdir(parents=True, exist_ok=True)
    specs = [
        WorldSpec.of(name, given.seed, number, given.customers, given.visits)
        for name in given.scenarios
        for number in range(given.seeds)
    ]
    path = given.out / "methods.jsonl"
    wanted = list(dict.fromkeys(ablation.arm_runs(specs, arms, given.runs)))
    known = ablation.read_results(path)
    todo = [each for each in wanted if each.key not in known]
    console.print(f"{len(todo)} of {len(wanted)} runs to make, {given.processes} at a time; results are in {path}")
    for number, result in enumerate(mapped(ablation.play_arm, todo, given.processes), start=1):
        ablation.append_result(path, result)
        known[result.key] = result
        spent = f"{result.seconds:.1f} s"
        console.print(f"{number}/{len(todo)} {result.scenario} {result.draw}: {result.settings}, {spent}", markup=False)
    found = ablation_table.ablation_rows([known[each.key] for each in wanted], arms)
    size = f"{given.seeds} draws under seed {given.seed}, {given.runs} runs in each"
    text = ablation_table.ablation_markdown(
        found, f"{size}; differences are paired, ± their standard error over draws."
    )
    _write(given.out, "methods", text, found)
    console.print(text, soft_wrap=True, markup=False)
    _print_duration(console, begun, given.out / "methods.md")
    return 0


def thompson_settings(given: argparse.Namespace, console: Console) -> int:
    """Measure the regret of Thompson sampling by its settings."""
    begun = time.perf_counter()
    given.out.mkdir(parents=True, exist_ok=True)
    specs = [
        [WorldSpec.of(name, given.seed, number, visits=given.visits) for number in range(given.seeds)]
        for name in given.scenarios
    ]
    found = settings.measure(specs, console)
    text = settings.markdown(found)
    (given.out / "settings.md").write_text(text, encoding="utf-8")
    (given.out / "settings.json").write_text(settings.as_json(found), encoding="utf-8")
    console.print(text, soft_wrap=True, markup=False)
    _print_duration(console, begun, given.out / "settings.md")
    return 0


def arriving_requests(given: argparse.Namespace, console: Console) -> int:
    """Measure requests that arrive at many processes; 1 where something acknowledged is missing."""
    begun = time.perf_counter()
    load = arrivals.ArrivalLoad(given.processes, given.seconds, given.durability, given.repetitions, given.seed)
    found = arrivals.run(load, given.before, console)
    text = arrivals.markdown(found)
    _write(given.out, "arrivals", f"# Requests arriving at {given.processes} processes\n\n{text}", found)
    console.print(text, soft_wrap=True, markup=False)
    _print_duration(console, begun, given.out / "arrivals.md")
    return 1 if any(row.problems for row in found) else 0


def many(given: argparse.Namespace, console: Console) -> int:
    """Measure many processes on one database; 1 where something acknowledged is missing."""
    begun = time.perf_counter()
    chosen = processes.TIMED_DURABILITIES if given.durability is None else (given.durability,)
    found = processes.run(given.processes, given.decisions, chosen, given.learn_every, given.seed, console)
    text = processes.markdown(found)
    lines = [line for each in found for line in each.lines]
    _write(given.out, "many", f"# Many at once: {given.processes} processes\n\n{text}", lines)
    console.print(text, soft_wrap=True, markup=False)
    _print_duration(console, begun, given.out / "many.md")
    return 1 if any(each.problems for each in found) else 0


def kill_processes(given: argparse.Namespace, console: Console) -> int:
    """Kill processes while they work; 1 where a database lost something."""
    begun = time.perf_counter()
    found = crash.run(given.kills, given.only, given.seed, console)
    text = crash.markdown(found)
    _write(given.out, "crash", f"# Killed at work: {given.kills} times\n\n{text}", found)
    console.print(text, soft_wrap=True, markup=False)
    _print_duration(console, begun, given.out / "crash.md")
    return 1 if any(each.problems for each in found) else 0


def cut_power(given: argparse.Namespace, console: Console) -> int:
    """Cut the power at moments of a recording; 1 where a database lost something."""
    begun = time.perf_counter()
    found = power.run(given.cuts, given.only, given.seed, console)
    text = power.markdown(found)
    _write(given.out, "power", f"# Power cuts\n\n{text}", found)
    console.print(text, soft_wrap=True, markup=False)
    _print_duration(console, begun, given.out / "power.md")
    return 1 if any(each.problems for each in found) else 0


def one_customer_history(given: argparse.Namespace, console: Console) -> int:
    """Measure one customer with very many decisions."""
    with tempfile.TemporaryDirectory() as folder:
        run = one_customer.OneCustomer(Path(folder), given.seed)
        return _large_steps(given, console, "customer", "One customer", partial(run.run, given.decisions))


def large_database(given: argparse.Namespace, console: Console) -> int:
    """Measure the tasks on a file of many gigabytes."""
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        run = large_file.LargeFile(Path(folder), given.seed)
        return _large_steps(given, console, "large", "A large file", partial(run.run, int(given.gib * 2**30)))


def _large_steps(
    given: argparse.Namespace,
    console: Console,
    name: str,
    title: str,
    run: Callable[[Callable[[LargeStep], None]], list[LargeStep]],
) -> int:
    begun = time.perf_counter()
    found = run(lambda step: console.print(step_line(step), soft_wrap=True, markup=False))
    _write(given.out, name, f"# {title}\n\n{steps_markdown(found)}", found)
    _print_duration(console, begun, given.out / f"{name}.md")
    return 0


def long_run(given: argparse.Namespace, console: Console) -> int:
    """Make millions of decisions on one engine; 1 where a decision or a covariance was faulty."""
    if given.minutes is not None:
        return _disturbed(given, console)
    rows: list[soak_rows.SoakRow] = []

    def report(row: soak_rows.SoakRow) -> None:
        rows.append(row)
        console.print(soak_rows.line(row), soft_wrap=True, markup=False)
        _write(given.out, "soak", f"# A long life\n\n{soak_rows.markdown(rows)}", rows)

    console.print(soak_rows.SOAK_HEAD, soft_wrap=True, markup=False)
    with tempfile.TemporaryDirectory() as folder:
        soak.Soak(Path(folder), given.seed).run(given.decisions, given.every, report)
    found = soak_rows.problems(rows)
    console.print("; ".join(found) or "no fault, and every covariance stayed positive definite")
    try:
        soak_rows.draw(rows, given.out / "soak.png")
    except MissingExtraError as fault:
        console.print(str(fault))
    return 1 if found else 0


def _disturbed(given: argparse.Namespace, console: Console) -> int:
    """Let several processes work while everything happens at once; 1 where something broke."""
    begun = time.perf_counter()
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        run = supervisor.Supervisor(
            soak_settings(
                folder.absolute(),
                minutes=given.minutes,
                rate=given.rate,
                processes=given.processes,
                durability=given.durability,
                activities=given.activities,
                seed=given.seed,
            )
        )
        console.print(disturbed_report.DISTURBED_HEAD, soft_wrap=True, markup=False)

        def minute(row: disturbed_report.DisturbedRow) -> None:
            console.print(disturbed_report.line(row), soft_wrap=True, markup=False)
            _write_disturbed(given.out, run.report)

        report = run.run(minute)
        _write_disturbed(given.out, report)
        console.print(disturbed_report.markdown(report, []), soft_wrap=True, markup=False)
        _print_duration(console, begun, given.out / "disturbed.md")
    return 1 if report.problems.total() else 0


def _write_disturbed(folder: Path, report: disturbed_report.DisturbedSoakReport) -> None:
    _write(folder, "disturbed", f"# Everything at once\n\n{disturbed_report.markdown(report)}", [report])


def speed_beside_vw(given: argparse.Namespace, console: Console) -> int:
    """Time the engine and Vowpal Wabbit at each size; a size that cannot be measured is reported and left out."""
    begun = time.perf_counter()
    timings: list[speed.CallTiming] = []
    failed: list[str] = []
    given.out.mkdir(parents=True, exist_ok=True)
    for size in speed.sizes(given.offers, given.facts):
        try:
            fresh = speed.measure_apart(size, given.seconds, given.seed)
        except InputError as fault:
            failed.append(str(fault))
            console.print(str(fault))
            continue
        timings += fresh
        console.print(speed.table(fresh))
        _write(given.out, "speed", "# How fast\n\n" + speed.markdown(timings), timings)
    with (given.out / "speed.md").open("a", encoding="utf-8") as file:
        file.writelines(f"\n- {line}\n" for line in failed)
    _print_duration(console, begun, given.out / "speed.md")
    return 0


def speed_beside_obp(given: argparse.Namespace, console: Console) -> int:
    """Time evaluation and that of Open Bandit Pipeline at each size of the log."""
    timings: list[obp_speed.EvaluationTiming] = []
    for size in given.rows:
        fresh = obp_speed.measure(size, given.rounds, given.seed)
        console.print(obp_speed.table(fresh))
        timings += fresh
        title = "# Evaluation beside Open Bandit Pipeline"
        _write(given.out, "ope", f"{title}\n\n{obp_speed.markdown(timings)}", timings)
    console.print(f"table: {given.out / 'ope.md'}")
    return 0


def opening_times(given: argparse.Namespace, console: Console) -> int:
    """Time opening an engine at each size of the log."""
    timings = opening.measure(
        given.decisions,
        given.rounds,
        given.seed,
        built=lambda size, seconds: console.print(f"{size:,} decisions are in the log, after {seconds:.0f} s"),
    )
    text = opening.markdown(timings)
    _write(given.out, "opening", f"# Opening an engine\n\n{text}", timings)
    console.print(text, soft_wrap=True, markup=False)
    console.print(f"table: {given.out / 'opening.md'}")
    return 0


def evaluated_rows(given: argparse.Namespace, console: Console) -> int:
    """Measure the evaluation of a long log in a Parquet file."""
    customers = max(1, given.rows // rows.ROWS_A_CUSTOMER) if given.customers is None else given.customers
    cases = [
        rows_log.RowsCase(given.rows, customers, offers, given.seed) for offers in rows.offers_checked(given.offers)
    ]
    timings: list[rows.RowsTiming] = []
    for timing in rows.measure(cases, given.estimators, given.out, given.before, console, again=given.again):
        timings.append(timing)
        _write(given.out, "rows", f"# Evaluating a long log\n\n{rows.markdown(timings)}", timings)
    console.print(rows.markdown(timings), soft_wrap=True, markup=False)
    console.print(f"table: {given.out / 'rows.md'}")
    return 0


def many_customers(given: argparse.Namespace, console: Console) -> int:
    """Measure one file at each number of customers with history."""

    def grown(done: int, total: int) -> None:
        console.print(f"{done:,} of {total:,} customers are in the file")

    timings: list[customers.CustomersTiming] = []

    def found(timing: customers.CustomersTiming) -> None:
        timings.append(timing)
        _write(given.out, "customers", f"# Many customers\n\n{customers.markdown(timings)}", timings)

    customers.measure(given.customers, given.seed, given.folder, grown, found)
    console.print(customers.markdown(timings), soft_wrap=True, markup=False)
    console.print(f"table: {given.out / 'customers.md'}")
    return 0


def simulated_day(given: argparse.Namespace, console: Console) -> int:
    """Decide for an audience in one job, which is killed and resumed, and learn once."""
    timing = day.measure(given.decisions, given.seed, given.folder, day.report_of(console.print))
    text = day.markdown(timing)
    _write(given.out, "day", f"# A day\n\n{text}", [timing])
    console.print(text, soft_wrap=True, markup=False)
    console.print(f"table: {given.out / 'day.md'}")
    return 0


def start_times(given: argparse.Namespace, console: Console) -> int:
    """Time the start of the command line beside that of sqlite-utils."""
    timings = start.measure(given.rounds)
    text = start.markdown(timings)
    _write(given.out, "start", f"# Starting the command line\n\n{text}", timings)
    console.print(text, soft_wrap=True, markup=False)
    console.print(f"table: {given.out / 'start.md'}")
    return 0


def service_load(given: argparse.Namespace, console: Console) -> int:
    """Time the HTTP service, and check what its database has; 1 where something acknowledged is not there once."""
    from simulator.bench.serving import serving_bench  # noqa: PLC0415 - needs an extra

    chosen = serving_bench.ServingSettings(
        clients=given.clients,
        seconds=given.seconds,
        workers=given.workers,
        kill=given.kill,
        learn_every=given.learn_every,
        seed=given.seed,
    )
    found = serving_bench.measure(chosen)
    text = serving_bench.markdown(found, chosen)
    _write(given.out, "service", f"# The service\n\n{text}\n", [found])
    console.print(text, soft_wrap=True, markup=False)
    console.print(f"table: {given.out / 'service.md'}")
    return 0 if found.check.sound else 1


def _write(folder: Path, name: str, text: str, found: Sequence[_Plain]) -> None:
    """Write `name`.md and `name`.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    numbers = json.dumps([each.to_dict() for each in found], indent=2)
    (folder / f"{name}.json").write_text(numbers + "\n", encoding="utf-8")


def _print_duration(console: Console, begun: float, path: Path) -> None:
    console.print(f"took {(time.perf_counter() - begun) / 60:.1f} minutes; table: {path}")


BENCH_COMMANDS: Mapping[str, Callable[[argparse.Namespace, Console], int]] = MappingProxyType(
    {
        "earned": earned,
        "methods": learning_methods,
        "speed": speed_beside_vw,
        "settings": thompson_settings,
        "many": many,
        "arrivals": arriving_requests,
        "crash": kill_processes,
        "soak": long_run,
        "power": cut_power,
        "customer": one_customer_history,
        "large": large_database,
        "ope": speed_beside_obp,
        "opening": opening_times,
        "customers": many_customers,
        "day": simulated_day,
        "start": start_times,
        "rows": evaluated_rows,
        "service": service_load,
    }
)
"""The commands by name."""

"""The demo, `python -m simulator.campaign.demo`: one retail campaign, from today's rules to groups compared live."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from bandit.domain import FloatArray, Policy
from bandit.errors import OfferBanditError
from bandit.policies import ThompsonSampling, VowpalWabbit
from bandit.store import Store
from simulator.campaign import files, vowpal_wabbit
from simulator.campaign.chance import without_chance
from simulator.campaign.evaluation import RULES_POLICY, THOMPSON_POLICY, VW_POLICY, evaluate_offline, train, true_values
from simulator.campaign.groups import DEMO_SHARES, groups_live
from simulator.campaign.history import history, split_halves, write_history
from simulator.campaign.live import engine_learns, engine_live, live_values, policy_live
from simulator.campaign.plan import CampaignPlan, CampaignWorld
from simulator.campaign.report import report_log
from simulator.campaign.results import Results, results
from simulator.campaign.steps import step
from simulator.campaign.table import legend, markdown, table
from simulator.live.report import live_parts
from simulator.live.results import LiveResults
from simulator.programs.single_thread import run_single_threaded
from simulator.simulation.log import MemoryLog

_PIPED_WIDTH = 120

_NAMED_IN_COMMANDS = (files.DATABASE_FILE, files.LIVE_FILE, files.RULES_FILE, files.CATALOGUE_FILE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and print its table; return 0 on success, 2 for invalid input."""
    given = _parser().parse_args(arguments)
    plan = CampaignPlan(
        seed=given.seed,
        customers=given.customers,
        decisions=given.decisions,
        live=given.live,
        truth=given.truth,
        weekly=given.weekly,
    )
    try:
        files.prepare(given.out)
        world = CampaignWorld.draw(plan)
        files.write_world(given.out, world)
        found, groups = run_demo(world, given.out)
    except OfferBanditError as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 2
    commands = _commands(world, given.out)
    everything = {**found.to_dict(), "groups": groups.to_dict()}
    files.write_results(given.out, everything, markdown(found, commands))
    with step("the report of the log") as report:
        written = report_log(world, given.out, report)
    if given.json:
        sys.stdout.write(json.dumps(everything, indent=2) + "\n")
    else:
        _show(found, groups, given.out, commands)
        sys.stdout.write(f"Report: {written}\n")
    return 0


def run_demo(world: CampaignWorld, out: Path) -> tuple[Results, LiveResults]:
    """Run the pilot, then the weeks with groups, in a directory that `files.prepare` made.

    Vowpal Wabbit works in a second process meanwhile.
    """
    database = out / files.DATABASE_FILE
    _campaign(world, database)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as beside:
        half = beside.submit(vowpal_wabbit.learn_half, world.plan, database)
        log = _read(world, database)
        thompson = ThompsonSampling(world.catalogue)
        with step("Thompson sampling learns from one half") as report:
            train(thompson, log.learning, report)
        # It decides nothing yet; it learns here because the other process is still busy.
        with step("the engine learns from the whole log, to go live later") as report:
            n_learned = engine_learns(world, database, report)
        with step("Vowpal Wabbit learns from the same half, in a second process"):
            state = half.result()
        wabbit_live = beside.submit(vowpal_wabbit.go_live, world.plan, database, state)
        wabbit = VowpalWabbit(world.catalogue)
        wabbit.loads(state)
        learned: dict[str, Policy] = {THOMPSON_POLICY: thompson, VW_POLICY: wabbit}
        with step("all policies are evaluated on the other half") as report:
            evaluation = evaluate_offline(world, log.evaluation, learned, log.lookup, report)
        with step("the true values, which the simulator knows") as report:
            truth = true_values(world, learned, report)
        with step("the same rules without chance"):
            certain = without_chance(world, thompson)
        values = _live(world, database)
        with step(f"{world.plan.weeks} weeks with groups, {world.plan.weekly:,} visits each") as report:
            groups = groups_live(world, database, out / files.LIVE_FILE, report)
        with step("Vowpal Wabbit live, in a second process"):
            values[VW_POLICY] = wabbit_live.result()
    return results(world, evaluation, truth, values, n_learned, certain), groups


@dataclass(frozen=True, slots=True, eq=False)
class _Log:
    """The halves of the log, and the lookup from stored customer keys to rows of the population."""

    learning: MemoryLog
    evaluation: MemoryLog
    lookup: Mapping[str, int]


def _campaign(world: CampaignWorld, database: Path) -> None:
    with step(f"{world.plan.decisions:,} visits under today's rules") as report:
        write_history(world, database, report)


def _read(world: CampaignWorld, database: Path) -> _Log:
    key = world.plan.customer_key.encode()
    with step("the log is split by customer"), Store.open(database, customer_key=key, read_only=True) as store:
        lookup = world.population.lookup(store.customers.stored)
        return _Log(*split_halves(history(store, world)), lookup)


def _live(world: CampaignWorld, database: Path) -> dict[str, FloatArray]:
    """Return the expected objective at each live visit by policy, without Vowpal Wabbit."""
    with step(f"the engine decides {world.plan.live:,} live visits and learns from them") as report:
        values = {THOMPSON_POLICY: engine_live(world, database, report).expected}
    with step("the rules and the best possible policies at the same visits"):
        values[RULES_POLICY] = policy_live(world, world.segment_rules()).expected
        values.update(live_values(world))
    return values


def _commands(world: CampaignWorld, out: Path) -> tuple[str, ...]:
    """Return commands to try next, as a shell takes them."""
    beside = Path(sys.executable).parent / "offer-bandit"
    here = Path.cwd()
    program = str(beside.relative_to(here)) if beside.is_file() and beside.is_relative_to(here) else "offer-bandit"
    database, live, rules, catalogue = (shlex.quote(str(out / name)) for name in _NAMED_IN_COMMANDS)
    facts = {name: column.tolist()[0] for name, column in world.population.columns(world.live.customers[:1]).items()}
    customer = world.population.names(world.live.customers[:1])[0]
    return (
        f'export OFFER_BANDIT_KEY="$(cat {shlex.quote(str(out / files.KEY_FILE))})"',
        f"{program} doctor {database}",
        f"{program} decide {database} {customer} --context {shlex.quote(json.dumps(facts))}",
        f"{program} evaluate {database} --policy thompson --baseline rules:{rules} --written-by 1",
        f"{program} plan {catalogue} --decisions-per-week 10000 --explore 0.5 --response 0.1 --basket 60",
        f"{program} verify {database}",
        f"{program} lift {live} --weeks",
        f"{program} verify {live}",
    )


def _show(found: Results, groups: LiveResults, out: Path, commands: Sequence[str]) -> None:
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    console.print()
    console.print(table(found))
    for line in legend(found):
        console.print(f"  {line}", markup=False, style="dim")
    console.print()
    for sentence in found.reading():
        console.print(sentence, markup=False)
    console.print(f"\n{_groups_heading(found, groups)}", markup=False)
    for tables, lines in live_parts(groups):
        for shown in tables:
            console.print(shown)
        for line in lines:
            console.print(line, markup=False)
    console.print(
        f"\nFiles in {out}: {', '.join(name for name in files.DEMO_FILES if (out / name).exists())}", markup=False
    )
    console.print("Try next:", markup=False)
    for command in commands:
        console.print(f"  {command}", markup=False, soft_wrap=True)


def _groups_heading(found: Results, groups: LiveResults) -> str:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in DEMO_SHARES.items())
    return (
        f"Then {groups.plan.weeks} weeks live with groups ({shares}), {groups.plan.visits:,} visits a week; the policy "
        f"begins with the {found.learned + found.plan.live:,} outcomes that it has learned."
    )


def _parser() -> argparse.ArgumentParser:
    plan = CampaignPlan()
    parser = argparse.ArgumentParser(
        prog="python -m simulator.campaign.demo",
        description="One retail campaign: customers arrive under today's segment rules, policies are evaluated from "
        "that log alone, then the engine learns and runs live, at the end in groups that are compared while they run. "
        "Customers are simulated, so true values are known.",
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("demo"), metavar="DIR", help="directory for the files (default: demo)")
    add(
        "--seed", type=_natural, default=plan.seed, help="seed; another one draws another market (default: %(default)s)"
    )
    add("--decisions", type=_count, default=plan.decisions, help="decisions in the log (default: %(default)s)")
    add("--customers", type=_count, default=plan.customers, help="customers of the market (default: %(default)s)")
    add("--live", type=_count, default=plan.live, help="visits in the live phase (default: %(default)s)")
    add("--weekly", type=_count, default=plan.weekly, help="visits a week with groups (default: %(default)s)")
    add(
        "--truth",
        type=_count,
        default=plan.truth,
        help="visits on which true values are computed (default: %(default)s)",
    )
    add("--json", action="store_true", help="print the results as JSON instead of the table")
    return parser


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 100:
        raise argparse.ArgumentTypeError(f"{number} is below 100, too few for any result")
    return number


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.campaign.demo", main))

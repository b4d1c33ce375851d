"""`python -m simulator.validation.lift_campaigns`: coverage and false verdicts of lift on whole campaigns."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bandit.errors import OfferBanditError
from simulator.programs.single_thread import run_single_threaded
from simulator.validation.lift_campaigns.looks import LIFT_WAYS
from simulator.validation.lift_campaigns.results import summary_of
from simulator.validation.lift_campaigns.runs import CampaignTask, run_campaigns
from simulator.validation.lift_campaigns.setting import CampaignSetting
from simulator.validation.lift_campaigns.table import error_table, verdict_table

_WIDTH = 170


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaigns and print the tables; return 0 on success, 2 for invalid input."""
    given = _parser().parse_args(arguments)
    progress, begun = Console(stderr=True, highlight=False), time.perf_counter()

    def report(task: CampaignTask, done: int, of: int) -> None:
        passed = time.perf_counter() - begun
        progress.print(f"{passed:6.0f} s  {done:>4} of {of}  {task[0].name}, campaign {task[1]}")

    try:
        settings = _settings(given)
        found = run_campaigns(settings, given.campaigns, given.out, given.processes, report)
        rows = [summary_of(setting.name, way, found[setting]) for setting in settings for way in LIFT_WAYS]
    except OfferBanditError as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 2
    if given.json:
        plain = {
            "settings": [setting.to_dict() for setting in settings],
            "summaries": [row.to_dict() for row in rows],
        }
        sys.stdout.write(json.dumps(plain, indent=1) + "\n")
        return 0
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    for table in (verdict_table(rows), error_table(rows)):
        console.print(table)
    return 0


def _settings(given: argparse.Namespace) -> list[CampaignSetting]:
    return [
        CampaignSetting(
            real=real,
            personal=personal,
            customers=given.customers,
            decisions=given.decisions,
            days=given.days,
            batch=given.batch,
            policy_share=given.share,
            seed=given.seed,
        )
        for real in ((True, False) if given.real is None else (given.real,))
        for personal in ((True, False) if given.personal is None else (given.personal,))
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator.validation.lift_campaigns",
        description="Run simulated campaigns of two groups, and compare what lift says of them with the true lift.",
    )
    add, default = parser.add_argument, CampaignSetting(real=True, personal=True)
    add("--campaigns", type=int, default=200, help="campaigns of each kind (default: %(default)s)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--real", dest="real", action="store_true", default=None, help="only campaigns with a lift")
    kind.add_argument("--null", dest="real", action="store_false", help="only campaigns where no offer matters")
    add(
        "--personal",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="only policies with, or without, personal parts (default: both)",
    )
    add("--seed", type=int, default=default.seed, help="seed of all campaigns (default: %(default)s)")
    add("--customers", type=int, default=default.customers, help="customers of each campaign (default: %(default)s)")
    add("--decisions", type=int, default=default.decisions, help="decisions of each campaign (default: %(default)s)")
    add("--days", type=int, default=default.days, help="days of a campaign, with a look each (default: %(default)s)")
    add("--batch", type=int, default=default.batch, help="decisions after which to learn (default: %(default)s)")
    add("--share", type=float, default=default.policy_share, help="the policy's share (default: %(default)s)")
    add("--out", type=Path, default=None, help="file of JSON lines; campaigns that it has are not run again")
    add("--processes", type=int, default=1, help="number of processes (default: %(default)s)")
    add("--json", action="store_true", help="print JSON instead of the tables")
    return parser


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.validation.lift_campaigns", main))

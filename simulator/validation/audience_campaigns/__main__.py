"""`python -m simulator.validation.audience_campaigns`: surprises found where planted, and announced where none is."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bandit.errors import OfferBanditError
from simulator.programs.single_thread import run_single_threaded
from simulator.validation.audience_campaigns.campaigns import (
    AudienceCampaign,
    AudienceCounts,
    AudienceSetting,
    counted,
    run_campaigns,
)

_WIDTH = 150


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaigns and print a table; return 0 on success, 2 for invalid input."""
    given = _parser().parse_args(arguments)
    progress, begun = Console(stderr=True, highlight=False), time.perf_counter()

    def report(campaign: AudienceCampaign) -> None:
        said = f"{campaign.true} true and {campaign.false} false surprises"
        progress.print(f"{time.perf_counter() - begun:6.0f} s  {campaign.world}, campaign {campaign.number}: {said}")

    try:
        setting = AudienceSetting(given.decisions, given.explored, given.level, given.seed)
        found = run_campaigns(setting, given.campaigns, given.null, report)
    except OfferBanditError as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 2
    if given.json:
        plain = {
            "counts": [each.to_dict() for each in counted(found)],
            "campaigns": [each.to_dict() for each in found],
        }
        sys.stdout.write(json.dumps(plain, indent=1) + "\n")
        return 0
    Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _WIDTH).print(
        counts_table(counted(found))
    )
    return 0


def counts_table(rows: Sequence[AudienceCounts]) -> Table:
    """Return one row a world: how often something was announced, and how often intervals have the truth."""
    table = Table(title="campaigns with a surprise, and intervals that have the truth", title_justify="left")
    table.add_column("world")
    headings = (
        "campaigns",
        "announced",
        "of it false",
        "mens to women",
        "its share covered",
        "its gain",
        "all confirmed",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.world,
            str(row.campaigns),
            str(row.announced),
            str(row.wrong),
            str(row.found),
            f"{row.share_covered} of {row.row_of}",
            f"{row.gain_covered} of {row.row_of}",
            f"{row.covered} of {row.covered_of}",
        )
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator.validation.audience_campaigns",
        description="Search simulated campaigns for audience surprises, planted ones and none.",
    )
    add, default = parser.add_argument, AudienceSetting()
    add("--campaigns", type=int, default=20, help="campaigns with a planted surprise (default: %(default)s)")
    add("--null", type=int, default=50, help="campaigns without one, of five kinds (default: %(default)s)")
    add("--decisions", type=int, default=default.decisions, help="decisions of a campaign (default: %(default)s)")
    add("--explored", type=float, default=default.explored, help="share with a random option (default: %(default)s)")
    add("--level", type=float, default=default.level, help="level of the intervals (default: %(default)s)")
    add("--seed", type=int, default=default.seed, help="seed of all campaigns (default: %(default)s)")
    add("--json", action="store_true", help="print JSON instead of the table")
    return parser


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.validation.audience_campaigns", main))

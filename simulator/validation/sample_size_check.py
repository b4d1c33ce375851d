"""Are the interval widths of `bandit.analysis.sample_size` right? `python -m simulator.validation.sample_size_check`.

`ratio` is the predicted width over the measured normal width, each the root of its mean square over the seeds. Beside
it stands the mean width of the interval that is reported, which allows for skewness and is wider where there are few
`conversions` behind the estimate.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bandit.errors import OfferBanditError
from simulator.programs.single_thread import run_single_threaded
from simulator.validation.interval_widths import PILOT_SCENARIO, Setting, WidthComparison, compare


def table(rows: Sequence[WidthComparison]) -> Table:
    """Return the rows as a table."""
    shown = Table(title="width of the 95 % interval of the difference to the rules", title_justify="left")
    for heading in (
        "scenario",
        "decisions",
        "exploration",
        "by",
        "conversions",
        "predicted",
        "measured",
        "reported",
        "ratio",
    ):
        shown.add_column(heading, justify="left" if heading in {"scenario", "by"} else "right")
    for row in rows:
        shown.add_row(
            row.setting.scenario,
            f"{row.setting.decisions:,}",
            f"{row.setting.exploration:.0%}",
            row.way,
            f"{row.conversions:,.0f}",
            f"{row.predicted:.3f}",
            f"{row.measured:.3f}",
            f"{row.reported:.3f}",
            f"{row.ratio:.2f}",
        )
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print the widths; return 0 on success, 2 for invalid input."""
    given = _parser().parse_args(arguments)
    try:
        sizes = [int(text) for text in given.decisions.split(",")]
        shares = [float(text) for text in given.exploration.split(",")]
        settings = [Setting(size, share, given.visits, given.scenario) for size in sizes for share in shares]
        rows = compare(settings, range(1, given.seeds + 1))
    except (OfferBanditError, ValueError) as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 2
    if given.json:
        sys.stdout.write(json.dumps([row.to_dict() for row in rows], indent=2) + "\n")
    else:
        Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120).print(table(rows))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator.validation.sample_size_check",
        description="Compare the interval widths that a plan foretells with those that simulated logs give.",
    )
    add = parser.add_argument
    add("--scenario", default=PILOT_SCENARIO, help="the market (default: %(default)s)")
    add("--decisions", default="10000,40000", help="sizes of the log (default: %(default)s)")
    add("--exploration", default="0.05,0.1,0.3,1", help="shares of exploration (default: %(default)s)")
    add("--visits", type=float, default=2.0, help="decisions a customer, on average (default: %(default)s)")
    add("--seeds", type=int, default=5, help="worlds for each setting (default: %(default)s)")
    add("--json", action="store_true", help="print JSON instead of the table")
    return parser


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.validation.sample_size_check", main))

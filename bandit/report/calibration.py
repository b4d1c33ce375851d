"""The calibration of an evaluation's intervals on its own log as a table and sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from bandit.evaluate.resampled import ResampledCoverage, ResampledInterval


def coverage_table(found: ResampledCoverage) -> Table:
    """Return a table of one row a policy, estimator and quantity."""
    table = Table(title=f"how often intervals of {_percent(found.level)} hold the log's own value, in resamples of it")
    table.add_column("policy", overflow="fold")
    for heading in ("of", "estimator"):
        table.add_column(heading)
    for heading in ("held", "interval", "too low", "too high"):
        table.add_column(heading, justify="right", no_wrap=True)
    policy = None
    for row in found.rows:
        if policy is not None and row.policy != policy:
            table.add_section()
        low, high = row.bounds
        table.add_row(
            "" if row.policy == policy else escape(row.policy),
            row.of,
            row.estimator,
            _percent(row.share),
            f"{_percent(low)} to {_percent(high)}",
            _percent(row.below / row.n),
            _percent(row.above / row.n),
        )
        policy = row.policy
    return table


def coverage_lines(found: ResampledCoverage, default: str) -> list[str]:
    """Return what the default estimator's rows say, a sentence each, and what resampling cannot find."""
    level = _percent(found.level)
    if not found.rows:
        return ["Calibration: the log can judge no policy, so no interval was checked."]
    lines = [_sentence(row, found.level) for row in found.rows if row.estimator == default and row.of == _asked(found)]
    first = (
        f"Calibration: {found.rows[0].n:,} samples of the log's customers were judged, as if the log were all "
        f"customers there are; {level} of the intervals should hold the log's own value."
    )
    last = (
        "This finds intervals that are too narrow for outcomes such as these; it finds no bias, such as that of wrong "
        "propensities."
    )
    return [first, *lines, last]


def _asked(found: ResampledCoverage) -> str:
    """Return what verdicts rest on: differences where there are any."""
    return "difference" if any(row.of == "difference" for row in found.rows) else "value"


def _sentence(row: ResampledInterval, level: float) -> str:
    low, high = row.bounds
    held = f"  {row.policy}: {_percent(row.share)} held it ({_percent(low)} to {_percent(high)})"
    if high < level:
        return f"{held}: too few - take the interval of the {row.of} for one of about {_percent(row.share)}."
    if low > level:
        return f"{held}: more than promised - the interval of the {row.of} is wide."
    return f"{held}: as promised."


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f}%".replace(".0%", "%")

"""Results of the soak benchmark: a row every so many decisions, as a table and as curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from simulator.programs.pictures import new_figure


@dataclass(frozen=True, slots=True)
class SoakRow:
    """Measurements of the engine after so many decisions.

    Milliseconds of single decisions; microseconds of a decision in a batch and of a learned outcome, elapsed and of
    processor time (which other programs do not lengthen much); mebibytes of the process and of the write-ahead log,
    bytes of the file a decision; the smallest eigenvalue of the covariances, that eigenvalue over the largest, and
    their largest difference from their transposes.
    """

    decisions: int
    seconds: float
    rss: float
    single_p50: float
    single_p99: float
    batch: float
    batch_cpu: float
    learned: int
    learn: float
    learn_cpu: float
    file: float
    wal: float
    eigenvalue: float
    condition: float
    asymmetry: float
    faults: int

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


SOAK_HEAD = (
    "| decisions | minutes | RSS MiB | single p50 ms | p99 ms | in a batch us | of it CPU | learned | us an outcome "
    "| of it CPU "
    "| file B a decision | WAL MiB | smallest eigenvalue | of the largest | asymmetry | faults |"
)


def markdown(rows: Sequence[SoakRow]) -> str:
    """Return the table."""
    return "\n".join([SOAK_HEAD, "|" + "---:|" * SOAK_HEAD.count(" |"), *(line(row) for row in rows)]) + "\n"


def line(row: SoakRow) -> str:
    """Return one row of the table."""
    shown = (
        f"{row.decisions:,}",
        f"{row.seconds / 60:.1f}",
        f"{row.rss:,.0f}",
        f"{row.single_p50:.2f}",
        f"{row.single_p99:.2f}",
        f"{row.batch:.1f}",
        f"{row.batch_cpu:.1f}",
        f"{row.learned:,}",
        f"{row.learn:.0f}",
        f"{row.learn_cpu:.0f}",
        f"{row.file:,.0f}",
        f"{row.wal:.1f}",
        f"{row.eigenvalue:.2e}",
        f"{row.condition:.1e}",
        f"{row.asymmetry:.1e}",
        f"{row.faults:,}",
    )
    return f"| {' | '.join(shown)} |"


def draw(rows: Sequence[SoakRow], path: Path) -> None:
    """Write the curves as PNG; MissingExtraError where matplotlib is not installed."""
    panels: tuple[tuple[str, tuple[tuple[str, str], ...], bool], ...] = (
        ("resident memory, MiB", (("rss", ""),), False),
        ("single decision, ms", (("single_p50", "p50"), ("single_p99", "p99")), False),
        (
            "microseconds of the processor each",
            (("batch_cpu", "decision in a batch"), ("learn_cpu", "outcome learned")),
            False,
        ),
        ("bytes of the file a decision", (("file", ""),), False),
        ("smallest eigenvalue of the covariance", (("eigenvalue", ""),), True),
        ("largest difference from its transpose", (("asymmetry", ""),), False),
    )
    figure, axes = new_figure(11.0, 6.0, 2, 3)
    at = [row.decisions / 1e6 for row in rows]
    for axis, (title, curves, logarithmic) in zip(axes, panels, strict=True):
        for name, label in curves:
            axis.plot(at, [getattr(row, name) for row in rows], label=label, linewidth=1.2)
        if logarithmic:
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0.0)
        if len(curves) > 1:
            axis.legend(fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("million decisions", fontsize=8)
        axis.grid(color="0.9")
    figure.savefig(path, dpi=130)


def problems(rows: Sequence[SoakRow]) -> tuple[str, ...]:
    """Return the problems as sentences: decisions that failed, and covariances that are not positive definite."""
    found = []
    if any(row.faults for row in rows):
        found.append(f"{sum(row.faults for row in rows):,} decisions failed and used the fallback offer")
    if not all(row.eigenvalue > 0.0 for row in rows):
        found.append("a covariance is not positive definite any more")
    return tuple(found)

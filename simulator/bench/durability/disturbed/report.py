"""The report of the disturbed soak: a row a minute, counts of what happened, and every problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class DisturbedRow:
    """What was measured in about a minute.

    Milliseconds of single calls (`decide`, `record`), the largest memory of a process in MiB, the process that is never
    killed alone (`steady`), MiB of the database and its write-ahead log, spools beside it and the age in seconds of the
    oldest whose process has ended, seconds without a step of learning, decisions in the fallback, and acknowledged
    decisions not yet in the database.
    """

    minute: float
    per_second: float
    decide_p50: float
    decide_p99: float
    decide_longest: float
    record_p99: float
    record_longest: float
    rss: float
    steady: float
    file: float
    wal: float
    spools: int
    dead_spool: float
    unlearned: float
    fallbacks: int
    late: int

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(slots=True)
class DisturbedSoakReport:
    """All rows, how often each thing happened, what was refused with which sentence, and the problems found."""

    rows: list[DisturbedRow] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    summary: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "happened": dict(self.happened),
            "refused": dict(self.refused),
            "faults": dict(self.faults),
            "problems": dict(self.problems),
            "summary": self.summary,
        }


DISTURBED_HEAD = (
    "| minute | decisions/s | decide p50 ms | p99 | longest | record p99 | longest | RSS MiB | steady "
    "| file MiB | WAL MiB | spools | oldest of a dead process s | without learning s | fallbacks | late |"
)


def line(row: DisturbedRow) -> str:
    """Return one row of the table."""
    shown = (
        f"{row.minute:.1f}",
        f"{row.per_second:,.0f}",
        f"{row.decide_p50:.2f}",
        f"{row.decide_p99:.1f}",
        f"{row.decide_longest:,.0f}",
        f"{row.record_p99:.1f}",
        f"{row.record_longest:,.0f}",
        f"{row.rss:,.0f}",
        f"{row.steady:,.0f}",
        f"{row.file:.1f}",
        f"{row.wal:.1f}",
        f"{row.spools}",
        f"{row.dead_spool:.0f}",
        f"{row.unlearned:.0f}",
        f"{row.fallbacks:,}",
        f"{row.late:,}",
    )
    return f"| {' | '.join(shown)} |"


def markdown(report: DisturbedSoakReport, rows: Sequence[DisturbedRow] | None = None) -> str:
    """Return the table, the counts and the problems."""
    text = [DISTURBED_HEAD, "|" + "---:|" * DISTURBED_HEAD.count(" |")]
    text += [line(row) for row in (report.rows if rows is None else rows)]
    if report.summary:
        text += ["", "In all: " + ", ".join(f"{name} {value:,.6g}" for name, value in report.summary.items()) + "."]
    for title, counts in (
        ("What happened", report.happened),
        ("Refused with a sentence", report.refused),
        ("Decisions in the fallback", report.faults),
        ("Problems", report.problems),
    ):
        text += ["", f"{title}:", ""]
        text += [f"- {count:,} x {what}" for what, count in counts.most_common() if count] or ["- nothing"]
    return "\n".join(text) + "\n"

"""What a person reads: from result records to tables, and to plain JSON values."""

from bandit.report.decisions import decision_json, decision_tables, learned_table
from bandit.report.evaluations import (
    all_estimates_table,
    evaluation_lines,
    evaluation_table,
    replay_table,
    segment_table,
    unit_of,
)
from bandit.report.imports import import_json, import_tables
from bandit.report.maintenance import doctor_tables, erased_lines, rebuilt_lines, retained_lines, verified_lines
from bandit.report.numbers import NumberFormat

__all__ = [
    "NumberFormat",
    "all_estimates_table",
    "decision_json",
    "decision_tables",
    "doctor_tables",
    "erased_lines",
    "evaluation_lines",
    "evaluation_table",
    "import_json",
    "import_tables",
    "learned_table",
    "rebuilt_lines",
    "replay_table",
    "retained_lines",
    "segment_table",
    "unit_of",
    "verified_lines",
]

"""Import of logged campaigns: CSV, gzipped CSV and Parquet, with a mapping file, into the log."""

from bandit.importing.importer import import_log
from bandit.importing.mapping import UNKNOWN, LogMapping
from bandit.importing.refusals import ImportReport, Refusal

__all__ = ["UNKNOWN", "ImportReport", "LogMapping", "Refusal", "import_log"]

"""Import of logged campaigns: CSV, gzipped CSV and Parquet, with a mapping file, into the log."""

from bandit.importing.importer import import_log
from bandit.importing.mapping import LogMapping
from bandit.importing.refusals import ImportReport, Refusal

__all__ = ["ImportReport", "LogMapping", "Refusal", "import_log"]

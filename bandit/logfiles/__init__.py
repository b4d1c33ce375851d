"""Log files and dataframes (CSV, Parquet, dsjson, Open Bandit Pipeline): imported, read as logs, exported."""

from bandit.logfiles.column_log import ColumnLog
from bandit.logfiles.dataset.log import DatasetLog, open_dataset
from bandit.logfiles.draft.draft import LogDraft, draft_log
from bandit.logfiles.draft.records import DraftOptions, Guess
from bandit.logfiles.export.export import EXPORT_FORMATS, ExportFormat, ExportReport, export, format_of, mapping_toml
from bandit.logfiles.import_log import import_log
from bandit.logfiles.mapping.layout import ExportLayout
from bandit.logfiles.mapping.mapping import UNKNOWN_PROPENSITY, LogMapping
from bandit.logfiles.obp import ArrayLog, from_obp, to_obp
from bandit.logfiles.open_log import export_mapping, from_frame, from_parquet, open_file, open_log
from bandit.logfiles.rejections import ImportReport, Rejection
from bandit.logfiles.shipped.fit import ShippedMapping, shipped_mapping
from bandit.logfiles.shipped.paths import SHIPPED_MAPPINGS

__all__ = [
    "EXPORT_FORMATS",
    "SHIPPED_MAPPINGS",
    "UNKNOWN_PROPENSITY",
    "ArrayLog",
    "ColumnLog",
    "DatasetLog",
    "DraftOptions",
    "ExportFormat",
    "ExportLayout",
    "ExportReport",
    "Guess",
    "ImportReport",
    "LogDraft",
    "LogMapping",
    "Rejection",
    "ShippedMapping",
    "draft_log",
    "export",
    "export_mapping",
    "format_of",
    "from_frame",
    "from_obp",
    "from_parquet",
    "import_log",
    "mapping_toml",
    "open_dataset",
    "open_file",
    "open_log",
    "shipped_mapping",
    "to_obp",
]

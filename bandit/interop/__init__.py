"""The log in other people's formats, there and back: Parquet, CSV, VW's dsjson, OBP's feedback, any dataframe."""

from bandit.interop.column_log import ColumnLog
from bandit.interop.layout import Layout
from bandit.interop.obp import ArrayLog, from_obp, to_obp
from bandit.interop.opening import export_mapping, from_frame, from_parquet, open_log
from bandit.interop.writing import FORMATS, Exported, Format, export, format_of, mapping_toml

__all__ = [
    "FORMATS",
    "ArrayLog",
    "ColumnLog",
    "Exported",
    "Format",
    "Layout",
    "export",
    "export_mapping",
    "format_of",
    "from_frame",
    "from_obp",
    "from_parquet",
    "mapping_toml",
    "open_log",
    "to_obp",
]

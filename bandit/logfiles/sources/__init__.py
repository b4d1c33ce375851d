"""File formats as sources of text columns: CSV, Parquet, dsjson, dataframes."""

"""Export of decisions to Parquet, CSV and dsjson."""

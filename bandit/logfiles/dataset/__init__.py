"""The log as a dataset: a folder of Parquet files, partitioned by customer, on a disk or in any store of fsspec."""

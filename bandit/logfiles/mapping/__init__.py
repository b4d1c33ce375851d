"""The mapping file: what each column of a log file means."""

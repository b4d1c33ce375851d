"""Maintenance of a database file: backup, integrity check, deletion, statistics, and the journal of these runs."""

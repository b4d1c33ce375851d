"""Upkeep of a database file: backup, self-check, deletion, statistics, and the journal of these runs."""

"""Durability of an engine: kills, full disks, and millions of decisions."""

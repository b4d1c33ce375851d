"""Shared parts of the command-line programs: the demo, the benchmarks and the validations."""

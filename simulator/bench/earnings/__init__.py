"""Earnings of the engine and of other libraries on the same simulated customers."""

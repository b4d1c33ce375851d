"""Readers of one kind of column each: customers, times, facts, offers, propensities, outcomes."""

"""Audit and data protection: verify a log, erase a customer, retain recent decisions, export a customer's data."""

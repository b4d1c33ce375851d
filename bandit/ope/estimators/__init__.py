"""The off-policy estimators, one a module, and their registry."""

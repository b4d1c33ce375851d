"""Off-policy estimators, one a file, and their registry."""

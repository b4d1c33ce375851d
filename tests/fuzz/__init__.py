"""Targets for fuzzing, one a surface, and what runs them: `python -m tests.fuzz.run TARGET --seconds 60`."""

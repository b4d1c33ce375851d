"""The command line `offer-bandit`: parses, calls, prints; the only package that imports typer."""

from bandit.cli.app import app, main

__all__ = ["app", "main"]

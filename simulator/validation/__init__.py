"""Checks of evaluation and planning against worlds with known truth: coverage, calibration, sample sizes."""

"""Checks of the product against worlds whose truth is known: coverage, calibration, sample sizes."""

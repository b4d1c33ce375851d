"""Calibration: are the estimates, intervals and verdicts of an evaluation right where the truth is known exactly?

`python -m simulator.validation.calibration` runs a grid of cells: a world, a policy that writes the log, a number of
rows. In each cell fresh logs are drawn many times, each is evaluated by every estimator with every kind of interval,
and the results are compared with the truth.
"""

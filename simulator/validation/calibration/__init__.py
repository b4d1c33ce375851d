"""Are the numbers of an evaluation right? Worlds whose truth is known exactly are judged again and again from logs.

`python -m simulator.validation.calibration` plays a plan of cells: a world, a policy that writes the log, a number of rows. In
each cell fresh logs are drawn many times, each is judged by every estimator and every kind of interval, and what they
say is held against the truth.
"""

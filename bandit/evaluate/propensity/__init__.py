"""Propensities of a log: as logged, recomputed from its policy, or estimated, with their calibration."""

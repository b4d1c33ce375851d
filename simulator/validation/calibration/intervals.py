"""The kinds of interval that are calibrated, and their level."""

from __future__ import annotations

from typing import get_args

from bandit.ope.intervals import DEFAULT_INTERVAL, IntervalKind

CONFIDENCE_LEVEL = 0.95

CALIBRATED_KINDS: tuple[IntervalKind, ...] = (
    DEFAULT_INTERVAL,
    *(kind for kind in get_args(IntervalKind) if kind != DEFAULT_INTERVAL),
)
"""All kinds of interval, the default first."""

PLAIN_ESTIMATORS = ("ips", "snips", "dr", "sndr")
"""Estimators that are evaluated with every kind of interval; the others have the default only."""

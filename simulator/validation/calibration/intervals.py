"""The kinds of interval, the default first, and which of them take long."""

from __future__ import annotations

from typing import get_args

from bandit.ope.intervals import DEFAULT_INTERVAL, IntervalKind

CONFIDENCE_LEVEL = 0.95

DEFAULT_INTERVAL: IntervalKind = DEFAULT_INTERVAL

INTERVAL_KINDS: tuple[IntervalKind, ...] = (
    DEFAULT_INTERVAL,
    *(kind for kind in get_args(IntervalKind) if kind != DEFAULT_INTERVAL),
)

PLAIN_ESTIMATORS = ("ips", "snips", "dr", "sndr")
"""Estimators that are given every kind of interval; all are given the default."""

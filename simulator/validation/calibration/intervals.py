"""The kinds of interval, the default first, and which of them take long."""

from __future__ import annotations

from typing import get_args

from bandit.ope.intervals import DEFAULT_INTERVAL, IntervalKind

LEVEL = 0.95

DEFAULT: IntervalKind = DEFAULT_INTERVAL

KINDS: tuple[IntervalKind, ...] = (DEFAULT, *(kind for kind in get_args(IntervalKind) if kind != DEFAULT))

PLAIN = ("ips", "snips", "dr", "sndr")
"""Estimators that are given every kind of interval; all are given the default."""

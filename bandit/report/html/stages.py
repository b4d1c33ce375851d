"""Progress of several analyses as one number."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.domain import Progress

_PARTS = 1_000


class Stages:
    """Reports the progress of stages of different lengths, given as weights by name in their order, as one number."""

    def __init__(self, progress: Progress | None, weights: Mapping[str, float]) -> None:
        self._progress = progress
        self._total = sum(weights.values())
        self._before: dict[str, float] = {}
        done = 0.0
        for name, weight in weights.items():
            self._before[name] = done
            done += weight
        self._weights = dict(weights)

    def of(self, name: str) -> Progress:
        """Return the progress callback of one stage; a stage that is skipped counts as done when the next begins."""
        before, weight = self._before[name], self._weights[name]

        def report(done: int, total: int) -> None:
            if self._progress is not None:
                part = min(done / total, 1.0) if total else 0.0
                self._progress(round(_PARTS * (before + weight * part) / self._total), _PARTS)

        report(0, 1)
        return report

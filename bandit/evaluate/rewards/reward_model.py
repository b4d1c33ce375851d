"""The protocol of reward models: expected rewards q(x, a), learned from a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bandit.domain import RewardPredictor

if TYPE_CHECKING:
    from bandit.domain import FloatArray, LoggedBatch


class RewardModel(RewardPredictor, Protocol):
    """A model that learns expected rewards from logged decisions, batch by batch."""

    def learn(self, batch: LoggedBatch, weight: FloatArray | None = None) -> None:
        """Add a batch; called for every batch before the first prediction.

        `weight` (n,) says how often each row counts: by how many decisions it stands for, and by the weights of mrdr.
        """
        ...

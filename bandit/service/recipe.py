"""How a worker of the service opens its engine: plain values, so that they can be handed to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bandit.catalogue import Catalogue
from bandit.engine import Engine
from bandit.policies import build


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRecipe:
    """The database, the policy, and the settings of `Engine.open`; without a `catalogue` the database has both.

    `catalogue` is what `Catalogue.to_dict` returned, `policy` what the policy's `spec` did.
    """

    path: Path
    catalogue: Mapping[str, object] | None = None
    policy: Mapping[str, object] | None = None
    policy_id: int | None = None
    seed: int | None = None
    group: str | None = None
    durability: Literal["full", "process"] = "full"
    busy_timeout: float = 1.0
    keep_probabilities: bool = False
    customer_key: bytes | None = field(default=None, repr=False)

    def open(self) -> Engine:
        """Open the engine; the errors are those of `Engine.open` and `Engine.resume`."""
        if self.catalogue is None or self.policy is None:
            return Engine.resume(
                self.path,
                policy_id=self.policy_id,
                seed=self.seed,
                group=self.group,
                durability=self.durability,
                busy_timeout=self.busy_timeout,
                keep_probabilities=self.keep_probabilities,
                customer_key=self.customer_key,
            )
        catalogue = Catalogue.from_stored(self.catalogue)
        return Engine.open(
            self.path,
            catalogue,
            build(catalogue, self.policy),
            seed=self.seed,
            group=self.group,
            durability=self.durability,
            busy_timeout=self.busy_timeout,
            keep_probabilities=self.keep_probabilities,
            customer_key=self.customer_key,
        )

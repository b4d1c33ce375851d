"""The state of a roll-out: its mode, the live policies and their shares, and which arm serves which customer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.customer_numbers import customer_numbers
from bandit.catalogue.live_schema import RolloutMode
from bandit.domain import IntArray, ObjectArray
from bandit.errors import StoreError

Halt = Literal["kill", "guardrail"]
"""Why the policies do not serve: somebody killed them, or a guardrail stopped them."""

POLICY_ARM, RULES_ARM, FALLBACK_ARM = "policy", "rules", "fallback"
"""Names of arms: the champion, the segment rules, the catalogue's fallback. A challenger is "challenger:ID"."""

RAMP, CHALLENGERS = b"rollout", b"challenger"
"""Purposes of the two numbers of a customer: whether a policy serves it, and which one."""


@dataclass(frozen=True, slots=True)
class LivePolicy:
    """One of several live policies, by its number in the database, and its share of the customers that they serve."""

    policy_id: int
    share: float


@dataclass(frozen=True, slots=True)
class Arm:
    """What may serve a customer: its name, its share of the customers, and the policy's number.

    `policy_id` is None for rules and fallback, and for a champion that is the engine's own policy.
    """

    name: str
    share: float
    policy_id: int | None = None


@dataclass(frozen=True, slots=True)
class RolloutState:
    """How far the policies are rolled out.

    `share` is the share of customers whom the policies serve in the mode "ramp". `policies` are the live policies, the
    champion first, with shares that sum to 1; empty where the engine's own policy is the only one. `substitute` is the
    arm that serves in their place, "rules" or "fallback". `salt` deals the customers. `halted` says why no policy
    serves, whatever the mode. `declared` is the catalogue version that declared the mode, "" where a person set it.
    `previous` is the number of the change that `rollback` returns to, 0 for the state before any change.
    """

    mode: RolloutMode = "full"
    share: float = 1.0
    policies: tuple[LivePolicy, ...] = ()
    substitute: Literal["rules", "fallback"] = "fallback"
    salt: str = ""
    halted: Halt | None = None
    declared: str = ""
    previous: int = 0

    @property
    def policy_share(self) -> float:
        """The share of customers whom the policies serve."""
        if self.halted is not None or self.mode in {"shadow", "apprentice"}:
            return 0.0
        return self.share if self.mode == "ramp" else 1.0

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The substitute and the live policies with the shares of customers that each serves; kill has the fallback."""
        if self.halted == "kill":
            return (Arm(FALLBACK_ARM, 1.0),)
        served = self.policy_share
        first = Arm(self.substitute, 1.0 - served)
        if not self.policies:
            return (first, Arm(POLICY_ARM, served))
        champion, *challengers = self.policies
        return (
            first,
            Arm(POLICY_ARM, served * champion.share, champion.policy_id),
            *(Arm(challenger_arm(each.policy_id), served * each.share, each.policy_id) for each in challengers),
        )

    @property
    def is_plain(self) -> bool:
        """Whether one policy serves every customer, as without a roll-out."""
        return self.policy_share == 1.0 and len(self.policies) <= 1

    @property
    def has_shadow(self) -> bool:
        """Whether the champion's choice is logged beside the one that serves."""
        return self.mode == "shadow" and self.halted is None

    @property
    def champion(self) -> int | None:
        """The champion's number; None where it is the engine's own policy."""
        return self.policies[0].policy_id if self.policies else None

    def assign(self, customers: Sequence[str] | ObjectArray) -> IntArray:
        """Return the (n,) places in `arms` of what serves these customers, in stored form."""
        if self.halted == "kill":
            return np.zeros(len(customers), dtype=np.int64)
        numbers = customer_numbers(customers, self.salt, RAMP) if 0.0 < self.policy_share < 1.0 else None
        which = customer_numbers(customers, self.salt, CHALLENGERS) if len(self.policies) > 1 else None
        n = len(customers)
        return self.arm_of(np.zeros(n) if numbers is None else numbers, np.zeros(n) if which is None else which)

    def arm_of(self, numbers: np.ndarray, which: np.ndarray) -> IntArray:
        """Return the (n,) places in `arms` for customers with these two numbers in [0, 1).

        A policy serves where the first is below the share, so that a larger share moves customers one way only. The
        challengers have the second number from 0 up, in order, and the champion the rest.
        """
        if self.halted == "kill":
            return np.zeros(len(numbers), dtype=np.int64)
        levels = self.challenger_levels
        place = np.searchsorted(np.array(levels), which, side="right").astype(np.int64)
        policy = np.where(place < len(levels), place + 2, 1)
        return np.where(numbers < self.policy_share, policy, 0)

    @property
    def challenger_levels(self) -> tuple[float, ...]:
        """The cumulative shares of the challengers among the live policies."""
        return tuple(np.cumsum([each.share for each in self.policies[1:]]).tolist())

    def among(self, policy_ids: Collection[int]) -> RolloutState:
        """Return the state as it is for a catalogue version with these policies.

        It is the same where all live policies are among them. Otherwise none of them is live: a new version of the
        catalogue begins with the engine's own policy.
        """
        if all(each.policy_id in policy_ids for each in self.policies):
            return self
        return replace(self, policies=())

    def resumed(self) -> RolloutState:
        """Return the state without its halt."""
        return replace(self, halted=None)

    def to_json(self) -> str:
        """Return the state as the JSON text that is stored."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str) -> RolloutState:
        """Return a stored state; StoreError for a text that is none."""
        try:
            return msgspec.json.decode(text, type=RolloutState)
        except msgspec.DecodeError as fault:
            raise StoreError(f"a stored state of the roll-out cannot be read: {fault}; restore a backup") from fault


def declared_state(catalogue: Catalogue) -> RolloutState:
    """Return the state before any change: what a catalogue declares, or one policy that serves everybody."""
    declared, groups = catalogue.rollout, catalogue.groups
    rules = declared.rules if declared is not None else groups.rules if groups is not None else None
    substitute: Literal["rules", "fallback"] = "fallback" if rules is None else "rules"
    if declared is None:
        return RolloutState(substitute=substitute)
    return RolloutState(
        declared.mode, declared.share, substitute=substitute, salt=declared.salt, declared=catalogue.version
    )


def challenger_arm(policy_id: int) -> str:
    """Return the name of a challenger's arm.

    >>> challenger_arm(3)
    'challenger:3'
    """
    return f"challenger:{policy_id}"

"""What a policy takes over from another one, as a record and a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from bandit.policies.thompson.new_options import NEW_OPTION_CHANCE
from bandit.printable import counted
from bandit.store import CarriedPolicyRow

How = Literal["carried", "learned again", "folded anew", "untrained"]


@dataclass(frozen=True, slots=True)
class CarryReport:
    """What a new policy took over from another one: how, from which step, and how many outcomes.

    `details` are plain JSON values: new options and the share of draws that they begin with, recalled and dropped
    options. `reason` says why nothing could be taken over, "" where something was.
    """

    how: How
    from_policy: int
    from_step: int
    outcomes: int
    details: Mapping[str, object]
    reason: str = ""

    @property
    def words(self) -> str:
        """One sentence on what was taken over."""
        if self.how == "untrained":
            return (
                f"the policy begins untrained, though policy {self.from_policy} has learned here: {self.reason}; it "
                "serves from its prior until it has learned the log: call learn() before it decides"
            )
        what = _WORDS[self.how]
        source = f"policy {self.from_policy} at step {self.from_step}"
        text = f"the policy {what} {source} ({counted(self.outcomes, 'outcome')})"
        new = cast("Sequence[str]", self.details.get("new_options", ()))
        share = self.details.get("new_options_share")
        if new:
            text += f"; new: {', '.join(new)}"
        if isinstance(share, float):
            text += f", which together begin with {share:.0%} of the draws"
            if share < 0.5 * NEW_OPTION_CHANCE:
                text += f" (not {NEW_OPTION_CHANCE:.0%}: even with a good response they would seldom pay)"
        recalled = cast("Sequence[str]", self.details.get("recalled_options", ()))
        return text + (f"; recalled from before: {', '.join(recalled)}" if recalled else "")

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        shown = {key: value for key, value in self.details.items() if key not in _INTERNAL}
        return {
            "how": self.how,
            "from_policy": self.from_policy,
            "from_step": self.from_step,
            "outcomes": self.outcomes,
            "reason": self.reason,
            "words": self.words,
            **shown,
        }

    @staticmethod
    def of(row: CarriedPolicyRow) -> CarryReport:
        """Return the report of a row of the store."""
        details = dict(row.details)
        how, outcomes = details.pop("how", "carried"), details.pop("outcomes", 0)
        return CarryReport(cast("How", how), row.from_policy_id, row.from_step, int(str(outcomes)), details)


_WORDS = {
    "carried": "takes over the belief of",
    "learned again": "learns again what was learned by",
    "folded anew": "is folded anew, by other methods of learning, from what was learned by",
}

_INTERNAL = frozenset({"starts", "means", "older"})
"""Details by which a carried state can be computed again."""

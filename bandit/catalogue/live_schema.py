"""The structure of a catalogue's [rollout], [[guardrails]] and [sticky], validated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bandit.catalogue.group_schema import MAX_SALT_BYTES, SegmentRulesFile
from bandit.errors import CatalogueError

RolloutMode = Literal["shadow", "apprentice", "ramp", "full"]
"""How far a policy is rolled out: the rules serve (shadow, apprentice), both do (ramp), or the policy does (full)."""

GuardrailAction = Literal["stop", "warn"]
"""What a guardrail does once it is broken."""


class RolloutFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The [rollout]: how far the policy is rolled out, and what serves where it does not.

    `share` is the share of customers whom the policy serves in the mode "ramp"; `rules` are the segment rules that
    serve the others, by default those of the group `rules`, and without either the fallback does. `salt` deals the
    customers to the two.
    """

    mode: Annotated[
        RolloutMode,
        Meta(
            description="Who serves: the rules while the policy chooses beside (shadow) or learns only (apprentice), "
            "the policy a share of the customers (ramp), or the policy everybody (full).",
            examples=["shadow"],
        ),
    ] = "full"
    share: Annotated[
        float | None,
        Meta(
            description='The share of the customers whom the policy serves; with `mode = "ramp"` only.', examples=[0.1]
        ),
    ] = None
    rules: Annotated[
        SegmentRulesFile | None,
        Meta(
            description="The segment rules that serve the others; by default those of the group `rules`, else the "
            "fallback.",
            examples=[{"otherwise": {"channel": "email"}}],
        ),
    ] = None
    salt: Annotated[
        str,
        Meta(
            description="At most 64 bytes; another salt deals the customers to the arms anew.", examples=["2026-spring"]
        ),
    ] = ""

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield (kind, text) for every text that is stored; options are checked as parts of offers."""
        yield "salt", self.salt
        if self.rules is not None:
            yield "name", self.rules.name
            for segment in self.rules.segments:
                yield "segment", segment.name
                yield "condition", segment.when


class GuardrailFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One entry of [[guardrails]]: an event whose rate per decision must not be too high where the policy serves.

    Either `at_most`, a rate, or `against`, a group, and `worse_by`, the difference of rates that is accepted.
    """

    event: Annotated[str, Meta(description="The event that must not come too often.", examples=["unsubscribe"])]
    at_most: Annotated[
        float | None,
        Meta(description="The highest rate per decision that is accepted, above 0 and below 1.", examples=[0.004]),
    ] = None
    against: Annotated[
        str | None,
        Meta(
            description="The group whose rate the policy's is compared with, instead of `at_most`.", examples=["rules"]
        ),
    ] = None
    worse_by: Annotated[
        float | None,
        Meta(
            description="How much higher than that group's rate is accepted, 0 or more; with `against`.",
            examples=[0.001],
        ),
    ] = None
    action: Annotated[
        GuardrailAction,
        Meta(
            description="What happens once it is broken: the policy is stopped, or people are told.", examples=["warn"]
        ),
    ] = "stop"
    level: Annotated[
        float,
        Meta(description="How sure it must be that the bound is broken, at any look; 0.5 to below 1.", examples=[0.99]),
    ] = 0.95

    @property
    def words(self) -> str:
        """The guardrail in words, as `"unsubscribe" at most 0.004`."""
        if self.at_most is not None:
            return f'"{self.event}" at most {self.at_most:g}'
        return f'"{self.event}" at most {self.worse_by or 0.0:g} above {self.against}'


class StickyFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The [sticky]: how long a customer keeps an offer, and the events that end it before.

    In TOML the first key is written `for`.
    """

    duration: Annotated[
        str, Meta(description='How long after a decision the customer keeps its offer, as "3d".', examples=["3d"])
    ] = msgspec.field(name="for")
    until: Annotated[
        list[str],
        Meta(
            description="Events that end it before, recorded on the decision or a repeat of it.",
            examples=[["purchase"]],
        ),
    ] = []


def check_live_keys(content: Mapping[str, object]) -> None:
    """Raise CatalogueError for keys of these tables of which a type error would not say enough."""
    rollout = content.get("rollout")
    if isinstance(rollout, Mapping) and "from" in rollout:
        raise CatalogueError(
            "[rollout]: from is read with a catalogue file only; in a mapping, give the rules under rules"
        )


def check_rollout(rollout: RolloutFile, *, has_substitute: bool) -> None:
    """Raise CatalogueError for a share or a salt that cannot be used, and where nothing can serve for the policy."""
    if rollout.share is not None and not 0.0 < rollout.share <= 1.0:  # false for NaN as well
        raise CatalogueError(f"[rollout] share is above 0 and at most 1; seen {rollout.share}")
    if rollout.mode == "ramp" and rollout.share is None:
        raise CatalogueError('[rollout] mode = "ramp" needs a share; write share = 0.10 to begin with a tenth')
    if rollout.mode != "ramp" and rollout.share is not None:
        raise CatalogueError(f'[rollout] share is used with mode = "ramp" only; seen with mode = "{rollout.mode}"')
    if len(rollout.salt.encode()) > MAX_SALT_BYTES:
        raise CatalogueError(
            f"[rollout] salt has at most {MAX_SALT_BYTES} bytes; seen {len(rollout.salt.encode())}: use a shorter one"
        )
    if rollout.rules is not None and not 0.0 <= rollout.rules.exploration <= 1.0:
        raise CatalogueError(f"[rollout] exploration is a share between 0 and 1; seen {rollout.rules.exploration}")
    if not has_substitute:
        raise CatalogueError(
            '[rollout] has nothing to serve in place of the policy; name segment rules (from = "rules.toml"), declare '
            "the group rules, or a [fallback]"
        )


def check_guardrail(number: int, guardrail: GuardrailFile, groups: tuple[str, ...]) -> None:
    """Raise CatalogueError for a guardrail that bounds nothing or compares with a group that is not declared."""
    where = f"[[guardrails]] {number}"
    if (guardrail.at_most is None) == (guardrail.against is None):
        raise CatalogueError(f'{where}: write either at_most = 0.004 or against = "rules" with worse_by = 0.001')
    if guardrail.at_most is not None:
        if not 0.0 < guardrail.at_most < 1.0:
            raise CatalogueError(
                f"{where}: at_most is a rate per decision, above 0 and below 1; seen {guardrail.at_most}"
            )
        if guardrail.worse_by is not None:
            raise CatalogueError(f"{where}: worse_by is used with against only; seen with at_most")
    elif guardrail.worse_by is None or not 0.0 <= guardrail.worse_by < 1.0:
        raise CatalogueError(
            f"{where}: worse_by is the difference of rates that is accepted, 0 or more and below 1; "
            f"seen {guardrail.worse_by}"
        )
    if guardrail.against is not None and guardrail.against not in groups:
        declared = ", ".join(groups) or "none: declare [groups]"
        raise CatalogueError(f'{where}: there is no group "{guardrail.against}"; declared are {declared}')
    if guardrail.against == "policy":
        raise CatalogueError(f'{where}: the policy is compared with another group; seen against = "policy"')
    if not 0.5 <= guardrail.level < 1.0:
        raise CatalogueError(f"{where}: level is at least 0.5 and below 1; seen {guardrail.level}")

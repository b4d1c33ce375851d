"""The structure of a catalogue's [groups] and of the segment rules that one of them follows, validated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from bandit.catalogue.toml import read_toml
from bandit.errors import CatalogueError

GROUP_ORDER = ("policy", "rules", "random", "holdout")
"""The groups that a catalogue can declare, in the order in which their shares are added up."""

FALLBACK_OFFER = "fallback"
"""The name under which a holdout gets the catalogue's fallback."""

MAX_SALT_BYTES = 64
"""Longest salt in bytes of UTF-8: the longest key of blake2b."""

SHARE_TOLERANCE = 1e-9
"""Largest distance from 1 that declared shares may sum to."""


class SegmentFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One entry of [[segments]]: a condition and the offer of those for whom it holds."""

    when: Annotated[
        str,
        Meta(
            description="The [condition](conditions.md) on the facts: for whom the segment is.",
            examples=["gender == 'f'"],
        ),
    ]
    offer: Annotated[
        dict[str, str],
        Meta(
            description="What they get: one option of each dimension. Where it is not eligible, the next one is tried.",
            examples=[{"discount": "10", "channel": "email"}],
        ),
    ]
    name: Annotated[str, Meta(description="The segment's name, for people.", examples=["women"])] = ""


class SegmentRulesFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A file of segment rules."""

    segments: Annotated[
        list[SegmentFile],
        Meta(
            description="Segments in order: the first one whose condition holds names the offer.",
            examples=[[{"when": "loyal", "offer": {"channel": "sms"}}]],
        ),
    ] = []
    otherwise: Annotated[
        dict[str, str] | None,
        Meta(
            description="The offer of everybody else; by default the catalogue's fallback.",
            examples=[{"channel": "email"}],
        ),
    ] = None
    exploration: Annotated[
        float,
        Meta(
            description="The share of the decisions, 0 to 1, that gets any eligible offer at random, so that a log of "
            "the rules can tell what other offers are worth.",
            examples=[0.1],
        ),
    ] = 0.0
    name: Annotated[
        str, Meta(description="The name under which reports show the rules.", examples=["spring rules"])
    ] = "segment rules"


class GroupRulesFile(SegmentRulesFile, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The group `rules`: its share and its segment rules."""

    share: Annotated[float, Meta(description="The group's share of the customers, 0 to 1.", examples=[0.1])]


class HoldoutFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The group `holdout`: its share and the only offer that it gets."""

    share: Annotated[float, Meta(description="The group's share of the customers, 0 to 1.", examples=[0.05])]
    offer: Annotated[
        str | dict[str, str],
        Meta(
            description='What everybody in it gets: `"fallback"`, or one option of each dimension.',
            examples=["fallback", {"channel": "email"}],
        ),
    ] = FALLBACK_OFFER


class GroupsFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The [groups]; a group that is left out is not declared."""

    policy: Annotated[
        float | None, Meta(description="The share of the customers whom the policy serves, 0 to 1.", examples=[0.8])
    ] = None
    rules: Annotated[
        GroupRulesFile | None,
        Meta(
            description="Business as usual: its share and the segment rules that serve it.",
            examples=[{"share": 0.1, "otherwise": {"channel": "email"}}],
        ),
    ] = None
    random: Annotated[
        float | None,
        Meta(
            description="The share of the customers who get each eligible offer with the same chance.", examples=[0.05]
        ),
    ] = None
    holdout: Annotated[
        float | HoldoutFile | None,
        Meta(
            description="Customers who all get one offer, as a rule the one that gives nothing; a number is the share.",
            examples=[0.05],
        ),
    ] = None
    salt: Annotated[
        str,
        Meta(
            description="At most 64 bytes; another salt deals the customers to the groups anew.",
            examples=["2026-spring"],
        ),
    ] = ""
    teach: Annotated[
        bool | list[str],
        Meta(
            description="Which groups' decisions teach the policy: all, the policy's own only (false), or those named.",
            examples=[True, ["policy", "random"]],
        ),
    ] = True

    @property
    def shares(self) -> dict[str, float]:
        """The share of each declared group, in the order of `GROUP_ORDER`."""
        declared = {name: getattr(self, name) for name in GROUP_ORDER}
        return {
            name: float(group if isinstance(group, (int, float)) else group.share)
            for name, group in declared.items()
            if group is not None
        }

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield (kind, text) for every text that is stored; options are checked as parts of offers."""
        yield "salt", self.salt
        if self.rules is not None:
            yield "name", self.rules.name
            for segment in self.rules.segments:
                yield "segment", segment.name
                yield "condition", segment.when


def embed_rules(catalogue: Mapping[str, object], path: Path) -> Mapping[str, object]:
    """Return a catalogue file's content with the segment rules that its tables name under `from` in their place.

    These are [groups] rules and [rollout]. The rules' file is found from the catalogue's folder. What is stored of
    a catalogue then needs no other file.
    """
    groups, rollout = catalogue.get("groups"), catalogue.get("rollout")
    rules = groups.get("rules") if isinstance(groups, Mapping) else None
    if isinstance(groups, Mapping) and isinstance(rules, Mapping) and "from" in rules:
        others = [key for key in rules if key not in {"from", "share"}]
        content = _rules_of(rules["from"], others, "[groups] rules", path)
        shared = {key: value for key, value in rules.items() if key == "share"}
        catalogue = {**catalogue, "groups": {**groups, "rules": {**content, **shared}}}
    if isinstance(rollout, Mapping) and "from" in rollout:
        others = [key for key in rollout if key == "rules"]
        content = _rules_of(rollout["from"], others, "[rollout]", path)
        kept = {key: value for key, value in rollout.items() if key != "from"}
        catalogue = {**catalogue, "rollout": {**kept, "rules": content}}
    return catalogue


def _rules_of(name: object, others: list[str], where: str, path: Path) -> Mapping[str, object]:
    """Return the content of a file of segment rules; `others` are keys that must not stand beside `from`."""
    if not isinstance(name, str):
        raise CatalogueError(f"{path}: {where}: from is the path of a file of segment rules; seen {name!r}")
    if others:
        raise CatalogueError(
            f"{path}: {where}: has both from and {others[0]}; name a file or write the rules, not both"
        )
    file = path.parent / name
    content = read_toml(file, "segment rules")
    try:
        msgspec.convert(content, SegmentRulesFile)
    except msgspec.ValidationError as fault:
        raise CatalogueError(f"{file}: {fault}") from fault
    return content


def check_group_keys(groups: object) -> None:
    """Raise CatalogueError for keys of [groups] of which a type error would not say enough."""
    if not isinstance(groups, Mapping):
        return
    unknown = [str(key) for key in groups if key not in GroupsFile.__struct_fields__]
    if unknown:
        raise CatalogueError(
            f'[groups] has the unknown key "{unknown[0]}"; groups are {", ".join(GROUP_ORDER)}, settings salt and teach'
        )
    rules = groups.get("rules")
    if isinstance(rules, (int, float)):
        raise CatalogueError(
            f'[groups] rules = {rules} names no rules; write rules = {{ share = {rules}, from = "rules.toml" }}'
        )
    if isinstance(rules, Mapping) and "from" in rules:
        raise CatalogueError(
            "[groups] rules: from is read with a catalogue file only; in a mapping, give segments and otherwise"
        )


def check_groups(groups: GroupsFile, *, has_fallback: bool) -> None:
    """Raise CatalogueError for shares, a salt, a holdout or a list of teaching groups that cannot be used."""
    shares = groups.shares
    for name, share in shares.items():
        if not 0.0 <= share <= 1.0:  # false for NaN as well
            raise CatalogueError(f"[groups] {name}: the share of a group is between 0 and 1; seen {share}")
    total = math.fsum(shares.values())
    if abs(total - 1.0) > SHARE_TOLERANCE:
        seen = ", ".join(f"{name} = {share:g}" for name, share in shares.items()) or "no group"
        raise CatalogueError(f"[groups] shares must sum to 1, not {total:.10g} ({seen}); change one of them")
    if len(groups.salt.encode()) > MAX_SALT_BYTES:
        raise CatalogueError(
            f"[groups] salt has at most {MAX_SALT_BYTES} bytes; seen {len(groups.salt.encode())}: use a shorter one"
        )
    if groups.rules is not None and not 0.0 <= groups.rules.exploration <= 1.0:
        raise CatalogueError(f"[groups] rules: exploration is a share between 0 and 1; seen {groups.rules.exploration}")
    _check_holdout(groups.holdout, has_fallback=has_fallback)
    _check_teach(groups.teach, list(shares))


def _check_holdout(holdout: float | HoldoutFile | None, *, has_fallback: bool) -> None:
    offer = holdout.offer if isinstance(holdout, HoldoutFile) else FALLBACK_OFFER
    if isinstance(offer, str) and offer != FALLBACK_OFFER:
        raise CatalogueError(
            f'[groups] holdout: offer is "{FALLBACK_OFFER}" or one option of each dimension; seen "{offer}"'
        )
    if holdout is not None and offer == FALLBACK_OFFER and not has_fallback:
        raise CatalogueError(
            "[groups] holdout gets the fallback, and there is no [fallback]; declare one, or name the holdout's offer"
        )


def _check_teach(teach: bool | list[str], declared: list[str]) -> None:
    if isinstance(teach, bool):
        return
    if not teach:
        raise CatalogueError("[groups] teach is an empty list, so nothing would be learned; name the groups that teach")
    unknown = [name for name in teach if name not in declared]
    if unknown:
        raise CatalogueError(
            f'[groups] teach names "{unknown[0]}", which is not a declared group; declared are {", ".join(declared)}'
        )

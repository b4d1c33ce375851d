"""Segment rules as a policy, a common current practice: the first rule that matches names the offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.catalogue.conditions import Condition, compile_condition
from bandit.catalogue.toml import read_toml
from bandit.domain import BoolArray, Contexts, FloatArray
from bandit.errors import CatalogueError, OfferError, PolicyError
from bandit.policies.probabilities import check_share, mix_floor, one_hot, uniform_over
from bandit.policies.stateless import Stateless


class _SegmentFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    when: str
    offer: dict[str, str]
    name: str = ""


class _RulesFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    segments: list[_SegmentFile] = []
    otherwise: dict[str, str] | None = None
    exploration: float = 0.0
    name: str = "segment rules"


@dataclass(frozen=True, slots=True)
class _Segment:
    condition: Condition
    offer: int


class SegmentRules(Stateless):
    """The first matching segment whose offer is eligible names the offer; a share of exploration may be mixed in.

    Where no segment matches it is the offer of `otherwise`, then the catalogue's fallback; where neither is eligible,
    every eligible offer has the same probability.

    >>> import numpy as np
    >>> from bandit import Catalogue
    >>> channels = {"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}
    >>> catalogue = Catalogue.from_dict({"dimensions": [channels], "context": {"loyal": {"type": "boolean"}}})
    >>> segments = [{"when": "loyal", "offer": {"channel": "sms"}}]
    >>> policy = SegmentRules.from_dict(
    ...     catalogue, {"segments": segments, "otherwise": {"channel": "email"}, "exploration": 0.2}
    ... )
    >>> contexts = catalogue.contexts([{"loyal": True}, {"loyal": False}])
    >>> policy.probabilities(contexts, catalogue.eligible(contexts), np.random.default_rng(1)).round(9).tolist()
    [[0.1, 0.9], [0.9, 0.1]]
    """

    def __init__(self, catalogue: Catalogue, file: _RulesFile, where: str) -> None:
        """Use `from_toml` or `from_dict`."""
        self.catalogue = catalogue
        self.name = file.name
        self.file = file
        self.exploration = check_share("exploration", file.exploration)
        self.segments = tuple(
            _Segment(
                compile_condition(segment.when, catalogue.facts, f"{where}: segment {number}"),
                _offer(catalogue, segment.offer, f"{where}: segment {number}"),
            )
            for number, segment in enumerate(file.segments, start=1)
        )
        last = (
            catalogue.fallback if file.otherwise is None else _offer(catalogue, file.otherwise, f"{where}: otherwise")
        )
        if not self.segments and last is None:
            raise CatalogueError(f"{where}: there is no segment, no `otherwise` and no fallback; name an offer")
        self.otherwise = [offer for offer in (last, catalogue.fallback) if offer is not None]

    @staticmethod
    def from_toml(catalogue: Catalogue, path: str | Path) -> SegmentRules:
        """Read segment rules; CatalogueError says where and what is wrong."""
        return SegmentRules.from_dict(catalogue, read_toml(Path(path), "segment rules"), where=str(path))

    @staticmethod
    def from_dict(catalogue: Catalogue, mapping: Mapping[str, object], where: str = "segment rules") -> SegmentRules:
        """Build segment rules from the structure of their TOML file."""
        try:
            file = msgspec.convert(dict(mapping), _RulesFile)
        except msgspec.ValidationError as fault:
            raise CatalogueError(f"{where}: {fault}") from fault
        try:
            return SegmentRules(catalogue, file, where)
        except PolicyError as fault:
            raise CatalogueError(f"{where}: {fault}") from fault

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002
        """Return 1 for the named offer, less the share of exploration spread over the eligible ones, (n, N)."""
        offer = np.full(contexts.n, -1, dtype=np.int64)
        for segment in self.segments:
            offer[(offer < 0) & segment.condition(contexts) & eligible[:, segment.offer]] = segment.offer
        for last in self.otherwise:
            offer[(offer < 0) & eligible[:, last]] = last
        chosen = one_hot(np.maximum(offer, 0), eligible.shape[1])
        open_rows = offer < 0
        if open_rows.any():
            chosen[open_rows] = uniform_over(eligible[open_rows])
        return mix_floor(chosen, eligible, self.exploration)

    def spec(self) -> Mapping[str, object]:
        """Return the kind and the rules, in the structure of their TOML file."""
        return {"kind": "rules", **msgspec.to_builtins(self.file)}


def _offer(catalogue: Catalogue, offer: Mapping[str, str], where: str) -> int:
    try:
        return catalogue.offer_index(offer)
    except OfferError as fault:
        raise CatalogueError(f"{where}: {fault}") from fault

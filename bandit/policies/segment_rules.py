"""Segment rules as a policy, a common current practice: the first rule that matches names the offer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.catalogue.group_schema import SegmentRulesFile
from bandit.catalogue.hashed_values import segments_with
from bandit.catalogue.plain_values import shown
from bandit.catalogue.segments import IsEligible, compile_segments
from bandit.catalogue.toml import read_toml
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray
from bandit.errors import CatalogueError, PolicyError
from bandit.policies.probabilities import check_share, mix_floor, one_hot, uniform_over
from bandit.policies.stateless import Stateless


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

    draw_sets = 1

    def __init__(self, catalogue: Catalogue, file: SegmentRulesFile, where: str) -> None:
        """Use `from_toml` or `from_dict`."""
        self.catalogue = catalogue
        self.name = file.name
        self.exploration = check_share("exploration", file.exploration)
        self.compiled = compile_segments(
            file, catalogue.declared_facts, catalogue.offer_index, catalogue.fallback, where
        )
        self.file = segments_with(file, catalogue.stored_condition)

    @staticmethod
    def from_toml(catalogue: Catalogue, path: str | Path) -> SegmentRules:
        """Read segment rules; CatalogueError says where and what is wrong."""
        return SegmentRules.from_dict(catalogue, read_toml(Path(path), "segment rules"), where=str(path))

    @staticmethod
    def from_dict(catalogue: Catalogue, mapping: Mapping[str, object], where: str = "segment rules") -> SegmentRules:
        """Build segment rules from the structure of their TOML file."""
        if not isinstance(mapping, Mapping):
            raise CatalogueError(f"{where}: are built of the content of their TOML file; seen {shown(mapping)}")
        try:
            file = msgspec.convert(dict(mapping), SegmentRulesFile)
        except msgspec.ValidationError as fault:
            raise CatalogueError(f"{where}: {fault}") from fault
        try:
            return SegmentRules(catalogue, file, where)
        except PolicyError as fault:
            raise CatalogueError(f"{where}: {fault}") from fault

    def named(self, contexts: Contexts, is_eligible: IsEligible) -> IntArray:
        """Return the (n,) offers that the rules name; -1 where every eligible offer is as probable."""
        return self.compiled.named(contexts, is_eligible)

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002
        """Return 1 for the named offer, less the share of exploration spread over the eligible ones, (n, N)."""
        offer = self.named(contexts, lambda one: eligible[:, one])
        chosen = one_hot(np.maximum(offer, 0), eligible.shape[1])
        open_rows = offer < 0
        if open_rows.any():
            chosen[open_rows] = uniform_over(eligible[open_rows])
        return mix_floor(chosen, eligible, self.exploration)

    def spec(self) -> Mapping[str, object]:
        """Return the kind and the rules, in the structure of their TOML file."""
        return {"kind": "rules", **msgspec.to_builtins(self.file)}

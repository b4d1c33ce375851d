"""The catalogue of an import, extended by the offers of its log that it does not have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from bandit.catalogue import Catalogue
from bandit.logfiles.mapping.schema import LookupSection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.outside import OutsideOffers


@dataclass(frozen=True, eq=False)
class ImportTarget:
    """A catalogue to import a log under, and the mapping that reads the log's offers in it.

    `reading` has all the options of `stored`, none of them stopped: what it leaves as eligible is what the policy that
    wrote the log can have chosen from.
    """

    stored: Catalogue
    mapping: LogMapping
    extension: bool = False

    @cached_property
    def reading(self) -> Catalogue:
        """The catalogue that the rows are read with; its offers have the same numbers as those of `stored`."""
        if not self.extension:
            return self.stored
        plain = self.stored.to_dict()
        plain["dimensions"] = [
            dimension | {"options": [_without_stop(option) for option in dimension["options"]]}
            for dimension in cast("list[dict[str, Any]]", plain["dimensions"])
        ]
        return Catalogue.from_stored(plain, fact_hash=self.stored.fact_hash)

    def extended(self, outside: OutsideOffers) -> ImportTarget:
        """Return the target with these offers as well: unknown options are added as stopped, broken rules left out."""
        plain = self.stored.to_dict()
        unknown = list(dict.fromkeys(pair for each in outside.offers for pair in each.unknown))
        broken = {number for each in outside.offers for number in each.rules}
        plain["dimensions"] = [
            dimension
            | {
                "options": [
                    *dimension["options"],
                    *({"name": option, "stopped": True} for name, option in unknown if name == dimension["name"]),
                ]
            }
            for dimension in cast("list[dict[str, Any]]", plain["dimensions"])
        ]
        rules = cast("list[object]", plain.get("rules", []))
        plain["rules"] = [rule for number, rule in enumerate(rules, start=1) if number not in broken]
        catalogue = Catalogue.from_stored(plain, fact_hash=self.stored.fact_hash)
        return ImportTarget(
            catalogue, _with_keys(self.mapping, (each.offer for each in outside.offers)), extension=True
        )


def _without_stop(option: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in option.items() if key != "stopped"}


def _with_keys(mapping: LogMapping, offers: Iterable[tuple[str, ...]]) -> LogMapping:
    """Return the mapping whose look-up has the texts that named an offer by themselves."""
    section = mapping.offer
    if not isinstance(section, LookupSection):
        return mapping
    names = list(next(iter(section.lookup.values())))
    own = {offer[0]: dict.fromkeys(names, offer[0]) for offer in offers if len(set(offer)) == 1}
    return replace(mapping, offer=LookupSection(section.column, own | section.lookup))

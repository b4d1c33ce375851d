"""Offers of a log file that no policy of the catalogue can choose: what they are, how many rows have them, their costs.

Such rows stay in the log. Without them the other rows would not be a sample of what was decided, and propensities that
are right would look wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.offer_costs import costs_of
from bandit.catalogue.unavailable import removed_by, why_unavailable
from bandit.domain import OutsideReason
from bandit.errors import LogFileError
from bandit.printable import plain
from bandit.store.available_offers import most_first

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.catalogue.eligibility import Rule
    from bandit.catalogue.objective import Money
    from bandit.domain import IntArray

MAX_UNKNOWN_OPTIONS = 50
"""With more distinct unknown options of a dimension than this, its column is not that of the dimension."""

MOSTLY_OUTSIDE = 0.5
"""With a larger share of rows whose option is unknown, most declared options must occur in the file."""

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class OutsideOffer:
    """One offer that the catalogue does not have, or that a rule removes: the option of each dimension, and why.

    `unknown` has the (dimension, option) pairs that the catalogue does not have and `rules` the numbers of the rules
    that forbid the offer; `words` says it for people.
    """

    offer: tuple[str, ...]
    unknown: tuple[tuple[str, str], ...]
    rules: tuple[int, ...]
    words: str


class OutsideOffers:
    """Numbers the outside offers of a file in order of appearance, and counts the rows that have them."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.offers: list[OutsideOffer] = []
        self._numbers: dict[tuple[tuple[str, ...], int], int] = {}
        self._counts: Counter[int] = Counter()
        self._seen: dict[str, set[str]] = {name: set() for name in catalogue.dimension_names}
        self._unknown: dict[str, dict[str, None]] = {name: {} for name in catalogue.dimension_names}

    @property
    def n(self) -> int:
        """The number of rows counted."""
        return self._counts.total()

    def number(self, offer: Mapping[str, str]) -> int:
        """Return the number of an offer with an unknown option, or of a combination that stacking rules forbid."""
        key = (tuple(offer[name] for name in self.catalogue.dimension_names), 0)
        if key not in self._numbers:
            why = why_unavailable(self.catalogue, offer)
            for name, option in why.unknown:
                self._unknown[name][option] = None
            self._add(key, OutsideOffer(key[0], why.unknown, why.rules, why.words))
        return self._numbers[key]

    def removed(self, offer: int, rule: Rule) -> int:
        """Return the number of an offer of the catalogue that a rule with a condition removes for some customers."""
        key = (tuple(self.catalogue.offer(offer).values()), rule.number)
        if key not in self._numbers:
            words = removed_by(self.catalogue, rule)
            self._add(key, OutsideOffer(key[0], (), (rule.number,), words))
        return self._numbers[key]

    def note_options(self, offers: Iterable[Mapping[str, str]]) -> None:
        """Remember which options of the catalogue occur in the file."""
        for offer in offers:
            for name, option in offer.items():
                self._seen[name].add(option)

    def count(self, numbers: IntArray) -> None:
        """Count rows by the numbers of their offers, (n,)."""
        found, counts = np.unique(numbers, return_counts=True)
        self._counts.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))

    def reasons(self) -> tuple[OutsideReason, ...]:
        """Return why rows have an offer that no policy can choose, with their number, the most frequent first."""
        counts: Counter[tuple[str, bool]] = Counter()
        for number, n in self._counts.items():
            counts[self.offers[number].words, not self.offers[number].unknown] += n
        return tuple(OutsideReason(plain(words), n, known) for (words, known), n in most_first(counts))

    def money(self) -> Money:
        """Return the costs of the offers numbered so far; an unknown option costs nothing."""
        catalogue = self.catalogue
        codes = [{option: code for code, option in enumerate(dimension.names)} for dimension in catalogue.dimensions]
        rows = [[by.get(option, -1) for by, option in zip(codes, each.offer, strict=True)] for each in self.offers]
        options = np.array(rows, dtype=np.int64).reshape(-1, len(codes))
        return costs_of(catalogue.levers, options, catalogue.file.objective.stacking)

    def check_distinct(self, name: str) -> None:
        """Raise LogFileError, which names the file, where a dimension has too many unknown options to be its own."""
        for dimension, unknown in self._unknown.items():
            if len(unknown) > MAX_UNKNOWN_OPTIONS:
                raise LogFileError(
                    f'{name}: more than {MAX_UNKNOWN_OPTIONS} texts are no options of "{dimension}", such as '
                    f"{_examples(unknown)}; its options are {self._declared(dimension)}. Name the column of the "
                    "options in the mapping, or declare the options that were stopped with stopped = true"
                )

    def check_share(self, name: str, n_rows: int) -> None:
        """Raise LogFileError where the options of most rows are unknown, and most declared options never occur."""
        for dimension in self.catalogue.dimensions:
            counts: Counter[str] = Counter()
            for number, n in self._counts.items():
                for lever, option in self.offers[number].unknown:
                    if lever == dimension.name:
                        counts[option] += n
            declared = [option.name for option in dimension.options if not option.stopped]
            seen = [option for option in declared if option in self._seen[dimension.name]]
            if counts.total() > MOSTLY_OUTSIDE * n_rows and 2 * len(seen) < len(declared):
                shown = ", ".join(f"{option} ({n:,})" for option, n in counts.most_common(_SHOWN))
                occur = f"only {', '.join(seen)} occurs" if seen else "none of them occurs"
                raise LogFileError(
                    f'{name}: {counts.total():,} of {n_rows:,} rows have texts that are no options of "'
                    f'{dimension.name}", such as {plain(shown)}; its options are {self._declared(dimension.name)}, and '
                    f"{occur}. Correct the column or the map under [offer], or the catalogue; options that were "
                    "stopped are declared with stopped = true"
                )

    def _add(self, key: tuple[tuple[str, ...], int], offer: OutsideOffer) -> None:
        self._numbers[key] = len(self.offers)
        self.offers.append(offer)

    def _declared(self, name: str) -> str:
        dimension = next(each for each in self.catalogue.dimensions if each.name == name)
        more = len(dimension.names) - MAX_UNKNOWN_OPTIONS
        return ", ".join(dimension.names[:MAX_UNKNOWN_OPTIONS]) + (f" and {more:,} more" if more > 0 else "")


def _examples(unknown: Iterable[str]) -> str:
    return ", ".join(f'"{plain(option)}"' for option, _ in zip(unknown, range(_SHOWN), strict=False))

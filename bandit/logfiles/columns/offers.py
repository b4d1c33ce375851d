"""The offer of each row and its propensity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bandit.catalogue.near_names import near_name
from bandit.errors import CatalogueError, OfferError
from bandit.logfiles.columns.coded_text import coded
from bandit.logfiles.columns.number_style import number_cure
from bandit.logfiles.columns.values import INVALID, is_blank
from bandit.logfiles.mapping.mapping import LogMapping, fixed_propensity
from bandit.logfiles.mapping.schema import LookupSection, OptionSource
from bandit.logfiles.outside import OutsideOffers

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue, Dimension
    from bandit.domain import FloatArray, IntArray
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk


@dataclass(frozen=True, slots=True, eq=False)
class ReadOffers:
    """The offers of n rows: the number of each, and of those that the catalogue does not have that of `OutsideOffers`.

    Both are -1 where a row is rejected; otherwise exactly one is.
    """

    offer: IntArray
    outside: IntArray


_Found: TypeAlias = tuple[int, int, str, str]
"""The number of an offer, its number among the outside ones, the kind of fault and the message, which may be empty."""


_MOST_REMEMBERED = 10_000
"""Combinations of texts whose offers are remembered."""

_MOST_PLACES = 1 << 20


class OfferReader:
    """Reads the offer of each row: from one option per dimension, or from a table of whole offers.

    An offer that the catalogue does not have is counted in `outside`; the misspelt name of an option is rejected.
    """

    def __init__(self, catalogue: Catalogue, mapping: LogMapping) -> None:
        """Check [offer] against the catalogue; CatalogueError where it does not fit."""
        self.catalogue, self.outside = catalogue, OutsideOffers(catalogue)
        self.columns: list[str] = []
        self._maps: list[Mapping[str, str]] = []
        self._fixed: dict[str, str] = {}
        self._varying: list[str] = []
        self._lookup: Mapping[str, Mapping[str, str]] | None = None
        self._found: dict[tuple[str, ...], _Found] = {}
        if isinstance(mapping.offer, LookupSection):
            self.columns, self._lookup = [mapping.offer.column], mapping.offer.lookup
            for key, offer in self._lookup.items():
                _check_offer(catalogue, offer, f'{mapping.where}: [offer.lookup."{key}"]')
            return
        names = catalogue.dimension_names
        for name in [*names, *mapping.offer]:
            if name not in mapping.offer or name not in names:
                fault = "says nothing of the" if name in names else "names the unknown"
                raise CatalogueError(
                    f'{mapping.where}: [offer] {fault} dimension "{name}"; dimensions are {", ".join(names)}'
                )
        for dimension in catalogue.dimensions:
            source = mapping.offer[dimension.name]
            if isinstance(source, OptionSource):
                for option in source.map.values():
                    _check_option(dimension, option, f"{mapping.where}: [offer]")
                self.columns.append(source.column)
                self._maps.append(source.map)
                self._varying.append(dimension.name)
            elif source in dimension.codes:
                self._fixed[dimension.name] = source
            else:
                raise CatalogueError(
                    f'{mapping.where}: [offer] "{source}" is not an option of "{dimension.name}"; options are '
                    f'{", ".join(dimension.names)}; to read it from a column write {{ column = "{source}" }}'
                )
        if not self._varying:  # one offer for every row: known now, so wrong now
            _index(catalogue, self._fixed, f"{mapping.where}: [offer]")

    def read(self, chunk: SourceChunk, rejections: ChunkRejections) -> ReadOffers:
        """Return the numbers of the offers; rows whose offer cannot be used are rejected."""
        if not self.columns:
            fixed = np.full(len(chunk), self.catalogue.offer_index(self._fixed), dtype=np.int64)
            return ReadOffers(fixed, np.full(len(chunk), -1, dtype=np.int64))
        keys, which = _distinct_rows([chunk.columns[name] for name in self.columns])
        found = [self._known(key) for key in keys]  # in order of appearance
        for kind in dict.fromkeys(kind for _, _, kind, _ in found if kind):
            of_kind = np.array([its_kind == kind for _, _, its_kind, _ in found], dtype=np.bool_)
            rejections.reject(of_kind[which], kind, lambda row: found[which[row]][3])
        offers, outside = (np.array([each[place] for each in found], dtype=np.int64)[which] for place in (0, 1))
        return ReadOffers(offers, outside)

    def _known(self, key: tuple[str, ...]) -> _Found:
        """Return what `_offer` does, remembered from row to row."""
        if key not in self._found:
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            self._found[key] = self._offer(key)
        return self._found[key]

    def _offer(self, key: tuple[str, ...]) -> _Found:
        """Return the number of an offer or of an outside one, or the kind of fault and the message."""
        if self._lookup is not None:
            return self._looked_up(key[0], self._lookup)
        options = [table.get(text, text) for table, text in zip(self._maps, key, strict=True)]
        offer = self._fixed | dict(zip(self._varying, options, strict=True))
        mapped = dict(zip(self._varying, self._maps, strict=True))
        for dimension in self.catalogue.dimensions:
            option = offer[dimension.name]
            if option not in dimension.codes:
                message = f'"{option}" is not an option of "{dimension.name}"'
                if is_blank(option):
                    return -1, -1, "option is blank", message
                texts = mapped.get(dimension.name, {})
                meant = None if option in texts.values() else near_name(option, [*texts, *dimension.names])
                if meant is not None:
                    return -1, -1, "unknown option", f'{message}; did you mean "{meant}"?'
        return self._numbered(offer)

    def _looked_up(self, key: str, lookup: Mapping[str, Mapping[str, str]]) -> _Found:
        """Return the offer of a text of the look-up; a text that is not there names an offer by itself."""
        if key in lookup:
            return self._numbered(lookup[key])
        known = ", ".join(lookup)
        message = f'"{key}" in "{self.columns[0]}" is no offer of [offer.lookup], which has {known}'
        meant = near_name(key, lookup)
        declared = any(key in dimension.codes for dimension in self.catalogue.dimensions)
        if is_blank(key) or declared or meant is not None:
            message += "" if meant is None else f'; did you mean "{meant}"?'
            return -1, -1, "offer not in the look-up", message
        return self._numbered(dict.fromkeys(self.catalogue.dimension_names, key))

    def _numbered(self, offer: Mapping[str, str]) -> _Found:
        offer = self.catalogue.current_names(offer)
        self.outside.note_options([offer])
        index = int(self.catalogue.offer_indices({name: [option] for name, option in offer.items()})[0])
        return (index, -1, "", "") if index >= 0 else (-1, self.outside.number(offer), "", "")


class PropensityReader:
    """Reads the propensity of each row: a constant, a column, a share by offer, or unknown."""

    def __init__(self, catalogue: Catalogue, mapping: LogMapping) -> None:
        """Check the shares; CatalogueError for one outside (0, 1] and for an unknown option."""
        self.catalogue = catalogue
        self.columns: list[str] = []
        self._by_offer: FloatArray = np.full(catalogue.n_offers, np.nan)
        self._every = np.nan
        self.known = mapping.propensities_known
        self._of_table = mapping.file.table is not None and mapping.file.columns.propensity is None
        self._style = mapping.numbers
        try:
            given = mapping.file.columns.propensity
            if given is not None and self.known:
                fixed = fixed_propensity(given)
                if fixed is None:
                    self.columns = [str(given)]
                else:
                    self._by_offer[:] = self._every = fixed
            for number, entry in enumerate(mapping.file.propensity, start=1):
                value = fixed_propensity(entry.value)
                if value is None:
                    raise CatalogueError(f'[[propensity]] {number}: "{entry.value}" is no number and no fraction')
                hit = np.isnan(self._by_offer) & _with_options(catalogue, entry.offer, f"[[propensity]] {number}")
                self._by_offer[hit] = value
        except CatalogueError as fault:
            raise CatalogueError(f"{mapping.where}: {fault}") from fault

    def read(self, chunk: SourceChunk, offer: IntArray, rejections: ChunkRejections) -> FloatArray:
        """Return the propensities, (n,); rows where it is missing or outside (0, 1] are rejected.

        Where the mapping says "unknown", or policy tables have them, all are NaN, and no row is rejected. It may also
        be NaN where `offer` is -1, since no entry of [[propensity]] need cover an offer that the catalogue does not
        have.
        """
        if not self.known or self._of_table:
            return np.full(len(chunk), np.nan)
        if not self.columns:
            propensity = np.where(offer >= 0, self._by_offer[offer], self._every)
            rejections.reject(
                np.isnan(propensity) & (offer >= 0),
                "no propensity for the offer",
                lambda row: f"no entry of [[propensity]] covers the offer {self.catalogue.label(int(offer[row]))}",
            )
            return propensity
        texts = chunk.columns[self.columns[0]]
        propensity = self._style.shares(texts)
        rejections.reject(
            np.isnan(propensity), "propensity is blank", lambda _: f'the propensity "{self.columns[0]}" is blank'
        )
        rejections.reject(
            propensity == INVALID,
            "propensity is no number",
            lambda row: f'the propensity "{texts[row]}" is not a finite number{number_cure(texts[row], self._style)}',
        )
        rejections.reject(
            ~((propensity > 0) & (propensity <= 1)),
            "propensity outside (0, 1]",
            lambda row: f"the propensity {texts[row]} is outside (0, 1]",
        )
        return propensity


def _index(catalogue: Catalogue, offer: Mapping[str, str], where: str) -> int:
    """Return the number of an offer; CatalogueError, which says `where`, for one that the catalogue does not have."""
    try:
        return catalogue.offer_index(offer)
    except OfferError as fault:
        raise CatalogueError(f"{where}: {fault}") from fault


def _check_offer(catalogue: Catalogue, offer: Mapping[str, str], where: str) -> None:
    """Raise CatalogueError for an offer of other dimensions, and where an option is misspelt."""
    if set(offer) != set(catalogue.dimension_names):
        _index(catalogue, offer, where)
    for dimension in catalogue.dimensions:
        _check_option(dimension, offer[dimension.name], f"{where}:")


def _check_option(dimension: Dimension, option: str, where: str) -> None:
    """Raise CatalogueError for the misspelt name of an option; another unknown one may have been stopped since."""
    if option in dimension.codes:
        return
    meant = near_name(option, dimension.names)
    if meant is not None or is_blank(option):
        hint = "" if meant is None else f'; did you mean "{meant}"?'
        raise CatalogueError(
            f'{where} "{option}" is not an option of "{dimension.name}"; options are {", ".join(dimension.names)}{hint}'
        )


def _with_options(
    catalogue: Catalogue, offer: Mapping[str, str], where: str
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return the offers that have all the options named."""
    hit = np.ones(catalogue.n_offers, dtype=np.bool_)
    places = {dimension.name: place for place, dimension in enumerate(catalogue.dimensions)}
    for name, option in offer.items():
        if name not in places:
            raise CatalogueError(f'{where} names the unknown dimension "{name}"; dimensions are {", ".join(places)}')
        dimension = catalogue.dimensions[places[name]]
        _check_option(dimension, option, f"{where}:")
        if option not in dimension.codes:  # it may have been stopped since
            return np.zeros(catalogue.n_offers, dtype=np.bool_)
        hit &= catalogue.options[:, places[name]] == dimension.codes[option]
    return hit


def _distinct_rows(columns: Sequence[Sequence[str]]) -> tuple[list[tuple[str, ...]], IntArray]:
    """Return the distinct rows of columns of n texts in order of appearance, and which of them each row is, (n,)."""
    parts = [coded(texts) for texts in columns]
    which = np.zeros(len(parts[0]), dtype=np.int64)
    n_places = 1
    for part in parts:
        width = max(len(part.distinct), 1)
        if n_places * width > _MOST_PLACES:  # few of so many combinations can be there
            used, which = np.unique(which, return_inverse=True)
            n_places = len(used)
        which = which.reshape(-1) * width + part.codes
        n_places *= width
    if n_places > _MOST_PLACES:
        used, which = np.unique(which, return_inverse=True)
        which, n_places = which.reshape(-1), len(used)
    first = np.full(n_places, len(which), dtype=np.int64)
    first[which[::-1]] = np.arange(len(which) - 1, -1, -1)
    rows = np.sort(first[first < len(which)])
    number = np.empty(n_places, dtype=np.int64)
    number[which[rows]] = np.arange(len(rows))
    keys = zip(*([part.distinct[code] for code in part.codes[rows].tolist()] for part in parts), strict=True)
    return list(keys), number[which]

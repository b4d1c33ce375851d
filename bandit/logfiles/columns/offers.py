"""The offer of each row and its propensity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import CatalogueError, OfferError
from bandit.logfiles.columns.number_style import number_cure
from bandit.logfiles.columns.values import INVALID, is_blank
from bandit.logfiles.mapping.mapping import LogMapping, fixed_propensity
from bandit.logfiles.mapping.schema import LookupSection, OptionSource

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, IntArray
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk


class OfferReader:
    """Reads the offer of each row: from one option per dimension, or from a table of whole offers."""

    def __init__(self, catalogue: Catalogue, mapping: LogMapping) -> None:
        """Check [offer] against the catalogue; CatalogueError where it does not fit."""
        self.catalogue = catalogue
        self.columns: list[str] = []
        self._maps: list[Mapping[str, str]] = []
        self._fixed: dict[str, str] = {}
        self._varying: list[str] = []
        self._lookup: dict[str, int] | None = None
        if isinstance(mapping.offer, LookupSection):
            self.columns = [mapping.offer.column]
            self._lookup = {
                key: _index(catalogue, offer, f'{mapping.where}: [offer.lookup."{key}"]')
                for key, offer in mapping.offer.lookup.items()
            }
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
            options = [source] if isinstance(source, str) else list(source.map.values())
            unknown = [option for option in options if option not in dimension.codes]
            if unknown:
                hint = f'; to read it from a column write {{ column = "{unknown[0]}" }}'
                raise CatalogueError(
                    f'{mapping.where}: [offer] "{unknown[0]}" is not an option of "{dimension.name}"; options are '
                    f"{', '.join(dimension.names)}{hint if isinstance(source, str) else ''}"
                )
            if isinstance(source, OptionSource):
                self.columns.append(source.column)
                self._maps.append(source.map)
                self._varying.append(dimension.name)
            else:
                self._fixed[dimension.name] = source
        if not self._varying:  # one offer for every row: known now, so wrong now
            _index(catalogue, self._fixed, f"{mapping.where}: [offer]")

    def read(self, chunk: SourceChunk, rejections: ChunkRejections) -> IntArray:
        """Return the numbers of the offers, (n,); rows whose offer cannot be used are rejected and have -1."""
        if not self.columns:
            return np.full(len(chunk), self.catalogue.offer_index(self._fixed), dtype=np.int64)
        keys = list(zip(*(chunk.columns[name] for name in self.columns), strict=True))
        table = {key: self._offer(key) for key in set(keys)}
        found = {key: index for key, (index, _, _) in table.items()}
        offers = np.fromiter(map(found.__getitem__, keys), dtype=np.int64, count=len(keys))
        for kind in dict.fromkeys(kind for _, kind, _ in table.values() if kind):
            of_kind = {key for key, (_, its_kind, _) in table.items() if its_kind == kind}
            rows = np.fromiter(map(of_kind.__contains__, keys), dtype=np.bool_, count=len(keys))
            rejections.reject(rows, kind, lambda row: table[keys[row]][2])
        return offers

    def _offer(self, key: tuple[str, ...]) -> tuple[int, str, str]:
        """Return the number of an offer, or -1 with the kind of fault and the message."""
        if self._lookup is not None:
            index = self._lookup.get(key[0], -1)
            known = ", ".join(self._lookup)
            message = f'"{key[0]}" in "{self.columns[0]}" is no offer of [offer.lookup], which has {known}'
            return (index, "", "") if index >= 0 else (index, "offer not in the look-up", message)
        options = [table.get(text, text) for table, text in zip(self._maps, key, strict=True)]
        offer = self._fixed | dict(zip(self._varying, options, strict=True))
        for dimension in self.catalogue.dimensions:
            if offer[dimension.name] not in dimension.codes:
                blank = is_blank(offer[dimension.name])
                message = f'"{offer[dimension.name]}" is not an option of "{dimension.name}"'
                return -1, "option is blank" if blank else "unknown option", message
        try:
            return self.catalogue.offer_index(offer), "", ""
        except OfferError as fault:
            return -1, "offer is not legal", str(fault)


class PropensityReader:
    """Reads the propensity of each row: a constant, a column, a share by offer, or unknown."""

    def __init__(self, catalogue: Catalogue, mapping: LogMapping) -> None:
        """Check the shares; CatalogueError for one outside (0, 1] and for an unknown option."""
        self.catalogue = catalogue
        self.columns: list[str] = []
        self._by_offer: FloatArray = np.full(catalogue.n_offers, np.nan)
        self.known = mapping.propensities_known
        self._style = mapping.numbers
        try:
            given = mapping.file.columns.propensity
            if given is not None and self.known:
                fixed = fixed_propensity(given)
                if fixed is None:
                    self.columns = [str(given)]
                else:
                    self._by_offer[:] = fixed
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

        Where the mapping says "unknown" all are NaN, and no row is rejected.
        """
        if not self.known:
            return np.full(len(chunk), np.nan)
        if not self.columns:
            propensity = np.where(offer >= 0, self._by_offer[offer], np.nan)
            rejections.reject(
                np.isnan(propensity),
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


def _with_options(
    catalogue: Catalogue, offer: Mapping[str, str], where: str
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return the offers that have all the options named."""
    hit = np.ones(catalogue.n_offers, dtype=np.bool_)
    places = {dimension.name: place for place, dimension in enumerate(catalogue.dimensions)}
    for name, option in offer.items():
        if name not in places:
            raise CatalogueError(f'{where} names the unknown dimension "{name}"; dimensions are {", ".join(places)}')
        names = catalogue.dimensions[places[name]].names
        if option not in names:
            raise CatalogueError(f'{where}: "{option}" is not an option of "{name}"; options are {", ".join(names)}')
        hit &= catalogue.options[:, places[name]] == names.index(option)
    return hit

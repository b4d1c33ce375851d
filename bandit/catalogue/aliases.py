"""Earlier names of facts, values, dimensions and options: their checks, and the map from one catalogue to a later one.

An alias is a name that was used before, in the log or in an older version of the catalogue. It must not be a name that
is in use: then a logged decision would have two meanings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.catalogue.file_tables import CatalogueFile
from bandit.errors import CatalogueError

if TYPE_CHECKING:
    from bandit.catalogue.catalogue import Catalogue
    from bandit.catalogue.dimensions import Dimension


def check_aliases(file: CatalogueFile) -> None:
    """Refuse an alias that is empty, that is a name in use, or that two names share; CatalogueError says which."""
    _check(
        "dimension", [(dimension.name, dimension.aliases) for dimension in file.dimensions], "[[dimensions]] aliases"
    )
    for dimension in file.dimensions:
        named = [(option.name, option.aliases) for option in dimension.options]
        _check(f'option of "{dimension.name}"', named, "aliases of an option")
    _check("fact", [(name, fact.aliases) for name, fact in file.context.items()], "[context] aliases")
    for name, fact in file.context.items():
        unknown = [value for value in fact.value_aliases if value not in fact.values]
        if unknown:
            raise CatalogueError(
                f'[context] "{name}": value_aliases names "{unknown[0]}", which is not one of its values; '
                f"values are {', '.join(fact.values) or 'none: it is ' + fact.type}"
            )
        named = [(value, fact.value_aliases.get(value, [])) for value in fact.values]
        _check(f'value of "{name}"', named, "value_aliases")


def alias_texts(file: CatalogueFile) -> Iterator[tuple[str, str]]:
    """Yield ("alias", text) for every alias of a catalogue."""
    for dimension in file.dimensions:
        yield from (("alias", alias) for alias in dimension.aliases)
        yield from (("alias", alias) for option in dimension.options for alias in option.aliases)
    for fact in file.context.values():
        yield from (("alias", alias) for alias in fact.aliases)
        yield from (("alias", alias) for aliases in fact.value_aliases.values() for alias in aliases)


def _check(what: str, named: Sequence[tuple[str, Sequence[str]]], key: str) -> None:
    names = {name for name, _ in named}
    owners: dict[str, str] = {}
    for name, aliases in named:
        for alias in aliases:
            if not alias.strip():
                raise CatalogueError(f'{key}: the {what} "{name}" has an empty alias; write an earlier name')
            if alias in names:
                raise CatalogueError(
                    f'{key}: "{alias}" is the name of another {what}, so it cannot be an earlier name of "{name}"; '
                    "leave the alias out, or name the other one differently"
                )
            if alias in owners:
                raise CatalogueError(
                    f'{key}: "{alias}" is given twice as an earlier name of a {what} ("{owners[alias]}" and '
                    f'"{name}"); keep one of them'
                )
            owners[alias] = name


@dataclass(frozen=True, slots=True, eq=False)
class NameMap:
    """The names of one catalogue in a later one, by equal names or by the later one's aliases; None where gone."""

    before: Catalogue
    after: Catalogue

    def dimension(self, name: str) -> str | None:
        """Return the present name of a dimension."""
        found = self._dimension(name)
        return None if found is None else found.name

    def option(self, dimension: str, option: str) -> str | None:
        """Return the present name of an option of a dimension, both by their names before."""
        found = self._dimension(dimension)
        place = None if found is None else found.codes.get(option)
        return None if found is None or place is None else found.names[place]

    def fact(self, name: str) -> str | None:
        """Return the present name of a fact; None as well where it is of another type now.

        So it is where nothing of it was stored before, or is now.
        """
        if name not in self.before.facts:
            return None
        known = {alias: fact.name for fact in self.after.facts.values() for alias in fact.aliases}
        present = name if name in self.after.facts else known.get(name)
        if present is None or self.after.facts[present].kind != self.before.facts[name].kind:
            return None
        return present

    def value(self, fact: str, value: str) -> str | None:
        """Return the present name of a value of a categorical fact, both by their names before."""
        present = self.fact(fact)
        if present is None:
            return None
        values = self.after.facts[present]
        return value if value in values.values else values.value_aliases.get(value)

    def _dimension(self, name: str) -> Dimension | None:
        return next((each for each in self.after.dimensions if name == each.name), None) or next(
            (each for each in self.after.dimensions if name in each.aliases), None
        )

"""Names of a catalogue that look alike, which a person, a file or a form would confuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bandit.catalogue.file_tables import CatalogueFile
from bandit.catalogue.text_form import first_alike
from bandit.errors import CatalogueError


def check_alike(file: CatalogueFile) -> None:
    """Raise CatalogueError where two dimensions, options, facts or values look alike.

    Names look alike that are equal in Unicode's form KC without case, and with spaces run together: "tote bag" and
    "Tote  bag". Those of stored catalogues are not looked at.
    """
    for what, names in _lists(file):
        found = first_alike(names)
        if found is not None:
            one, other = found
            raise CatalogueError(
                f"the {what} {one!r} and {other!r} look alike (they differ in case, in spaces or in how Unicode "
                "writes a character); keep one of them, or name them so that nobody confuses them"
            )


def _lists(file: CatalogueFile) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield (kind, names) of every list of names that must differ."""
    yield "dimensions", [dimension.name for dimension in file.dimensions]
    for dimension in file.dimensions:
        yield f'options of "{dimension.name}"', [option.name for option in dimension.options]
    yield "facts of [context]", list(file.context)
    for name, fact in file.context.items():
        yield f'values of "{name}"', fact.values

"""Mappings that ship: list them, print one, and find the one that an option names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.console import note, progress, show, show_json
from bandit.cli.options import AsJson, CatalogueFile
from bandit.errors import InputError, LogFileError

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles import LogMapping


def mappings(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The mapping to print; without it, all are listed.")
    ] = None,
    log: Annotated[Path | None, typer.Argument(metavar="LOG", help="The file that it is to be fitted to.")] = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    """List the mappings that ship, or print one: for events of Braze, Klaviyo, Segment and RudderStack.

    `import`, `evaluate` and others take the name in place of a mapping's file: the mapping is fitted to the events and
    properties that the log has and to the catalogue's options. With a log and --catalogue that mapping is printed, to
    be kept and changed: `offer-bandit mappings segment events.jsonl --catalogue catalogue.toml > mapping.toml`. With a
    name alone, the paths are printed at which it looks for each thing.
    """
    from bandit.catalogue import Catalogue
    from bandit.logfiles.shipped.fit import shipped_mapping
    from bandit.logfiles.shipped.paths import SHIPPED_MAPPINGS, shipped_paths, shipped_text

    if name is None:
        listed = {each: shipped_paths(each).about for each in SHIPPED_MAPPINGS}
        if as_json:
            show_json(listed)
        else:
            show([], [f"{each}: {about}" for each, about in listed.items()])
        return
    if name not in SHIPPED_MAPPINGS:
        raise InputError(f'no mapping "{name}" ships; there are {", ".join(SHIPPED_MAPPINGS)}')
    if (log is None) != (catalogue is None):
        raise InputError("a mapping is fitted to a log and a catalogue; give both, or neither to print where it looks")
    if log is None or catalogue is None:
        text = shipped_text(name)
    else:
        if not log.is_file():
            raise LogFileError(f"{log}: there is no such file; check the path of the log")
        with progress("reading") as report:
            fitted = shipped_mapping(name, log, Catalogue.from_toml(catalogue), progress=report)
        note(f"note: {fitted.sentence}")
        text = fitted.toml
    if as_json:
        import tomllib

        show_json(tomllib.loads(text))
    else:
        sys.stdout.write(text)


def is_shipped(mapping: Path) -> bool:
    """Return whether an option names a mapping that ships, and no file of that name is there."""
    from bandit.logfiles.shipped.paths import SHIPPED_MAPPINGS

    return str(mapping) in SHIPPED_MAPPINGS and not mapping.exists()


def mapping_file(mapping: Path) -> LogMapping:
    """Read the file of a mapping; InputError, with the mappings that ship, where a plain name is that of none."""
    from bandit.logfiles import LogMapping
    from bandit.logfiles.coverage import nearest_name
    from bandit.logfiles.shipped.paths import SHIPPED_MAPPINGS

    if mapping.suffix or mapping.exists():
        return LogMapping.from_toml(mapping)
    near = nearest_name(str(mapping), SHIPPED_MAPPINGS)
    hint = f'; did you mean "{near}"?' if near else "."
    raise InputError(
        f"{mapping}: there is no such file, and no mapping of that name ships{hint} Those that ship are "
        f"{', '.join(SHIPPED_MAPPINGS)}"
    )


def mapping_of(mapping: Path, log: Path, catalogue: Catalogue) -> LogMapping:
    """Return the mapping that an option names: a file's, or one that ships, fitted to the log."""
    from bandit.logfiles.shipped.fit import shipped_mapping

    if not is_shipped(mapping):
        return mapping_file(mapping)
    with progress("looking through the log") as report:
        fitted = shipped_mapping(str(mapping), log, catalogue, progress=report)
    note(f"note: {fitted.sentence}")
    return fitted.mapping

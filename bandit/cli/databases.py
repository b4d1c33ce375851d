"""Open the database of a command."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bandit.catalogue import Catalogue
from bandit.cli.console import progress
from bandit.cli.datasets import refuse_dataset
from bandit.errors import InputError
from bandit.store import Store
from bandit.store.customer_key import customer_key
from bandit.store.schema import VERSION
from bandit.store.schema.reported_progress import reporting_migration

_VERSION_AT = slice(60, 64)
"""Place of the version of the schema in a database's header."""


def require(path: Path) -> None:
    """Raise InputError for a dataset, and if there is no file: a misspelt name must not create an empty database."""
    refuse_dataset(path)
    if not path.exists():
        raise InputError(
            f"{path}: there is no such database; create one with `offer-bandit import`, or correct the path"
        )


@contextmanager
def migration_shown(path: Path) -> Iterator[None]:
    """Show how far a migration is where the database that is opened inside is of an older version."""
    header = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        header = file.read(_VERSION_AT.stop)
    version = int.from_bytes(header[_VERSION_AT], "big")
    if 0 < version < VERSION and header.startswith(b"SQLite format 3\0"):
        with progress("bringing the database up to date") as report, reporting_migration(report):
            yield
    else:
        yield


def reading(path: Path) -> Store:
    """Open an existing database read-only."""
    require(path)
    return Store.open(path, customer_key=customer_key(), read_only=True)


def writing(path: Path) -> Store:
    """Open an existing database for reading and writing."""
    require(path)
    with migration_shown(path):
        return Store.open(path, customer_key=customer_key(), create=False)


def opening(path: Path) -> Store:
    """Open a database for reading and writing; it is made if it is not there."""
    refuse_dataset(path)
    with migration_shown(path):
        return Store.open(path, customer_key=customer_key())


def checking(path: Path) -> Store:
    """Open an existing database for reading and writing, or read-only where it may not be written to."""
    require(path)
    writable = os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)
    return writing(path) if writable else reading(path)


def reading_without_key(path: Path) -> Store:
    """Open an existing database read-only, for what names no customer; needs no customer key."""
    require(path)
    return Store.open(path, read_only=True, unnamed_customers=True)


def writing_without_key(path: Path) -> Store:
    """Open an existing database for reading and writing what names no customer; needs no customer key."""
    require(path)
    with migration_shown(path):
        return Store.open(path, unnamed_customers=True, create=False)


@contextmanager
def all_or_nothing(path: Path) -> Iterator[None]:
    """Remove a database that this command created if the command fails."""
    before = path.exists()
    try:
        yield
    except BaseException:
        if not before:
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(name).unlink(missing_ok=True)
        raise


def catalogue_for(store: Store, file: Path | None) -> Catalogue:
    """Return the catalogue in a file, or the newest in the database."""
    if file is not None:
        return Catalogue.from_toml(file)
    latest = store.catalogues.latest()
    if latest is None:
        raise InputError(f"{store.path}: the database has no catalogue yet; give one with --catalogue")
    return latest[1]

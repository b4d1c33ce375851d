"""Open the database of a command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bandit.catalogue import Catalogue
from bandit.errors import InputError
from bandit.store import Store
from bandit.store.customer_key import customer_key


def require(path: Path) -> None:
    """Raise InputError if the file does not exist: a misspelt name must not create an empty database."""
    if not path.exists():
        raise InputError(
            f"{path}: there is no such database; create one with `offer-bandit import`, or correct the path"
        )


def reading(path: Path) -> Store:
    """Open an existing database read-only."""
    require(path)
    return Store.open(path, customer_key=customer_key(), read_only=True)


def writing(path: Path) -> Store:
    """Open an existing database for reading and writing."""
    require(path)
    return Store.open(path, customer_key=customer_key(), create=False)


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

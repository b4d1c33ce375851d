"""Opening the database that a command names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bandit.catalogue import Catalogue
from bandit.errors import InputError
from bandit.store import Store
from bandit.store.customer_key import customer_key


def require(path: Path) -> None:
    """InputError where there is no such file: a misspelt name must not make an empty database."""
    if not path.exists():
        raise InputError(f"{path}: there is no such database; create one with `offer-bandit import`, or mend the path")


def reading(path: Path) -> Store:
    """Open an existing database without writing."""
    require(path)
    return Store.open(path, customer_key=customer_key(), read_only=True)


def writing(path: Path) -> Store:
    """Open an existing database."""
    require(path)
    return Store.open(path, customer_key=customer_key())


@contextmanager
def all_or_nothing(path: Path) -> Iterator[None]:
    """Take away a database that was not there before, where what was to fill it fails."""
    before = path.exists()
    try:
        yield
    except BaseException:
        if not before:
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(name).unlink(missing_ok=True)
        raise


def catalogue_for(store: Store, file: Path | None) -> Catalogue:
    """Return the catalogue of the file named, or the newest that the database knows."""
    if file is not None:
        return Catalogue.from_toml(file)
    latest = store.catalogues.latest()
    if latest is None:
        raise InputError(f"{store.path}: the database knows no catalogue yet; name one with --catalogue")
    return latest[1]

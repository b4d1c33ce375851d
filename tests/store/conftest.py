"""Fixtures of the store's tests: an empty store, its catalogue's number, and the bytes of a filled file."""

import pytest

from bandit.catalogue import Catalogue
from bandit.store import Store
from tests.conftest import SPRING
from tests.store.rows import decisions, events


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


@pytest.fixture
def store(path):
    """An empty store with a customer key."""
    with Store.open(path, customer_key=b"a key for our tests", durability="process") as opened:
        yield opened


@pytest.fixture
def number(store, catalogue):
    """The number of the catalogue that is registered in `store`."""
    return store.catalogues.register(catalogue)


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    """The bytes of a store with 120 decisions."""
    path = tmp_path_factory.mktemp("sound") / "offers.db"
    with Store.open(path, durability="process") as store:
        number = store.catalogues.register(Catalogue.from_dict(SPRING))
        store.decision_writer.append(decisions(number, 10, [f"d{row}" for row in range(120)]))
        store.events.append(events([f"d{row}" for row in range(0, 120, 3)], revenue=3.0))
        store.catalogues.register_policy(number, {"kind": "uniform"})
    return path.read_bytes()

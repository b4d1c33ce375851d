"""A store without a customer key, whose spools hold customers as they are."""

import pytest

from bandit.store import Store


@pytest.fixture
def store(path, catalogue):
    with Store.open(path, durability="process") as opened:
        opened.catalogues.register(catalogue)
        yield opened

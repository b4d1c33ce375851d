"""A store with six decisions that the only policy of its catalogue may learn."""

import numpy as np
import pytest

from bandit.store import Store, state_hash
from tests.store.rows import decisions

N = 10


@pytest.fixture
def store(tmp_path, catalogue):
    with Store.open(tmp_path / "offers.db", durability="process") as opened:
        number = opened.catalogues.register(catalogue)
        opened.catalogues.register_policy(number, {"kind": "uniform"})
        opened.decision_writer.append(decisions(number, N, list("abcdef"), time=np.zeros(6, int)))
        opened.ledger.record_step(1, 0, None, state_hash(b"0"), b"0")
        yield opened

"""The integrity check finds what was tampered with or damaged."""

import sqlite3

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.errors import StoreError
from bandit.store import Store, StoreLog, state_hash
from tests.conftest import SPRING
from tests.store.rows import decisions, fill

N = 10


def test_check_finds_what_was_tampered_with(path):
    fill(path)
    with Store.open(path) as store:
        store.catalogues.register_policy(1, {})
        store.ledger.record_step(1, 0, None, state_hash(b"state"), b"state")
        vectors = np.full((1, N), 1 / N)
        store.decision_writer.append(decisions(1, N, ["c"], probabilities=vectors))
        assert store.check() == []
    raw = sqlite3.connect(path)
    raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
    raw.execute("UPDATE snapshots SET state = x'00'")
    raw.execute("UPDATE decisions SET offer = 77 WHERE decision_id = 'a'")
    raw.execute("UPDATE decisions SET propensity = 0.5 WHERE decision_id = 'c'")
    raw.execute("UPDATE catalogues SET version = 'x'")
    raw.execute("UPDATE eligible_sets SET digest = x'00'")
    raw.execute("UPDATE policy_steps SET n = 5")
    raw.execute("PRAGMA ignore_check_constraints = ON")
    raw.execute("UPDATE decisions SET propensity = 1.5 WHERE decision_id = 'b'")
    raw.execute("UPDATE decisions SET customer_id = 99 WHERE decision_id = 'b'")
    raw.commit()
    raw.close()
    with Store.open(path) as store:
        problems = "\n".join(store.check())
    for words in (
        "row 2 of decisions names a row of customers",
        "stored as version x",
        "eligible set 1 has other content",
        '"b" has the propensity 1.5',
        "the offer 77, which is not in its eligible set",
        "the propensity 0.5 and the probability 0.1",
        "stored with 5 outcomes and 0 are there",
        "state of policy 1 after step 0",
    ):
        assert words in problems


def test_check_reports_a_damaged_page(path):
    fill(path, ids=[f"d{i}" for i in range(2_000)])
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 4096 // 2 * 4096)
        file.write(b"\xff" * 4096 * 5)
    with Store.open(path) as store:
        assert any("damaged" in problem or "cannot be read" in problem for problem in store.check())


def test_a_context_that_is_not_json_is_found(tmp_path, sound):
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    raw = sqlite3.connect(path)
    raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
    raw.execute("UPDATE decisions SET context = '{' WHERE decision_id = 'd5'")
    raw.commit()
    raw.close()
    with Store.open(path) as store:
        assert any('"d5" has a context that is not JSON' in problem for problem in store.check())
        with pytest.raises(StoreError, match="a stored context"):
            list(StoreLog(store, Catalogue.from_dict(SPRING)).batches())

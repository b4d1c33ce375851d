"""An import writes decisions and events once, completely or not at all."""

from importlib import import_module

import numpy as np
import pytest

from bandit.errors import DuplicateError, LogFileError
from bandit.logfiles import import_log
from bandit.store import Store
from tests.logfiles.import_tools import (
    HEADER,
    ROW,
    bring,
    columns_of,
    is_empty,
    mapping,
    read_back,
    row,
    sample,
    spring,
    table,
)

NOON = 1_772_366_400_000_000  # 2026-03-01 12:00 UTC


def test_a_row_becomes_a_decision_with_its_outcome(tmp_path):
    """Profit of 52.5 at a margin of .35 less 10 %, a tote of 1.20, a mail of .01: 52.5 x .25 - 1.20 - .01 = 11.915."""
    bring(tmp_path, table(ROW))
    stored = columns_of(tmp_path)
    assert stored.customer.tolist() == ["anna"]
    assert stored.time.tolist() == [NOON]
    assert stored.group.tolist() == ["import"]
    assert stored.policy_id.tolist() == [-1]
    assert stored.closed.tolist() == [True]
    batch = read_back(tmp_path)
    assert spring().offer(int(batch.offer[0])) == {"discount": "10", "channel": "email", "gift": "tote"}
    assert batch.propensity.tolist() == [0.25]
    assert batch.reward.tolist() == pytest.approx([11.915])


def test_the_same_file_again_adds_nothing(tmp_path):
    rows = table(*sample(300, np.random.default_rng(1)), row(id="bad", p="7"))
    first, before = bring(tmp_path, rows), columns_of(tmp_path)
    again, after = bring(tmp_path, rows), columns_of(tmp_path)
    assert (first.n_imported, first.n_repeated, first.n_refused) == (300, 0, 1)
    assert (again.n_imported, again.n_repeated, again.n_refused) == (0, 300, 1)
    assert before.n_events.tolist() == after.n_events.tolist()


def test_wide_catalogues_are_written_in_slices(tmp_path, monkeypatch):
    monkeypatch.setattr(import_module("bandit.logfiles.import_log"), "MASK_CELLS", 70)
    bring(tmp_path, table(*sample(40, np.random.default_rng(4))))
    stored = columns_of(tmp_path)
    assert stored.decision_id.tolist() == [f"d{i}" for i in range(40)]


def test_progress_rises_to_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(import_module("bandit.logfiles.import_log"), "IMPORT_CHUNK_ROWS", 100)
    seen = []
    text = table(*sample(1_000, np.random.default_rng(5)))
    bring(tmp_path, text, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (2 * len(text), 2 * len(text))
    assert len(seen) > 5


def test_a_fault_after_many_chunks_leaves_nothing_of_them(tmp_path, monkeypatch):
    """Nine chunks were appended within the transaction before the tenth turned out malformed."""
    monkeypatch.setattr(import_module("bandit.logfiles.import_log"), "IMPORT_CHUNK_ROWS", 10)
    text = table(*sample(95, np.random.default_rng(2))) + '"open,'
    with pytest.raises(LogFileError, match="line 97"):
        bring(tmp_path, text)
    assert is_empty(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no header"),
        ("\n", "has no header"),
        ("id,who\n", 'line 1 has no column "at"'),
        (table([*ROW, "d2"], header=[*HEADER, "id"]), 'line 1 has the column "id" 2 times'),
        (table(), "has no rows"),
    ],
)
def test_a_file_without_what_the_mapping_names_is_refused(tmp_path, text, words):
    with pytest.raises(LogFileError, match=words.replace("(", r"\(")):
        bring(tmp_path, text)
    assert is_empty(tmp_path)


def test_strict_refuses_the_file_for_one_row_and_names_it(tmp_path):
    with pytest.raises(LogFileError, match="1 of 2 rows are refused, the first at line 3: the propensity 0 is"):
        bring(tmp_path, table(row(id="a"), row(id="b", p="0")), strict=True)
    assert is_empty(tmp_path)


def test_an_id_that_the_log_has_with_other_content_refuses_the_file(tmp_path):
    bring(tmp_path, table(row(id="a")))
    with pytest.raises(DuplicateError, match='"a"'):
        bring(tmp_path, table(row(id="b"), row(id="a", disc="0")))
    assert columns_of(tmp_path).decision_id.tolist() == ["a"]


def test_a_path_that_cannot_be_read_is_refused(tmp_path):
    with Store.open(tmp_path / "offers.db") as store:
        for path in (tmp_path / "nothing.csv", tmp_path):
            with pytest.raises(LogFileError, match="cannot be read"):
                import_log(store, spring(), mapping(), path)

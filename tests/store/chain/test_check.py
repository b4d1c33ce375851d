"""The chain shows every change of a row, every deletion, and every row of others."""

import sqlite3

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.errors import InputError
from bandit.store import ChainAnchor, Store
from bandit.store.chain.kinds import KINDS, MAX_NUMBER, owners
from tests.conftest import SPRING
from tests.store.chain.conftest import change, problems
from tests.store.rows import decisions, events, fill

CHANGED = {
    "an event's revenue": ("UPDATE events SET revenue = 4.0 WHERE id = 2", "event 2"),
    "an event's name": ("UPDATE events SET event = 'return' WHERE id = 3", "event 3"),
    "an event's time": ("UPDATE events SET time = time + 1 WHERE id = 1", "event 1"),
    "a correction": ("UPDATE events SET corrects = 4 WHERE corrects IS NOT NULL", "event 16"),
    "a group": ("UPDATE decisions SET grp = 'rules' WHERE decision_id = 'd5'", 'decision "d5" (number 6)'),
    "the text of a fault": ("UPDATE decisions SET fault = 'none' WHERE fault IS NOT NULL", 'decision "alone"'),
    "a context": ("UPDATE decisions SET context = '{}' WHERE seq = 1", 'decision "d0" (number 1)'),
    "a batch": ("UPDATE decisions SET batch = 'd1' WHERE seq = 2", 'decision "d1" (number 2)'),
    "who it was": ("UPDATE decisions SET customer_id = 2 WHERE seq = 1", 'decision "d0" (number 1)'),
    "a customer's key": ("UPDATE customers SET key = 'customer-x' WHERE id = 2", "customer 2"),
    "a weight": ("UPDATE decision_weights SET weight = 2.0", 'decision "heavy"'),
    "an arm": ("UPDATE decision_arms SET arm = 'rules' WHERE arm = 'policy'", 'decision "arm0"'),
    "why offers were removed": ("UPDATE eligible_sets SET removals = NULL", "eligible set 2"),
    "a repeat": ("UPDATE repeats SET context = '{}' WHERE decision_id = 'r2'", 'the repeat "r2"'),
    "a catalogue": ("UPDATE catalogues SET name = 'x'", "catalogue 1"),
    "an offer's name": ("UPDATE offers SET options = '{}' WHERE offer = 3", "catalogue 1"),
    "a policy's settings": ("UPDATE policies SET decides_from = 1 WHERE id = 1", "policy 1"),
    "what was taken over": ("UPDATE carried_policies SET from_step = 1", "policy 2"),
    "changed states": ("INSERT INTO changed_states VALUES (1, 1, 2)", "policy 1"),
    "a change of the roll-out": ("UPDATE rollout_changes SET author = 'x'", "change of the roll-out 1"),
    "an import": ("UPDATE imports SET n_refused = 1", "import 1"),
    "a maintenance run": ("UPDATE upkeep SET kind = 'erase'", "maintenance run 1"),
    "what was learned": ("UPDATE learned SET revenue = revenue + 1 WHERE seq = 4", "what policy 1 learned in step 1"),
    "the hash of a state": (
        "UPDATE policy_steps SET state_hash = 'x' WHERE step = 1",
        "state of policy 1 after step 1",
    ),
    "how far learning looked": ("UPDATE learning_reach SET event = 99", "progress of learning of policy 1"),
}

DELETED = {
    "an event": ("DELETE FROM events WHERE id = 5", "event 5 is not there"),
    "the last event": ("DELETE FROM events WHERE id = (SELECT MAX(id) FROM events)", "is not there"),
    "a decision": ("DELETE FROM decisions WHERE decision_id = 'd7'", "decision number 8 is not there"),
    "the last decision": ("DELETE FROM decisions WHERE decision_id = 'narrow'", "is not there"),
    "a repeat": ("DELETE FROM repeats WHERE decision_id = 'r1'", "1 repeat"),
    "an import": ("DELETE FROM imports", "import 1 is not there"),
    "a maintenance run": ("DELETE FROM upkeep", "maintenance run 1 is not there"),
    "a link": ("DELETE FROM chain WHERE id = 5", "the chain lacks link 5"),
}


def test_a_store_as_the_program_wrote_it_has_no_problem(chained):
    """Each row of each kind has one place: what is written and what is read back have the same bytes."""
    with Store.open(chained, read_only=True) as store:
        report = store.check_chain()
        with store.one_state() as raw:
            n = {
                kind.name: sum(len(list(kind.read(raw, who, 0, MAX_NUMBER))) for who in owners(raw, kind))
                for kind in KINDS
            }
    assert report.problems == ()
    assert report.notes == ()
    assert all(n.values()), n
    assert report.n_rows == sum(n.values())


@pytest.mark.parametrize("what", CHANGED)
def test_a_change_is_named(chained, what):
    statement, name = CHANGED[what]
    change(chained, statement)
    found = problems(chained)
    assert any(name in sentence for sentence in found), found


@pytest.mark.parametrize("what", DELETED)
def test_a_deletion_is_named(chained, what):
    statement, name = DELETED[what]
    change(chained, statement)
    found = problems(chained)
    assert any(name in sentence for sentence in found), found


def test_a_row_of_others_is_named(chained):
    change(
        chained,
        "INSERT INTO events (seq, event_id, version, event, time, recorded_at) VALUES (1, 'x', 0, 'purchase', 1, 1)",
    )
    assert any("this program did not write it" in sentence for sentence in problems(chained))


def test_a_row_and_its_hash_changed_together_break_the_link(chained):
    """Whoever can hash the row anew has to write every later link anew."""
    raw = sqlite3.connect(chained)
    blob = bytearray(raw.execute("SELECT entries FROM chain WHERE id = 4").fetchone()[0])
    raw.close()
    blob[-1] ^= 1
    change(chained, f"UPDATE chain SET entries = X'{blob.hex()}' WHERE id = 4")  # noqa: S608 - hexadecimal digits
    assert any("link 4 of the chain does not follow" in sentence for sentence in problems(chained))


def test_of_a_batch_that_is_partly_a_repeat_the_new_decisions_are_chained(store, number):
    store.decision_writer.append(decisions(number, 10, ["a", "b"]))
    rows = decisions(number, 10, ["a", "b", "c"])
    assert store.decision_writer.append(rows).tolist() == store.decision_writer.append(rows).tolist()
    assert store.check_chain().problems == ()


def write_and_fail(store, rows):
    """Write decisions in a transaction that is rolled back."""
    with store.transaction():
        store.decision_writer.append(rows)
        raise ZeroDivisionError


def test_what_a_rolled_back_transaction_wrote_is_not_in_the_chain(store, number):
    """Of an outer transaction, one inner part is rolled back and two are kept."""
    with store.transaction():
        store.decision_writer.append(decisions(number, 10, ["a"]))
        with pytest.raises(ZeroDivisionError):
            write_and_fail(store, decisions(number, 10, ["b"], customers=["other"]))
        store.decision_writer.append(decisions(number, 10, ["c"], customers=["third"]))
    with pytest.raises(ZeroDivisionError):
        write_and_fail(store, decisions(number, 10, ["d"], customers=["fourth"]))
    assert store.counts().decisions == 2
    assert store.check_chain().problems == ()


def test_a_large_transaction_of_many_parts_is_chained_while_it_runs(store, number):
    with store.transaction():
        for row in range(200):
            store.decision_writer.append(decisions(number, 10, [f"d{row}"]))
            store.events.append(events([f"d{row}"], revenue=1.0))
    report = store.check_chain()
    assert report.problems == ()
    assert report.n_rows > 400


def test_values_of_numpy_are_hashed_as_sqlite_stores_them(store, number):
    """A string and a float of numpy are subclasses of Python's."""
    rows = decisions(number, 10, [np.str_("a")], customers=[np.str_("who")])
    store.decision_writer.append(rows)
    assert store.check_chain().problems == ()


class TestAnchor:
    def test_the_anchor_of_an_earlier_moment_is_in_the_chain(self, chained):
        with Store.open(chained, durability="process") as store:
            anchor = store.chain_head()
            store.events.append(events(["d9"], event="open"))
            report = store.check_chain(ChainAnchor.parse(str(anchor)))
        assert report.anchored
        assert report.problems == ()
        assert report.head.number == anchor.number + 1

    def test_rows_cut_off_with_their_links_show_only_against_an_anchor(self, chained):
        """An older copy of the file is whole in itself."""
        before = chained.read_bytes()
        with Store.open(chained, durability="process") as store:
            store.events.append(events(["d9"], event="open"))
            anchor = store.chain_head()
        chained.write_bytes(before)
        assert problems(chained) == ()
        assert "1 link before the anchor" in problems(chained, anchor)[0]

    def test_a_log_that_was_written_again_shows_only_against_an_anchor(self, tmp_path):
        """Two files with the same rows have other salts, and so other links."""
        for name in ("a.db", "b.db"):
            fill(tmp_path / name)
        with Store.open(tmp_path / "a.db") as store:
            anchor = store.chain_head()
        assert problems(tmp_path / "b.db") == ()
        assert "was written again" in problems(tmp_path / "b.db", anchor)[0]

    @pytest.mark.parametrize("text", ["", "7", "7:abc", "x:" + "0" * 64, "7:" + "g" * 64])
    def test_another_text_is_no_anchor(self, text):
        with pytest.raises(InputError, match="is not an anchor"):
            ChainAnchor.parse(text)

    def test_an_empty_store_has_an_anchor_that_every_log_contains(self, tmp_path):
        with Store.open(tmp_path / "a.db", durability="process") as store:
            anchor = store.chain_head()
            assert anchor.number == 1  # that customers are in the clear
            number = store.catalogues.register(Catalogue.from_dict(SPRING))
            store.decision_writer.append(decisions(number, 10, ["a"]))
            assert store.check_chain(ChainAnchor.parse(str(anchor))).anchored


def test_two_connections_that_append_in_turns_make_one_chain(path):
    """Each finds the link of the other before its own; one that is alone again goes on from its own last link."""
    fill(path, ids=["a"])
    with Store.open(path, durability="process") as one, Store.open(path, durability="process") as other:
        statements = []
        for row in range(6):
            (one, other)[row % 2].decision_writer.append(decisions(1, 10, [f"turn{row}"], customers=["customer-0"]))
        one._connection.raw.set_trace_callback(statements.append)
        for row in range(3):
            one.decision_writer.append(decisions(1, 10, [f"alone{row}"], customers=["customer-0"]))
        one._connection.raw.set_trace_callback(None)
        assert one.check_chain().problems == ()
        assert other.chain_head() == one.chain_head()
    read = [place for place, text in enumerate(statements) if text.startswith("SELECT id, link FROM chain")]
    written = [place for place, text in enumerate(statements) if text.startswith("INSERT INTO chain")]
    assert len(written) == 3
    assert len(read) == 2  # the other's link, then its own: from there on nobody else is expected

"""A retried id gets the decision that another engine has acknowledged, whatever happens between two looks for it.

In each test an engine A answers the id "x" and an engine B is asked for it again. What happens in between, such as a
fold, is done by a hook at that very place, not by chance.
"""

import contextlib
import os
import threading
from dataclasses import replace

import pytest

import bandit
from bandit.domain import MICROSECONDS
from bandit.errors import StoreError
from bandit.governance.key_rotation import rotate_key
from bandit.store.connection import Connection
from bandit.store.holdings import HOLDINGS, leaves_nothing_held
from bandit.store.spool.elsewhere import OtherSpools
from bandit.store.spool.file import REFUSED, Spool, spools
from bandit.store.spool.turns import Turn
from bandit.store.tables.decision_reader import DecisionReader
from bandit.store.tables.event_writer import EventWriter
from tests.conftest import SPRING
from tests.engine.conftest import KEY, context
from tests.engine.test_rollout import with_rollout

BOTH = KEY + b"\nthe next key for our tests"


def ask(engine):
    """The request "x", a second later each time: two decisions of it are never the same by chance."""
    made = engine.decide("c", context(0), decision_id="x")
    engine._clock.now += MICROSECONDS
    return made


def same(made, again):
    return (made.offer_index, made.propensity, made.time, made.fault) == (
        again.offer_index, again.propensity, again.time, again.fault,
    )  # fmt: skip


def after_first_lookup(monkeypatch, engine, action):
    """Do something between an engine's first look for an id, which finds nothing, and what it does then."""
    lookup, done = engine._lookup, []

    class Hooked:
        def find_existing(self, *request):
            found = lookup.find_existing(*request)
            if not done:
                assert found is None
                done.append(action())
            return found

    monkeypatch.setattr(engine, "_lookup", Hooked())
    return done


@pytest.fixture
def pair(open_engine, catalogue):
    """Two engines that draw by different seeds, so that they decide differently, as workers of one service do."""

    def opened(**settings):
        options = {"busy_timeout": 0.02, **settings}
        return [open_engine(bandit.Uniform(catalogue), seed=seed, **options) for seed in (1, 2)]

    return opened


def nothing_refused(path, engine, n=1):
    """Close over: one decision "x" of n, no line refused, and everything recomputed the same."""
    assert not path.with_name(path.name + REFUSED).exists()
    assert engine.store.counts().decisions == n
    assert engine.verify().problems == ()


@pytest.mark.parametrize("look", [1, 2, 3, 4])
def test_a_spool_that_is_folded_after_any_of_the_looks_hides_no_decision(pair, path, locked, monkeypatch, look):
    """A line goes from A's spool to the database after the n-th look of B, into either: B finds it in one of them."""
    monkeypatch.setattr("bandit.engine.spool_watch.SPOOL_RETRY_INTERVAL", 60.0)
    a, b = pair()
    free = locked()
    made = ask(a)
    free()
    looks = []

    def counted(function):
        def wrapped(owner, *arguments):
            found = function(owner, *arguments)
            looks.append(1)
            if len(looks) == look:
                a.close()
            return found

        return wrapped

    monkeypatch.setattr(DecisionReader, "has", counted(DecisionReader.has))
    monkeypatch.setattr(OtherSpools, "paths", counted(OtherSpools.paths))
    assert same(made, ask(b))
    a.close()
    nothing_refused(path, b)


def test_a_purchase_finds_a_decision_that_is_folded_between_the_two_looks(pair, locked, monkeypatch):
    monkeypatch.setattr("bandit.engine.spool_watch.SPOOL_RETRY_INTERVAL", 60.0)
    a, b = pair()
    free = locked()
    ask(a)
    free()
    append = EventWriter.append

    def folded_after(writer, *arguments, **options):
        try:
            return append(writer, *arguments, **options)
        except bandit.errors.UnknownDecisionError:
            a.close()
            raise

    monkeypatch.setattr(EventWriter, "append", folded_after)
    assert b.record("x", "purchase", revenue=3.0).n_new == 1


@pytest.mark.parametrize("first", ["database", "spool"])
@pytest.mark.parametrize("second", ["database", "spool"])
def test_of_two_answers_at_the_same_moment_the_first_that_was_written_is_both(
    pair, path, locked, monkeypatch, first, second
):
    """B has looked, and found nothing, when A answers; then B is to write its own, to either place."""
    monkeypatch.setattr("bandit.engine.spool_watch.SPOOL_RETRY_INTERVAL", 60.0)
    a, b = pair()
    frees, made = [], []

    def answered_by_a():
        if first == "spool":
            frees.append(locked())
        made.append(ask(a))
        if first == "spool" and second == "database":
            frees.pop()()
        elif first == "database" and second == "spool":
            frees.append(locked())

    after_first_lookup(monkeypatch, b, answered_by_a)
    again = ask(b)
    assert same(made[0], again)
    for free in frees:
        free()
    a.close()
    b._writer.fold_all()
    nothing_refused(path, b)


def test_a_batch_with_an_id_that_was_spooled_meanwhile_is_refused_whole(pair, path, locked, monkeypatch):
    a, b = pair()
    lookup = b._lookup

    class Hooked:
        def reject_known_ids(self, ids):
            lookup.reject_known_ids(ids)
            free = locked()
            ask(a)
            free()

    monkeypatch.setattr(b, "_lookup", Hooked())
    monkeypatch.setattr("bandit.engine.spool_watch.SPOOL_RETRY_INTERVAL", 60.0)
    with pytest.raises(bandit.errors.DuplicateError, match='"x"'):
        b.decide_batch(["c", "c"], [context(0)] * 2, decision_ids=["w", "x"])
    a.close()
    nothing_refused(path, b)


@pytest.mark.parametrize("alone", [True, False])
def test_one_that_is_about_to_write_lets_the_other_wait(pair, path, locked, monkeypatch, alone):
    """A has looked a last time and is stopped before it writes; B waits for its turn, and then finds A's decision.

    With `alone`, A writes to its spool, else to the database, while B is cut off from that in both cases.
    """
    monkeypatch.setattr("bandit.store.spool.turns.TURN_WAIT", 10.0)
    a, b = pair()
    waits, answers, threads, take = threading.Event(), [], [], Turn.take
    b._writer._last_outage, b._writer._retry_at = StoreError("cut off"), 1e18  # B does not try the database
    free = locked() if alone else lambda: None

    def noted(turn, *, alone):
        if threading.current_thread() in threads:
            waits.set()
        return take(turn, alone=alone)

    def let_b_ask(function):
        def wrapped(*arguments, **options):
            found = function(*arguments, **options)
            if not threads:
                threads.append(threading.Thread(target=lambda: answers.append(ask(b))))
                threads[0].start()
                assert waits.wait(10.0)
                threads[0].join(0.2)  # it would end, if nothing held it up
            return found

        return wrapped

    monkeypatch.setattr(Turn, "take", noted)
    monkeypatch.setattr(a._writer, "_reject_waiting", let_b_ask(a._writer._reject_waiting))
    if alone:
        monkeypatch.setattr(a._writer._repeats, "first_existing", let_b_ask(a._writer._repeats.first_existing))
    made = ask(a)
    threads[0].join(10.0)
    assert same(made, answers[0])
    assert len(spools(path)) == alone
    free()
    a.close()
    nothing_refused(path, b)


def test_a_turn_that_somebody_keeps_is_not_waited_for_long(pair, path, locked):
    keeper = Turn(path.parent)
    a, _ = pair()
    assert keeper.take(alone=True)
    assert ask(a).fault is None
    locked()
    assert a.decide("c", context(1), decision_id="y").logged
    keeper.release()


def test_an_exception_ends_a_turn_which_cannot_be_had_in_a_folder_that_is_not_there(path):
    first, second = Turn(path.parent), Turn(path.parent)

    @leaves_nothing_held
    def interrupted():
        assert first.take(alone=True)
        assert not second.take(alone=False)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert second.take(alone=False)
    second.release()
    third = Turn(path.parent / "nowhere")
    assert not third.take(alone=True)
    third.release()
    assert HOLDINGS.taken == []


def test_a_turn_that_is_released_is_not_kept_by_a_process_that_was_forked_in_it(path):
    """A forked child has the descriptor, too, so that closing it in the parent alone lets go of nothing."""
    first, second = Turn(path.parent), Turn(path.parent)
    assert first.take(alone=True)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    first.release()
    taken = second.take(alone=True)
    os.close(writing)
    os.close(reading)
    os.waitpid(child, 0)
    second.release()
    assert taken


def test_a_line_that_an_exception_leaves_behind_is_found_by_the_retry(pair, path, locked, monkeypatch):
    """The handler of a signal raises between the writing of the line and the next statement."""
    monkeypatch.setattr("bandit.engine.spool_watch.SPOOL_RETRY_INTERVAL", 60.0)
    a, b = pair()
    free = locked()
    append = Spool.append

    def interrupted(spool, record):
        append(spool, record)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(Spool, "append", interrupted)
        ask(a)
    made = ask(a)
    assert a.status().spooled == 1
    assert same(made, ask(b))
    free()
    a.close()
    nothing_refused(path, b)


def test_parent_and_child_of_a_fork_find_what_the_other_has_spooled(pair, path, locked, monkeypatch):
    monkeypatch.setattr("bandit.engine.spool_watch.SPOOL_RETRY_INTERVAL", 60.0)
    a, _ = pair()
    free = locked()
    mine = ask(a)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(BaseException):
            theirs = a.decide("c", context(1), decision_id="of-the-child")
            os.write(write, f"{theirs.offer_index} {theirs.time} {same(mine, ask(a))}".encode())
            code = 0
        os._exit(code)
    os.close(write)
    said = os.read(read, 1_000).decode()
    assert os.waitpid(child, 0)[1] == 0
    found = a.decide("c", context(1), decision_id="of-the-child")
    assert said == f"{found.offer_index} {found.time} True"
    assert a.status().spooled == 1
    free()


def replaced_by_its_copy(engine, path, tmp_path):
    copy = tmp_path / "copy.db"
    engine.store.backup(copy)
    copy.rename(path)


@pytest.mark.filterwarnings("ignore:.*was replaced by another file")
def test_a_worker_that_has_not_noticed_a_replacement_finds_what_was_decided_in_the_new_file(pair, path, tmp_path):
    """A serves from the new file already; B, which would look at its file again within 0.05 s, is asked for A's id."""
    a, b = pair()
    for engine in (a, b):
        engine.decide("c", context(1))
    replaced_by_its_copy(a, path, tmp_path)
    for _ in range(2):
        a.decide("c", context(1))
    made = ask(a)
    assert made.fault is None
    assert same(made, ask(b))
    nothing_refused(path, b, n=5)


@pytest.mark.filterwarnings("ignore:.*was replaced by another file")
def test_an_engine_that_forked_after_a_replacement_serves_from_the_new_file(pair, path, tmp_path):
    """A fork closes the connection, and the old file cannot be opened again. Before: the fallback for ever."""
    a, b = pair()
    b.close()
    a.decide("c", context(1), decision_id="before")
    replaced_by_its_copy(a, path, tmp_path)
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert ask(a).fault is None
    assert a.status().well
    nothing_refused(path, a, n=2)


@pytest.mark.filterwarnings("ignore:.*was replaced by another file")
def test_what_was_committed_to_a_file_as_it_was_replaced_is_told_to_nobody(pair, path, tmp_path, monkeypatch):
    """A's first decision of "x" is in the old file alone: A decides again, and that is what B and the new file have."""
    a, b = pair()
    a.decide("c", context(1))
    commit = Connection.commit

    def replaced_then(connection, level):
        commit(connection, level)
        if connection is a.store._connection and level == 1:
            monkeypatch.setattr(Connection, "commit", commit)
            (tmp_path / "copy.db").rename(path)

    a.store.backup(tmp_path / "copy.db")
    monkeypatch.setattr(Connection, "commit", replaced_then)
    made = ask(a)
    assert "was replaced" in made.fault
    assert same(made, ask(b))
    assert same(made, ask(a))
    a.close()
    nothing_refused(path, b, n=2)


@pytest.mark.parametrize("comes_back", [True, False])
@pytest.mark.filterwarnings("ignore:.*was replaced by another file")
def test_what_a_roll_out_committed_to_a_file_as_it_was_moved_is_told_and_kept_with_its_arm(
    open_engine, path, tmp_path, spring, monkeypatch, comes_back
):
    """Before: the file came back with the policy's offer, and the fallback that was told was refused.

    Where a copy takes its place, the decision goes there, of no policy: that file has no such change of the roll-out.
    """
    known = with_rollout(spring)
    a = open_engine(bandit.Uniform(known), catalogue=known, seed=1)
    commit, away = Connection.commit, tmp_path / "away.db"
    a.store.backup(tmp_path / "copy.db")

    def moved_then(connection, level):
        commit(connection, level)
        if level == 1:
            monkeypatch.setattr(Connection, "commit", commit)
            path.rename(away)

    monkeypatch.setattr(Connection, "commit", moved_then)
    made = ask(a)
    assert (made.fault, made.logged) == (None, True)
    again = ask(a)
    assert same(made, again)
    assert made.arm == again.arm is not None
    (away if comes_back else tmp_path / "copy.db").rename(path)
    assert same(made, ask(a))
    a.close()
    b = open_engine(bandit.Uniform(known), catalogue=known, seed=2)
    assert same(made, ask(b))
    assert ask(b).arm == (made.arm if comes_back else None)
    nothing_refused(path, b)


@pytest.mark.filterwarnings("ignore:.*another customer key")
def test_a_retry_finds_its_decision_though_the_customer_key_was_rotated_in_between(tmp_path, monkeypatch, locked):
    """Once in a spool under the old key, with a hashed fact, and once in the database under the new one."""
    monkeypatch.setattr("bandit.engine.spool_watch.SPOOL_RETRY_INTERVAL", 60.0)
    path = tmp_path / "offers.db"
    facts = SPRING["context"] | {"clinic": {"type": "categorical", "stored": "hashed", "values": ["yak", "gnu"]}}

    def opened(key, seed):
        known = bandit.Catalogue.from_dict(SPRING | {"context": facts}, customer_key=key)
        return bandit.Engine.open(path, known, bandit.Uniform(known), seed=seed, customer_key=key, busy_timeout=0.02)

    def asked(engine, name):
        return engine.decide("c", context(0) | {"clinic": "yak"}, decision_id=name)

    with opened(KEY, 1) as old:
        both = opened(BOTH, 2)  # it has the new key, and works under the old one until that is rotated
        free = locked()
        spooled = asked(old, "x")
        free()
        rotate_key(path, BOTH)
        with opened(BOTH, 3) as new:
            logged = asked(new, "y")
            assert same(spooled, asked(new, "x"))
            assert same(logged, asked(both, "y"))
            assert same(spooled, asked(both, "x"))
            both.close()


def test_where_the_database_is_out_of_reach_the_fault_says_so_and_the_first_answer_stays(pair, path):
    """The file is moved away, and B has been forked since: what A wrote can be read by nobody but A."""
    a, b = pair()
    made = ask(a)
    path.rename(path.with_name("away.db"))
    b.store._connection.before_fork()  # what a fork does in the parent, without the child
    b.store._connection.after_fork(child=False)
    assert same(made, ask(a))
    again = ask(b)
    assert "whether another process has answered this id could not be looked up" in again.fault
    path.with_name("away.db").rename(path)
    assert same(made, replace(ask(b), explainer=None))
    b._writer.fold_all()
    assert b.store.counts().decisions == 1
    refused = path.with_name(path.name + REFUSED).read_text()
    assert refused.count('\\"x\\"') >= 1

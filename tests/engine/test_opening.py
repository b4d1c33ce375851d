import re
import shutil
import sqlite3
from dataclasses import dataclass, field

import pytest

from bandit import Engine
from bandit.errors import InputError
from bandit.store import CatalogueTranslation, Store, StoreLog, Where
from simulator.bench import __main__ as command
from simulator.bench.speed import opening

SMALL, LARGE, LARGER = 2_000, 20_000, 30_000
FACTS = {"segment": "new", "loyal": False}
SMALL_TABLES = {"sqlite_master", "policies", "rollout_changes", "json_each", "j", "CONSTANT"}
SMALL_TABLES |= {"c", "changed_states"}  # c: the versions of the catalogue
"""What may be scanned: tables that do not grow with the log, and the parameters of a statement."""


@dataclass
class Meter:
    """What SQLite did: virtual-machine instructions, and the statements with their parameters filled in."""

    steps: int = 0
    statements: list = field(default_factory=list)

    def tick(self):
        self.steps += 1
        return 0

    def note(self, statement):
        self.statements.append(statement)

    def of(self, work):
        self.steps, self.statements = 0, []
        done = work()
        return done, self.steps, list(self.statements)


@pytest.fixture
def meter(monkeypatch):
    """Every connection that is opened from now on is metered, an instruction at a time."""
    found, connect = Meter(), sqlite3.connect

    def metered(*given, **named):
        raw = connect(*given, **named)
        raw.set_progress_handler(found.tick, 1)
        raw.set_trace_callback(found.note)
        return raw

    monkeypatch.setattr(sqlite3, "connect", metered)
    return found


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """One log, its file at 2,000, 20,000 and 30,000 decisions with everything learned, and the time of each."""
    folder = tmp_path_factory.mktemp("opening")
    log = opening.GrowingLog(folder / "growing.db", seed=3)
    paths, times = {}, {}
    for size in (SMALL, LARGE, LARGER):
        log.grow_to(size)
        paths[size], times[size] = folder / f"{size}.db", log.now
        shutil.copyfile(log.path, paths[size])
    return log, paths, times


@pytest.fixture
def copies(grown, tmp_path):
    """The same log, in files of the test's own."""
    log, paths, _ = grown
    return log, {size: shutil.copy(path, tmp_path / path.name) for size, path in paths.items()}


def scans(path, statements):
    """The tables, by their names or aliases in the statement, that the plans of these statements scan."""
    raw = sqlite3.connect(path)
    try:
        plans = [
            row[3]
            for statement in statements
            if statement.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))
            for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
    finally:
        raw.close()
    assert plans
    return {name for plan in plans for name in re.findall(r"^SCAN (\w+)", plan)}


def first_decision(log, path):
    with log.engine(path) as engine:
        return engine.decide("customer-1", FACTS)


def resumed(log, path):
    with Engine.resume(path, customer_key=opening.BENCH_KEY, clock=lambda: log.now) as engine:
        made = engine.decide("customer-2", FACTS, decision_id="asked-twice")
        engine.decide("customer-2", FACTS, decision_id="asked-twice")
        engine.record(made.decision_id, "purchase", revenue=20.0)
        engine.sync()
        return engine.status()


@pytest.mark.parametrize("life", [first_decision, resumed])
def test_opening_deciding_recording_and_closing_do_the_same_work_at_ten_times_the_log(copies, meter, life):
    """Some 600 to 1,100 instructions of SQLite's machine at either size; a count of 18,000 more would add 18,000."""
    log, paths = copies
    _, small, at_small = meter.of(lambda: life(log, paths[SMALL]))
    _, large, at_large = meter.of(lambda: life(log, paths[LARGE]))
    assert 100 < large <= 1.05 * small < 3_000
    assert len(at_large) == len(at_small)


@pytest.mark.parametrize("life", [first_decision, resumed])
def test_nothing_run_on_opening_scans_a_table_that_grows(copies, meter, life):
    """The plans of all its statements look rows up in decisions, events and learned; small tables may be scanned."""
    log, paths = copies
    _, _, statements = meter.of(lambda: life(log, paths[LARGE]))
    assert scans(paths[LARGE], statements) <= SMALL_TABLES


def test_the_first_learning_costs_what_is_new_and_not_the_log(grown, copies, meter):
    """One new conversion at 20,000 and at 30,000 decisions; both have the 1,000 conversions that delays are read of."""
    log, paths = copies
    steps = {}
    for size in (LARGE, LARGER):
        log.now = grown[2][size]
        with log.engine(paths[size]) as engine:
            made = engine.decide("customer-1", FACTS)
            engine.record(made.decision_id, "purchase", revenue=20.0)
            learned, steps[size], statements = meter.of(lambda engine=engine: engine.learn(progress=lambda *_: None))
            _, again, _ = meter.of(engine.learn)
        assert learned.n == 1
        assert again < 1_000
        assert scans(paths[size], statements) <= SMALL_TABLES
    assert steps[LARGER] <= 1.1 * steps[LARGE]


def test_a_tally_is_seen_by_the_steps_and_a_bare_count_by_the_plans(copies, meter):
    """A tally takes a step and more for each of 18,000 decisions, but its plan is a search for numbers up to the last.

    A count(*) is one instruction however large the table; its plan is a scan.
    """
    log, paths = copies
    found = {}
    for size in (SMALL, LARGE):
        with Store.open(paths[size], customer_key=opening.BENCH_KEY) as store:
            tallied = StoreLog(store, log.catalogue)
            n, found[size], _ = meter.of(lambda tallied=tallied: tallied.n)
            _, _, statements = meter.of(store.counts)
        assert n == size
        assert scans(paths[size], statements) >= {"decisions", "events", "customers"}
    assert found[LARGE] - found[SMALL] >= LARGE - SMALL


def test_a_log_counts_once_and_only_where_it_is_asked_to(grown, copies, meter):
    """Making a log and its translation looks up the newest number; the three counts share one tally of either kind."""
    log, paths = copies
    now = grown[2][LARGE]
    with Store.open(paths[LARGE], customer_key=opening.BENCH_KEY) as store:
        _, steps, _ = meter.of(lambda: CatalogueTranslation(store, log.catalogue))
        assert steps == 0
        where = Where(settled_before=now - log.catalogue.objective.window)
        made, steps, _ = meter.of(lambda: StoreLog(store, log.catalogue, where=where))
        assert steps < 100
        n, _, statements = meter.of(lambda: made.n)
        assert sum("GROUP BY" in statement for statement in statements) == 2
        rest, steps, _ = meter.of(lambda: (made.left_out, made.still_open, made.n))
    assert steps == 0
    assert rest == (0, LARGE - n, n)
    assert 0 < n < LARGE


def test_the_benchmark_of_opening_says_what_each_size_costs(tmp_path, capsys):
    """Sizes of 100 and 300, two rounds: one row each, smallest first, whose own ratio is 1."""
    assert command.main(["opening", "--decisions", "300,100", "--rounds", "2", "--out", str(tmp_path)]) == 0
    rows = [line.split("|")[1:-1] for line in (tmp_path / "opening.md").read_text().splitlines() if line[:1] == "|"]
    assert [row[0].strip() for row in rows] == ["decisions", "---:", "100", "300"]
    assert rows[2][-1].strip() == "1.00"
    assert all(float(cell) > 0 for cell in rows[3][2:])
    assert (tmp_path / "opening.json").exists()
    assert "100 decisions are in the log" in capsys.readouterr().out


def test_the_benchmark_of_opening_wants_a_size_and_a_round():
    with pytest.raises(InputError, match="at least 1"):
        opening.measure((0,), 1)
    with pytest.raises(InputError, match="at least 1"):
        opening.measure((10,), 0)

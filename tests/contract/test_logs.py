"""What every log does, whether of a database, a file, memory, a run or another log."""

import ast
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest

from bandit import Catalogue
from bandit.analysis.time_order import TimeOrdered
from bandit.domain import Log, LogDefaults, LoggedBatch
from bandit.evaluate.log_cache import cache_log
from bandit.evaluate.split import OtherFolds, split_log
from bandit.logfiles import ArrayLog, import_log, open_dataset, open_log
from bandit.logfiles.dataset.export import export_dataset
from bandit.policies.bounded_outcomes import BoundedLog
from bandit.policies.uniform import Uniform
from bandit.store import Store, StoreLog, Where
from simulator import Market, Population, RunLog, run, scenario
from simulator.simulation.log import MemoryLog
from simulator.validation.agreement import with_customers
from simulator.validation.audience_campaigns.world import PLANTED, draw_log
from tests.conftest import SPRING
from tests.logfiles.import_tools import HEADER, MAPPING, mapping, sample, spring, table
from tests.store.rows import WEEK, decisions, events

N = 150


def file_of(folder, *, in_order=True):
    """A CSV file of N decisions of 7 customers, an hour apart, in order of time or not."""
    rows = sample(N, np.random.default_rng(1))
    for row, values in enumerate(rows):
        values[HEADER.index("at")] = f"2026-03-{1 + row // 24:02d}T{row % 24:02d}:00:00"
    if not in_order:
        rows = rows[100:] + rows[:100]
    path = folder / f"{'in_order' if in_order else 'shuffled'}.csv"
    path.write_text(table(*rows), encoding="utf-8")
    return path


UNKNOWN = {"columns": MAPPING["columns"] | {"propensity": "unknown"}}


@dataclass(frozen=True)
class Place:
    """Where a log's files are, and what is closed after the test."""

    folder: Path
    stack: ExitStack


@pytest.fixture
def place(tmp_path):
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


def column_log(place, *, in_order=True, **changed):
    return open_log(file_of(place.folder, in_order=in_order), spring(), mapping(**changed))


def store_log(place, **changed):
    store = place.stack.enter_context(Store.open(place.folder / "offers.db", durability="process"))
    import_log(store, spring(), mapping(**changed), file_of(place.folder))
    return StoreLog(store, spring())


def activated_log(place):
    """The N decisions of the file, shown, and 30 that were never shown."""
    store = place.stack.enter_context(Store.open(place.folder / "offers.db", durability="process"))
    catalogue = spring(objective=SPRING["objective"] | {"activation": "shown"})
    import_log(store, catalogue, mapping(), file_of(place.folder))
    known = store.decisions.page("purchase", WEEK)
    store.decision_writer.append(decisions(1, catalogue.n_offers, [f"never-{row}" for row in range(30)]))
    store.events.append(events(known.decision_id.tolist(), "shown", time=known.time))
    return StoreLog(store, catalogue)


def dataset_log(place, partitions, **changed):
    pytest.importorskip("pyarrow")
    store = store_log(place, **changed)
    export_dataset(store._store, spring(), place.folder / "dataset", partitions=partitions)
    return open_dataset(place.folder / "dataset")


def array_log(place):
    return ArrayLog(next(column_log(place).batches()), spring())


def run_log(_place):
    rng = np.random.default_rng(7)
    population = Population.draw(Market.draw(scenario("tiny"), rng), 100, rng)
    return RunLog(population, run(Uniform(population.market.catalogue), population, population.visits(N, rng), rng))


LOGS = {
    "StoreLog": store_log,
    "StoreLog with an activation": activated_log,
    "StoreLog without propensities": lambda place: store_log(place, **UNKNOWN),
    "DatasetLog": lambda place: dataset_log(place, 1),
    "DatasetLog of several partitions": lambda place: dataset_log(place, 4),
    "DatasetLog without propensities": lambda place: dataset_log(place, 4, **UNKNOWN),
    "ColumnLog": column_log,
    "ColumnLog without propensities": lambda place: column_log(place, **UNKNOWN),
    "ArrayLog": array_log,
    "TimeOrdered, in order": lambda place: TimeOrdered(column_log(place)),
    "TimeOrdered, sorted": lambda place: TimeOrdered(column_log(place, in_order=False)),
    "TimeOrdered, in parts": lambda place: TimeOrdered(column_log(place, in_order=False), rows=40),
    "CachedLog": lambda place: cache_log(column_log(place), 64),
    "CachedLog without propensities": lambda place: cache_log(column_log(place, **UNKNOWN), 64),
    "SplitLog, learn": lambda place: split_log(column_log(place), 0.5, "learn"),
    "SplitLog, judge": lambda place: split_log(column_log(place, **UNKNOWN), 0.5, "judge"),
    "OtherFolds": lambda place: OtherFolds(column_log(place), 1, 3),
    "RunLog": run_log,
    "BoundedLog": lambda place: BoundedLog(column_log(place), 1e30),
    "DealtPart": lambda place: with_customers(column_log(place), spring()),
    "AudienceLog": lambda _place: draw_log(PLANTED, N, 0.4, np.random.default_rng(7)),
    "decisions in memory": lambda place: MemoryLog(next(column_log(place).batches())),
}

IN_PART = {name for name in LOGS if name.startswith("SplitLog") or name == "OtherFolds"}
"""Logs of a part of the decisions."""

TYPES = {
    "offer": np.int64,
    "eligible": np.bool_,
    "propensity": np.float64,
    "converted": np.bool_,
    "revenue": np.float64,
    "reward": np.float64,
    "time": np.int64,
}


@pytest.fixture(params=LOGS)
def name(request):
    return request.param


@pytest.fixture
def log(name, place):
    return LOGS[name](place)


def columns_of(log, size=65_536):
    """All decisions as {column: values}, after a look at the size of each batch."""
    batches = list(log.batches(size))
    assert all(0 < len(batch) <= size for batch in batches), "a batch is empty or too large"
    columns = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in TYPES}
    columns["weights"] = np.concatenate([batch.weights for batch in batches])
    contexts = [batch.contexts for batch in batches]
    for fact in contexts[0].columns:
        columns[f"fact {fact}"] = np.concatenate([context.columns[fact] for context in contexts])
    columns["customers"] = np.concatenate([context.customers for context in contexts])
    return columns


def check_same(one, other):
    assert one.keys() == other.keys()
    for name, column in one.items():
        np.testing.assert_array_equal(column, other[name], err_msg=name)


def check_is_read_twice(log):
    """A reading that was broken off leaves nothing behind either."""
    next(log.batches(10))
    check_same(columns_of(log), columns_of(log))


def check_batches_of_any_size(log):
    whole = columns_of(log)
    for size in (1, 7, 64, log.n):
        check_same(columns_of(log, size), whole)


def check_n(log):
    assert log.n == sum(map(len, log.batches())) == len(columns_of(log, 16)["offer"])


def check_order(log):
    """The decisions of these logs were made one after the other."""
    assert np.all(np.diff(columns_of(log, 32)["time"]) > 0)


def check_shapes_and_types(log):
    for batch in log.batches(40):
        n = len(batch)
        assert {each.name for each in fields(batch)} == {*TYPES, "contexts", "weight", "stages"}
        assert batch.stages.dtype == np.bool_
        n_stages = 0 if log.catalogue is None else len(log.catalogue.objective.stages)
        assert batch.stages.shape == (n, n_stages) or not batch.stages.size
        for name, kind in TYPES.items():
            column = getattr(batch, name)
            assert column.dtype == kind, name
            assert column.shape[0] == n, name
            assert column.ndim == (2 if name == "eligible" else 1), name
        assert len(batch.contexts) == n
        assert {len(column) for column in batch.contexts.columns.values()} <= {n}
        assert len(batch.contexts.customers) in {0, n}
        if log.catalogue is not None:
            assert batch.eligible.shape[1] == log.catalogue.n_offers
            assert set(batch.contexts.columns) == set(log.catalogue.facts)
        assert batch.eligible[np.arange(n), batch.offer].all(), "an offer was not eligible"
        for name in ("revenue", "reward"):
            assert np.isfinite(getattr(batch, name)).all(), name


def check_propensities(log):
    """In (0, 1] where they are known; where they are not, some are NaN and the others are in (0, 1]."""
    propensity = columns_of(log)["propensity"]
    known = propensity[~np.isnan(propensity)]
    assert ((known > 0.0) & (known <= 1.0)).all()
    assert (len(known) == len(propensity)) == log.propensities_known


def check_attributes(log):
    assert isinstance(log, Log)
    assert log.catalogue is None or isinstance(log.catalogue, Catalogue)
    assert isinstance(log.propensities_known, bool)
    for name in ("n", "left_out", "still_open"):
        assert isinstance(getattr(log, name), int), name
        assert getattr(log, name) >= 0, name


CHECKS = (
    check_is_read_twice,
    check_batches_of_any_size,
    check_n,
    check_order,
    check_shapes_and_types,
    check_propensities,
    check_attributes,
)


@pytest.mark.parametrize("check", CHECKS)
def test_a_log_does_what_the_protocol_says(log, check):
    check(log)


def test_the_logs_are_those_that_they_should_be(name, log):
    """The parts of 7 customers have some decisions, not all; the others have all N."""
    assert 0 < log.n < N if name in IN_PART else log.n == N
    assert log.propensities_known != (name.endswith("without propensities") or name == "SplitLog, judge")
    assert (log.catalogue is None) == (name == "decisions in memory")


def test_decisions_that_are_still_open_are_counted_and_passed_on(place):
    """With a window of ten years and no decision closed all N are open; views have the number of the log below."""
    catalogue = spring(objective={"kind": "conversion", "event": "purchase", "window": "3650d"})
    with Store.open(place.folder / "offers.db", durability="process") as store:
        import_log(store, catalogue, mapping(closed=False), file_of(place.folder))
        log = StoreLog(store, catalogue, where=Where(settled_before=0))
        assert (log.n, log.still_open, log.left_out) == (0, N, 0)
    log = open_log(file_of(place.folder), catalogue, mapping(closed=False))
    assert (log.n, log.still_open, log.left_out) == (0, N, 0)
    views = (TimeOrdered(log), split_log(log), OtherFolds(log, 0, 2))
    assert [view.still_open for view in views] == [N, N, N]


def without_20():
    """SPRING without the discount of 20, which 40 or so of the N decisions have."""
    dimensions = [SPRING["dimensions"][0] | {"options": SPRING["dimensions"][0]["options"][:2]}]
    return spring(dimensions=dimensions + SPRING["dimensions"][1:], rules=SPRING["rules"][1:])


def check_outside(log, n):
    """The decisions outside are the `left_out` ones: without offer, with something eligible, the same at any size."""
    parts = list(log.outside(7))
    assert all(0 < len(part) <= 7 for part in parts)
    (whole,) = log.outside(1_000)
    assert sum(map(len, parts)) == len(whole) == n
    assert set(whole.offer.tolist()) == {-1}
    assert whole.eligible.any(axis=1).all()
    for name in ("reward", "time", "propensity", "eligible"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))


@pytest.mark.parametrize(
    "kind", ["file", "database", "database of a version with all options", "dataset", "dataset of a version with all"]
)
def test_decisions_of_unknown_offers_are_outside_and_views_pass_them_on(place, kind):
    """Those with 20 off are outside, whether the file is read or imported; each half of a split has its customers'."""
    path = file_of(place.folder)
    offers = next(open_log(path, spring(), mapping()).batches()).offer
    n = int((spring().options[offers, 0] == 2).sum())
    if kind == "file":
        log = open_log(path, without_20(), mapping())
    else:
        store = place.stack.enter_context(Store.open(place.folder / "offers.db", durability="process"))
        import_log(store, spring() if "all" in kind else without_20(), mapping(), path)
        log = StoreLog(store, without_20())
        if "dataset" in kind:
            export_dataset(store, without_20(), place.folder / "dataset", partitions=3)
            log = open_dataset(place.folder / "dataset")
    assert (log.n, log.left_out) == (N - n, n)
    assert [(each.words, each.n) for each in log.outside_reasons] == [("discount 20", n)]
    for view in (log, TimeOrdered(log), cache_log(log, 64)):
        check_outside(view, n)
    halves = [split_log(log, 0.5, part) for part in ("learn", "judge")]
    assert sum(len(part) for half in halves for part in half.outside()) == n
    for half in halves:
        known = {key for part in half.batches() for key in part.contexts.customers}
        assert {key for part in half.outside() for key in part.contexts.customers} <= known


class Broken(LogDefaults):
    """A log of some decisions with a fault: the negative control."""

    def __init__(self, batch, fault):
        self.batch, self.fault, self.reads = batch, fault, 0

    @property
    def n(self):
        return len(self.batch) + (self.fault == "n")

    def batches(self, size=65_536):
        self.reads += 1
        batch = self.batch
        if self.fault == "second reading" and self.reads > 2:
            batch = batch.take(slice(1, None))
        if self.fault == "order":
            batch = batch.take(np.arange(len(batch))[::-1])
        if self.fault == "small batches" and size < 10:
            batch = batch.take(slice(0, len(batch) - 1))
        if self.fault in {"types", "propensity", "mask"}:
            name, values = {
                "types": ("converted", batch.converted.astype(float)),
                "propensity": ("propensity", np.where(batch.offer == 0, np.nan, batch.propensity)),
                "mask": ("eligible", np.zeros_like(batch.eligible)),
            }[self.fault]
            batch = LoggedBatch(**{each.name: getattr(batch, each.name) for each in fields(batch)} | {name: values})
        for start in range(0, len(batch), size):
            yield batch.take(slice(start, start + size))


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("second reading", check_is_read_twice),
        ("small batches", check_batches_of_any_size),
        ("n", check_n),
        ("order", check_order),
        ("types", check_shapes_and_types),
        ("mask", check_shapes_and_types),
        ("propensity", check_propensities),
    ],
)
def test_a_broken_log_is_found(place, fault, check):
    """The negative control of each check; without a fault the same log passes all of them."""
    batch = next(column_log(place).batches())
    check(Broken(batch, None))
    with pytest.raises(AssertionError):
        check(Broken(batch, fault))


def classes_with_batches():
    """The names of the classes of both packages that have a method `batches`."""
    root = Path(__file__).resolve().parents[2]
    for package in ("bandit", "simulator"):
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and any(
                    isinstance(each, ast.FunctionDef) and each.name == "batches" for each in node.body
                ):
                    yield node.name


def test_the_logs_of_the_package_are_all_here(tmp_path):
    """Each class of the packages with `batches`, or one made of it, has a case above; `Log` is the protocol."""
    covered = set()
    for number, make in enumerate(LOGS.values()):
        (tmp_path / str(number)).mkdir()
        with ExitStack() as stack:
            covered |= {base.__name__ for base in type(make(Place(tmp_path / str(number), stack))).__mro__}
    assert set(classes_with_batches()) - covered == {"Log"}

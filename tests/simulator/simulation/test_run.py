"""Runs: the target observes outcomes when they are due, and log and files contain the run."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from bandit import Engine, ThompsonSampling
from bandit.domain import DecisionBatch, Log
from bandit.errors import InputError
from bandit.policies.uniform import Uniform
from bandit.store.log import StoreLog
from simulator import (
    FactsClairvoyant,
    Market,
    Noise,
    Population,
    RunLog,
    RunOptions,
    run,
    run_table,
    scenario,
    write_table,
)
from simulator.market.season import DAY


def world(n=300, seed=1, name="tiny", **changes):
    rng = np.random.default_rng(seed)
    return Population.draw(Market.draw(replace(scenario(name), **changes), rng), n, rng)


def world_with_returns():
    """Four in ten purchases under an offer by text come back within eight days; the window is fourteen."""
    tiny = scenario("tiny")
    discount, channel = tiny.dimensions
    email, sms = channel.options
    return world(
        dimensions=(discount, replace(channel, options=(email, replace(sms, returned=0.4)))),
        return_delay_days=3.0,
        return_within_days=8.0,
        objective={**tiny.objective, "window": "14d"},
    )


class RecordingPolicy(Uniform):
    """Chooses uniformly and keeps its updates."""

    learns = True

    def __init__(self, catalogue):
        super().__init__(catalogue)
        self.updates = []

    def update(self, outcomes):
        self.updates.append(outcomes)


class FakeEngine:
    """The engine's batch methods, which keep all calls."""

    def __init__(self, catalogue):
        self.catalogue = catalogue
        self.decided, self.events, self.learned = [], [], []

    def decide_batch(self, customers, contexts, *, time=None, decision_ids=None):
        checked = self.catalogue.contexts(contexts, customers)
        n, n_offers = checked.n, self.catalogue.n_offers
        self.decided.append((list(customers), list(decision_ids), time, len(self.events)))
        offer = np.arange(n) % n_offers
        return DecisionBatch(
            tuple(decision_ids),
            tuple(customers),
            self.catalogue.offers(offer),
            offer,
            np.full(n, 0.25),
            np.ones((n, n_offers), dtype=np.bool_),
            np.full((n, n_offers), 1 / n_offers),
            time,
            "policy",
        )

    def record_batch(self, decision_ids, event, *, revenue=None, time=None):
        revenues = np.zeros(len(decision_ids)) if revenue is None else revenue
        self.events += list(zip(decision_ids, [event] * len(decision_ids), revenues, time, strict=True))

    def learn(self, *, now=None):
        self.learned.append((now, len(self.events)))


def test_expected_and_realised_value_of_a_run_agree():
    """20,000 visits: the mean of (realised - expected) is 0 within 4.5 standard errors."""
    population, rng = world(), np.random.default_rng(2)
    visits = population.visits(20_000, rng)
    done = run(Uniform(population.market.catalogue), population, visits, rng)
    gap = done.reward - done.expected
    assert abs(gap.mean()) < 4.5 * gap.std() / np.sqrt(len(done))
    want = population.expected_chosen(visits.customers, done.offer, visits.times)
    assert np.array_equal(done.expected, want)
    assert done.value == pytest.approx(want.mean())
    off = done.reward - np.roll(population.expected_value(known="facts").max(axis=1)[visits.customers], 1)
    assert abs(off.mean()) > 4.5 * off.std() / np.sqrt(len(done))  # negative control: not what was offered
    assert np.all(done.propensity == 1 / 6)


def test_a_run_does_not_depend_on_the_size_of_its_batches():
    population = world()
    visits = population.visits(500, np.random.default_rng(4))
    first, second = (
        run(Uniform(population.market.catalogue), population, visits, np.random.default_rng(2), RunOptions(batch=size))
        for size in (500, 7)
    )
    assert np.array_equal(first.offer, second.offer)
    assert np.array_equal(first.reward, second.reward)


def test_shared_noise_makes_equal_offers_have_equal_outcomes():
    population, rng = world(), np.random.default_rng(4)
    visits = population.visits(2_000, rng)
    noise = Noise.draw(2_000, rng)
    one = run(Uniform(population.market.catalogue), population, visits, rng, noise=noise)
    other = run(FactsClairvoyant(population), population, visits, rng, noise=noise)
    same = one.offer == other.offer
    assert 0 < same.sum() < 2_000
    assert np.array_equal(one.reward[same], other.reward[same])


@pytest.mark.parametrize("delayed", [False, True])
def test_a_bare_policy_is_updated_once_with_every_decision_and_its_outcome(delayed):
    population, rng = world(), np.random.default_rng(5)
    visits = population.visits(1_000, rng, days=10)
    policy_log = RecordingPolicy(population.market.catalogue)
    done = run(policy_log, population, visits, rng, RunOptions(batch=100, learn_every=3, delayed=delayed))
    updates = [(len(part), float(part.reward.sum())) for part in policy_log.updates]
    assert sum(n for n, _ in updates) == 1_000
    assert sum(total for _, total in updates) == pytest.approx(done.reward.sum())
    assert sum(int(part.converted.sum()) for part in policy_log.updates) == done.responses.converted.sum()
    keys = np.concatenate([part.contexts.customers for part in policy_log.updates])
    assert sorted(keys) == sorted(population.names(visits.customers))
    if not delayed:
        assert [n for n, _ in updates] == [300, 300, 300, 100]
        assert np.array_equal(np.concatenate([part.offer for part in policy_log.updates]), done.offer)


def test_with_delay_no_outcome_is_observed_before_its_time():
    """Before a batch at time t: purchases whose delay has passed, and other visits whose window of 3 days has ended."""
    population, rng = world(), np.random.default_rng(5)
    visits = population.visits(900, rng, days=9)
    policy_log = RecordingPolicy(population.market.catalogue)
    observed = []
    done = run(
        policy_log,
        population,
        visits,
        rng,
        RunOptions(batch=90, delayed=True),
        progress=lambda seen, _: observed.append((seen, sum(map(len, policy_log.updates)))),
    )
    due = visits.times + np.where(done.responses.converted, done.responses.delay, 3 * DAY)
    assert observed[0][1] == 0
    for seen, updates in observed[:-1]:
        started = visits.times[seen - 90]
        assert updates == (due[: seen - 90] <= started).sum()
    assert sum(map(len, policy_log.updates)) == 900


def test_an_engine_decides_and_records_in_batches():
    population, rng = world(), np.random.default_rng(6)
    visits = population.visits(250, rng)
    engine, calls = FakeEngine(population.market.catalogue), []
    done = run(
        engine, population, visits, rng, RunOptions(batch=100, prefix="live-"), progress=lambda *at: calls.append(at)
    )
    assert calls == [(100, 250), (200, 250), (250, 250)]
    assert [len(decided[0]) for decided in engine.decided] == [100, 100, 50]
    assert engine.decided[0][0] == population.names(visits.customers[:100]).tolist()
    assert done.decision_ids.tolist() == [f"live-{row}" for row in range(250)]
    assert engine.decided[2][1] == done.decision_ids[200:].tolist()
    assert np.array_equal(engine.decided[1][2], visits.times[100:200])
    assert np.array_equal(done.offer[:100], np.arange(100) % 6)
    assert np.all(done.propensity == 0.25)
    bought = {key: revenue for key, event, revenue, _ in engine.events if event == "purchase"}
    want = done.responses.converted
    assert bought == dict(zip(done.decision_ids[want], done.responses.revenue[want], strict=True))
    closed = [key for key, event, *_ in engine.events if event == "closed"]
    assert closed == done.decision_ids.tolist()
    assert engine.learned[0][0] == visits.times[99]
    assert engine.learned[-1] == (visits.times[-1], len(engine.events))


def test_delayed_purchases_are_recorded_at_their_time_and_missing_ones_not_at_all():
    population, rng = world(), np.random.default_rng(6)
    visits = population.visits(600, rng, days=8)
    engine = FakeEngine(population.market.catalogue)
    done = run(engine, population, visits, rng, RunOptions(batch=50, delayed=True))
    assert {event for _, event, *_ in engine.events} == {"purchase"}
    row = {key: place for place, key in enumerate(done.decision_ids)}
    for key, _, _, time in engine.events:
        assert time == visits.times[row[key]] + done.responses.delay[row[key]]
    assert len(engine.events) == done.responses.converted.sum()
    for _, ids, times, known in engine.decided:
        due = visits.times + done.responses.delay
        earlier = np.arange(600) < row[ids[0]]
        assert known == (done.responses.converted & earlier & (due <= times[0])).sum()
    assert engine.learned[-1][0] == visits.times[-1] + 3 * DAY


def test_a_run_is_a_log_that_can_be_read_many_times():
    population, rng = world(name="retail"), np.random.default_rng(7)
    done = run(Uniform(population.market.catalogue), population, population.visits(700, rng), rng)
    log = RunLog(population, done)
    assert isinstance(log, Log)
    assert log.n == 700
    for _ in range(2):
        parts = list(log.batches(256))
        assert [len(part) for part in parts] == [256, 256, 188]
        assert np.array_equal(np.concatenate([part.reward for part in parts]), done.reward)
        assert np.array_equal(np.concatenate([part.time for part in parts]), done.visits.times)
    part = parts[1]
    catalogue = population.market.catalogue
    assert part.eligible.shape == (256, 144)
    assert part.eligible.all()
    again = catalogue.objective.reward(catalogue.money, part.offer, part.converted, part.revenue, np.zeros(len(part)))
    np.testing.assert_allclose(again, part.reward)
    assert part.contexts.customers.tolist() == population.names(done.visits.customers[256:512]).tolist()


def test_what_was_sent_back_is_no_conversion_in_log_and_file():
    population, rng = world_with_returns(), np.random.default_rng(7)
    done = run(Uniform(population.market.catalogue), population, population.visits(2_000, rng), rng)
    sent_back = done.responses.returned
    assert sent_back.sum() > 50
    part = next(RunLog(population, done).batches())
    assert not part.converted[sent_back].any()
    assert not part.revenue[sent_back].any()
    assert part.converted.sum() == done.responses.converted.sum() - sent_back.sum()
    assert run_table(population, done)["converted"].tolist() == part.converted.astype(int).tolist()


@pytest.mark.parametrize("delayed", [False, True])
def test_the_engines_own_log_has_the_run_to_the_cent(delayed, tmp_path):
    """Offers, propensities, conversions after returns and rewards, as the store folds them from the events."""
    population, rng = world_with_returns(), np.random.default_rng(7)
    visits = population.visits(600, rng, days=40)
    policy = ThompsonSampling(population.market.catalogue)
    with Engine.open(
        tmp_path / "run.db", population.market.catalogue, policy, seed=3, customer_key=b"a key for our tests"
    ) as engine:
        done = run(engine, population, visits, rng, RunOptions(batch=100, delayed=delayed))
        log = StoreLog(engine.store, population.market.catalogue)
        parts = list(log.batches())
        stored = population.lookup(engine.store.customers.stored)
    assert done.responses.returned.any()
    whole = RunLog(population, done)
    for part, want in zip(parts, whole.batches(), strict=True):
        assert np.array_equal(part.offer, want.offer)
        assert np.array_equal(part.eligible, want.eligible)
        assert np.array_equal(part.converted, want.converted)
        np.testing.assert_allclose(part.propensity, want.propensity, rtol=1e-12)
        np.testing.assert_allclose(part.reward, want.reward, rtol=1e-9, atol=1e-9)
        assert np.array_equal(population.rows(part.contexts.customers, stored), visits.customers)


def test_files_of_a_run_contain_the_run(tmp_path):
    population, rng = world(name="retail"), np.random.default_rng(8)
    done = run(Uniform(population.market.catalogue), population, population.visits(400, rng), rng)
    table = run_table(population, done)
    for name in ("run.csv", "run.csv.gz", "run.parquet"):
        write_table(tmp_path / name, population, done)
    with (tmp_path / "run.csv").open(encoding="utf-8", newline="") as file:
        plain = list(csv.DictReader(file))
    with gzip.open(tmp_path / "run.csv.gz", "rt", encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == plain
    parquet = pq.read_table(tmp_path / "run.parquet").to_pydict()
    assert list(plain[0]) == list(parquet) == list(table)
    assert len(plain) == 400
    for name, column in table.items():
        assert parquet[name] == column.tolist()
    assert [float(row["propensity"]) for row in plain] == done.propensity.tolist()
    assert [float(row["revenue"]) for row in plain] == done.responses.revenue.tolist()
    assert {row["loyal"] for row in plain} == {"true", "false"}
    assert plain[0]["time"].endswith("Z")
    times = np.array([row["time"].rstrip("Z") for row in plain], dtype="datetime64[us]").astype(np.int64)
    assert np.array_equal(times, done.visits.times)
    catalogue = population.market.catalogue
    columns = {name: [row[name] for row in plain] for name in catalogue.dimension_names}
    assert np.array_equal(catalogue.offer_indices(columns), done.offer)
    facts = {name: [row[name] for row in plain] for name in catalogue.facts}
    read = catalogue.contexts(facts)
    for name, column in population.contexts(done.visits.customers).columns.items():
        assert np.array_equal(read.columns[name], column)


def test_the_same_run_writes_the_same_bytes_and_a_strange_ending_is_refused(tmp_path):
    population, rng = world(), np.random.default_rng(8)
    done = run(Uniform(population.market.catalogue), population, population.visits(50, rng), rng)
    calls = []
    for name in ("a.csv.gz", "b.csv.gz"):
        write_table(tmp_path / name, population, done, progress=lambda *at: calls.append(at))
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert calls == [(50, 50), (50, 50)]
    with pytest.raises(InputError, match=r'"run\.xlsx" ends in none of'):
        write_table(tmp_path / "run.xlsx", population, done)
    assert not (tmp_path / "run.xlsx").exists()


def test_a_run_without_visits_is_empty(tmp_path):
    population, rng = world(), np.random.default_rng(8)
    done = run(RecordingPolicy(population.market.catalogue), population, population.visits(0, rng), rng)
    assert len(done) == 0
    assert list(RunLog(population, done).batches()) == []
    write_table(tmp_path / "none.csv", population, done)
    assert (tmp_path / "none.csv").read_text().startswith("decision_id,customer,time")

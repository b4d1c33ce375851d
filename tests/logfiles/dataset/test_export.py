"""A dataset has the log as the database has it, grows by what is new, and is never there by halves."""

import json
from pathlib import Path

import numpy as np
import pytest

from bandit import Engine, Uniform
from bandit.errors import InputError, LogFileError
from bandit.evaluate import evaluate
from bandit.logfiles import open_dataset, open_log
from bandit.logfiles.dataset import export as export_module
from bandit.logfiles.dataset.manifest import MANIFEST_NAME
from bandit.logfiles.dataset.partition import Partitioner
from bandit.store import Store
from tests.logfiles.dataset.conftest import DAY, check_close, check_same, columns_of, now, odd, stored, write
from tests.logfiles.odd_database import fill
from tests.store.rows import decisions, events

WEEK = 7 * DAY


@pytest.mark.parametrize(("kind", "partitions"), [("profit", 7), ("conversion", 1), ("reward", 2)])
def test_a_dataset_is_the_log_of_its_database(tmp_path, made, kind, partitions):
    """121 settled decisions in the order of the log: numbers of offers, masks, propensities, facts and rewards."""
    write(made, tmp_path / "log", odd(), partitions=partitions)
    log = open_dataset(tmp_path / "log", odd(kind=kind))
    of_database = stored(made, odd(kind=kind), log.manifest.until)
    check_same(columns_of(log), columns_of(of_database))
    check_same(columns_of(log, size=7), columns_of(of_database))
    assert (log.n, log.still_open, log.left_out) == (121, 9, 0)


def test_an_evaluation_of_a_dataset_is_that_of_its_database(tmp_path, made):
    """Part by part, to 1e-12."""
    write(made, tmp_path / "log", odd(), partitions=3)
    log = open_dataset(tmp_path / "log")
    logs = (log, stored(made, odd(), log.manifest.until))
    judged = [evaluate(each, [Uniform(odd())], "logged").to_dict() for each in logs]
    check_close(judged[0], judged[1])


def test_the_parts_are_the_log_dealt_by_customer(tmp_path, made):
    """Each customer's decisions are in the partition of the hash; together the parts have all 121."""
    write(made, tmp_path / "log", odd(), partitions=5)
    log = open_dataset(tmp_path / "log")
    partitioner = Partitioner(5)
    for part in log.parts:
        customers = columns_of(part.open())["customer"]
        assert set(partitioner.of_all(customers)) == {part.partition}
        assert len(customers) == part.n
    assert sum(part.n for part in log.parts) == log.n == 121
    whole, parts = columns_of(log), [columns_of(part.open()) for part in log.parts]
    order = np.argsort(np.concatenate([part["time"] for part in parts]), kind="stable")
    np.testing.assert_array_equal(np.sort(whole["time"]), np.concatenate([part["time"] for part in parts])[order])


def rich_database(path):
    """60 decisions with weights, two catalogue versions, stages, corrections, returns, and events of every time."""
    objective = {"kind": "profit", "event": "purchase", "margin": 0.4, "window": "7d", "stages": ["view", "cart"]}
    first, second = odd(**objective), without_gift(objective)
    with Store.open(path, durability="process") as store:
        for number, catalogue in enumerate((first, second)):
            ids = [f"{number}-{row}" for row in range(30)]
            store.decision_writer.append(
                decisions(
                    store.catalogues.register(catalogue),
                    catalogue.n_offers,
                    ids,
                    contexts_json=['{"mood":"a|b","recency":-0.1,"loyal":true}', '{"loyal":false}', "{}"] * 10,
                    weights=1.0 + np.arange(30) % 3,
                    customers=[f"customer-{row % 11}" for row in range(30)],
                )
            )
            store.events.append(events(ids[::2], "view", time=3))
            store.events.append(events(ids[::3], "purchase", time=WEEK, revenue=50.0))
            store.events.append(events(ids[::6], "return", time=WEEK + 1, revenue=-50.0))
            store.events.append(events(ids[::9], "return", time=WEEK - 1, revenue=-50.0, event_ids=["r"] * 4))
            store.events.append(events(ids[:3], "purchase", time=WEEK, revenue=80.0, reward=1.5), correct=True)
            store.events.append(events(ids[-2:], "purchase", time=WEEK + 9 * DAY, revenue=80.0))
    return first, second


def without_gift(objective):
    """The catalogue ODD with the third deal stopped: decisions with it are outside."""
    plain = odd(**objective).to_dict()
    plain["dimensions"][0]["options"].pop()
    plain["rules"] = []
    return type(odd()).from_dict(plain)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("partitions", [1, 4])
def test_weights_stages_corrections_and_other_versions_survive(tmp_path, version, partitions):
    """Read under either catalogue; under the second the decisions with the third deal are outside."""
    catalogue = rich_database(tmp_path / "rich.db")[version]
    write(tmp_path / "rich.db", tmp_path / "log", partitions=partitions)
    log = open_dataset(tmp_path / "log", catalogue)
    of_database = stored(tmp_path / "rich.db", catalogue, log.manifest.until)
    check_same(columns_of(log), columns_of(of_database))
    check_same(columns_of(log, outside=True), columns_of(of_database, outside=True))
    assert (log.n, log.left_out) == (of_database.n, of_database.left_out)
    assert log.outside_reasons == of_database.outside_reasons
    assert (log.left_out > 0) == (version == 1)
    assert sum(part.open().left_out for part in log.parts) == log.left_out


def test_decisions_without_propensities_and_activations_survive(tmp_path):
    """Every other decision was shown; the imported ones have no propensity."""
    catalogue = odd(activation="shown")
    with Store.open(tmp_path / "log.db", durability="process") as store:
        number = store.catalogues.register(catalogue)
        ids = [f"d{row}" for row in range(40)]
        policy = store.catalogues.unknown_policy(number)
        store.decision_writer.append(
            decisions(number, catalogue.n_offers, ids, policy_id=policy, propensity=np.ones(40))
        )
        store.events.append(events(ids[::2], "shown", time=np.arange(0, 40, 2) * 1_000_000))
    write(tmp_path / "log.db", tmp_path / "log", partitions=3)
    log = open_dataset(tmp_path / "log")
    of_database = stored(tmp_path / "log.db", catalogue, log.manifest.until)
    check_same(columns_of(log), columns_of(of_database))
    assert (log.n, log.not_activated, log.propensities_known) == (20, 20, False)
    assert np.isnan(columns_of(log)["propensity"]).all()


def grow(db, n, name):
    """Add n decisions of known customers, each bought, and outcomes to decisions that were there."""
    rng = np.random.default_rng(len(name))
    with Engine.open(db, odd(), Uniform(odd()), durability="process", seed=5) as engine:
        customers = [f"policy {row % 9}" for row in range(n)]
        batch = engine.decide_batch(
            customers, {"loyal": rng.integers(0, 2, n).astype(float)}, time=now() - 8 * DAY + np.arange(n)
        )
        for row, decision in enumerate(batch.decision_ids):
            engine.record(decision, "purchase", revenue=7.0 + row, time=int(batch.time[row]) + 1)


@pytest.mark.filterwarnings("ignore:customers")
def test_a_dataset_grows_by_decisions_and_by_late_outcomes(tmp_path):
    """After each export it is the log of the database: corrections, returns and closings of old decisions, too."""
    db, folder = fill(tmp_path / "a.db", odd(), now=now()), tmp_path / "log"
    first = write(db, folder, odd(), partitions=4)
    assert (first.n, first.n_late, first.rows) == (130, 0, 130)
    grow(db, 20, "second")
    with Store.open(db, durability="process") as store:
        ids = store.decisions.page("purchase", WEEK).decision_id
        known = store.decisions.page("purchase", WEEK)
        ids, soon = known.decision_id.tolist(), (known.time + 5)
        store.events.append(events(ids[:4], "return", time=soon[:4], revenue=-1.0, event_ids=["again"] * 4))
        late = events(ids[:4:3], time=soon[:4:3], revenue=99.0)
        store.events.append(late, correct=True)
        store.events.append(events(ids[122:127], "closed", time=now()))
    second = write(db, folder, odd(), since="last")
    assert (second.n, second.n_late, second.rows) == (20, 4 + 2 + 5, 150)
    log = open_dataset(folder)
    check_same(columns_of(log), columns_of(stored(db, odd(), log.manifest.until)))
    for part in log.parts:
        assert set(columns_of(part.open())["customer"]) <= set(columns_of(log)["customer"])
    third = write(db, folder, odd(), since="last")
    assert (third.n, third.n_events, third.rows, third.files) == (0, 0, 150, second.files)
    assert third.until > second.until


def test_an_export_that_is_killed_leaves_nothing_that_is_read_and_is_repeated(tmp_path, made, monkeypatch):
    """It ends before its manifest is written, as by kill -9; the next one has all once and removes what lies about."""
    folder = tmp_path / "log"

    def killed(*_arguments):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(export_module, "write_manifest", killed)
        patch.setattr(export_module.RunWriter, "abandon", lambda _self: None)
        with pytest.raises(SystemExit):
            write(made, folder, odd(), partitions=3)
    left = set(folder.rglob("*.parquet"))
    assert left
    with pytest.raises(InputError, match="is no dataset"):
        open_dataset(folder)
    write(made, folder, odd(), partitions=3)
    assert not left & set(folder.rglob("*.parquet"))
    assert open_dataset(folder).n == 121
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*.parquet")}
    assert names == open_dataset(folder).manifest.file_names


def test_a_failed_export_leaves_no_files(tmp_path, made, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_module, "write_manifest", full)
    with pytest.raises(LogFileError, match="cannot be written: No space left on device"):
        write(made, tmp_path / "log", odd(), partitions=3)
    assert not (tmp_path / "log").exists()


def test_a_dataset_is_not_overwritten_nor_mixed(tmp_path, made):
    folder = tmp_path / "log"
    write(made, folder, odd(), partitions=2)
    with pytest.raises(InputError, match="is a dataset of 130 decisions already; --since last adds what is new"):
        write(made, folder, odd())
    with pytest.raises(InputError, match="has 2 partitions, not 3"):
        write(made, folder, odd(), partitions=3, since="last")
    changed = odd().to_dict()
    changed["context"]["recency"] = {"type": "boolean"}
    with pytest.raises(InputError, match='fact "recency" is numeric in the dataset and boolean in the catalogue'):
        write(made, folder, type(odd()).from_dict(changed), since="last")
    other = fill(tmp_path / "other.db", odd(), n=150, seed=2, now=now())
    rename(other)
    with pytest.raises(InputError, match="is the log of another database"):
        write(other, folder, odd(), since="last")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"has other files, such as notes\.txt"):
        write(made, tmp_path / "mine", odd())
    assert write(made, folder, odd(), partitions=3, force=True).partitions == 3
    assert open_dataset(folder).n == 121
    assert len(list(folder.rglob("*.parquet"))) == len(open_dataset(folder).manifest.file_names)


def rename(db):
    """Give the decisions of a database other ids."""
    import sqlite3  # noqa: PLC0415

    raw = sqlite3.connect(db)
    raw.execute("INSERT INTO meta (name, value) VALUES ('erasing', '1')")
    raw.execute("UPDATE decisions SET decision_id = 'x' || decision_id")
    raw.execute("DELETE FROM meta WHERE name = 'erasing'")
    raw.commit()
    raw.close()


def test_since_a_time_begins_there_and_leaves_no_gap(tmp_path, made):
    """The newest ten decisions are of today; a later time than the dataset reaches would leave a gap."""
    today = now() - DAY
    report = write(made, tmp_path / "log", odd(), partitions=2, since=today)
    assert report.rows == 10
    assert open_dataset(tmp_path / "log").manifest.since == today
    assert write(made, tmp_path / "log", odd(), since=today).n == 0
    with pytest.raises(InputError, match="would be missing: continue with --since last"):
        write(made, tmp_path / "log", odd(), since=now() + DAY)


def test_a_dataset_of_another_key_is_not_continued(tmp_path):
    key, other = b"sixteen bytes or more", b"another sixteen bytes key"
    for name, each in (("a", key), ("b", other)):
        fill(tmp_path / f"{name}.db", odd(), now=now(), key=each)
    for name, each in (("a", key), ("b", other)):
        with Store.open(tmp_path / f"{name}.db", durability="process", customer_key=each) as store:
            if name == "a":
                assert not export_module.export_dataset(store, odd(), tmp_path / "log").in_clear
            else:
                with pytest.raises(InputError, match="under another key"):
                    export_module.export_dataset(store, odd(), tmp_path / "log", since="last")
    customers = columns_of(open_dataset(tmp_path / "log"))["customer"]
    assert all(len(each) == 32 for each in customers)


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_a_dataset_may_be_at_an_address(tmp_path, made, protocol):
    pytest.importorskip("fsspec")
    address = f"{protocol}://{tmp_path if protocol == 'file' else '/' + tmp_path.name}/log"
    write(made, address, odd(), partitions=3)
    log = open_log(Path(address) if protocol == "memory" else address)  # a path has one / where there were two
    check_same(columns_of(log), columns_of(stored(made, odd(), log.manifest.until)))
    assert write(made, address, odd(), since="last").n == 0
    assert sum(len(columns_of(part.open())["time"]) for part in log.parts) == 121


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("s3://bucket/log", "addresses of s3:// need the package s3fs: pip install s3fs"),
        ("nowhere://bucket/log", "there are no addresses of nowhere://"),
        ("memory://nothing/here", "is no dataset: it has no _offer_bandit.json"),
    ],
)
def test_an_address_that_cannot_be_opened_is_said_in_a_sentence(address, says):
    pytest.importorskip("fsspec")
    with pytest.raises(InputError, match=says):
        open_dataset(address)


def test_manifests_and_files_that_cannot_be_used_are_said(tmp_path, made):
    folder = tmp_path / "log"
    write(made, folder, odd(), partitions=2)
    manifest = folder / MANIFEST_NAME
    content = manifest.read_text()
    manifest.write_text(json.dumps(json.loads(content) | {"format": 9, "written_by": "9.1"}))
    with pytest.raises(
        LogFileError, match=r"has format 9, written by offer-bandit 9\.1; this version reads formats up"
    ):
        open_dataset(folder)
    manifest.write_text(content[:200])
    with pytest.raises(LogFileError, match="is damaged"):
        open_dataset(folder)
    manifest.write_text(content)
    log = open_dataset(folder)
    victim = next(folder.rglob("decisions-*.parquet"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:500])
    with pytest.raises(LogFileError, match="a file of the dataset cannot be read"):
        list(log.batches())
    victim.unlink()
    with pytest.raises(LogFileError, match="a file of the dataset is not there"):
        list(log.batches())

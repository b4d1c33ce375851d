"""What is exported comes back as it was, in every format, and is never there by halves."""

import csv
import datetime as dt
import gzip
import io
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit import Uniform
from bandit.catalogue.toml import read_toml
from bandit.errors import InputError, MissingExtraError
from bandit.evaluate import evaluate
from bandit.logfiles import ExportLayout, LogMapping, export, export_mapping, import_log, mapping_toml, open_log
from bandit.logfiles.columns.logged_eligibility import mask_text, read_mask
from bandit.store import Store, StoreLog, Where
from tests.logfiles.odd_database import DAY, fill, odd

FORMATS = ("parquet", "csv", "csv.gz", "dsjson")


def write(db, catalogue, path, **options):
    with Store.open(db, durability="process") as store:
        return export(store, catalogue, path, **options)


def bring_back(db, catalogue, path):
    with Store.open(db, durability="process") as store:
        return import_log(store, catalogue, export_mapping(path, catalogue), path)


def settled(db, catalogue):
    store = Store.open(db, durability="process")
    return StoreLog(store, catalogue, where=Where(settled_before=time.time_ns() // 1_000 - 7 * DAY))


def now():
    return time.time_ns() // 1_000


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A database of the catalogue ODD with 121 settled decisions (one of them closed early) and 9 that are open."""
    return fill(tmp_path_factory.mktemp("made") / "made.db", odd(), now=now())


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("include_open", [False, True])
def test_export_import_export_gives_the_same_rows_and_the_same_evaluation(tmp_path, made, kind, include_open):
    """All columns but `policy`: an import does not bring policies along."""
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    catalogue = odd()
    first, again = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    written = write(made, catalogue, first, include_open=include_open)
    assert (written.n, written.still_open) == ((130, 0) if include_open else (121, 9))
    report = bring_back(tmp_path / "back.db", catalogue, first)
    assert (report.n_imported, report.n_refused) == (written.n, 0)
    write(tmp_path / "back.db", catalogue, again, include_open=include_open)
    assert without_policy(again) == without_policy(first)
    judged = [evaluate(settled(db, catalogue), [Uniform(catalogue)], "logged") for db in (made, tmp_path / "back.db")]
    assert judged[0].to_dict() == judged[1].to_dict()
    assert judged[0].n == 121


def without_policy(path):
    if path.name.endswith("parquet"):
        from pyarrow import parquet  # noqa: PLC0415

        return parquet.read_table(path).drop_columns(["policy"]).to_pylist()
    if path.name.endswith("dsjson"):
        return path.read_text().replace('"policy":1,', "")
    return [{**row, "policy": ""} for row in rows_of(path)]


def rows_of(path):
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.name.endswith("gz") else content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("kind", ["reward", "revenue", "conversion"])
def test_every_objective_comes_back(tmp_path, kind):
    catalogue = odd(kind=kind)
    made = fill(tmp_path / "made.db", catalogue, now=now())
    write(made, catalogue, tmp_path / "log.csv")
    bring_back(tmp_path / "back.db", catalogue, tmp_path / "log.csv")
    wanted, got = (next(iter(settled(db, catalogue).batches())) for db in (made, tmp_path / "back.db"))
    assert (wanted.reward < 0).any() == (kind == "reward")
    for name in ("offer", "eligible", "propensity", "converted", "reward", "time"):
        assert getattr(got, name).tolist() == getattr(wanted, name).tolist(), name


def test_what_was_eligible_is_taken_from_the_log_and_not_from_the_rules(tmp_path, made):
    """Under a catalogue without the rule the masks are those of the day all the same."""
    write(made, odd(), tmp_path / "log.csv")
    plain = odd().to_dict()
    del plain["rules"]
    free = type(odd()).from_dict(plain)
    bring_back(tmp_path / "back.db", free, tmp_path / "log.csv")
    masks = next(iter(settled(tmp_path / "back.db", free).batches())).eligible
    assert masks.tolist() == next(iter(settled(made, odd()).batches())).eligible.tolist()
    assert not masks.all()


def test_masks_that_cannot_be_read_and_offers_outside_them_are_refused(tmp_path, made):
    write(made, odd(), tmp_path / "log.csv")
    lines = (tmp_path / "log.csv").read_bytes().decode()
    for wrong, reason in (("zz", "is not a mask of 6 offers in hex"), ("ff", "is not a mask"), ("00", "not among")):
        bad = lines.replace(",fc,", f",{wrong},", 1)
        assert bad != lines
        (tmp_path / "bad.csv").write_text(bad, newline="")
        with Store.open(tmp_path / f"{wrong}.db", durability="process") as store:
            report = import_log(store, odd(), export_mapping(tmp_path / "bad.csv", odd()), tmp_path / "bad.csv")
        assert report.n_refused == 1
        assert reason in report.refused[0].reason


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_a_mask_comes_back_from_its_text_and_from_no_other_size(bits):
    mask = np.array(bits)
    assert read_mask(mask_text(mask), len(mask)).tolist() == bits
    assert read_mask(mask_text(mask), len(mask) + 8) is None
    assert read_mask(mask_text(mask) + "00", len(mask)) is None
    assert read_mask(mask_text(np.append(mask, True)), len(mask)) is None


def test_the_mapping_file_reads_the_export(tmp_path, made):
    written = write(made, odd(), tmp_path / "log.dsjson")
    (tmp_path / "mapping.toml").write_text(mapping_toml(odd(), written))
    assert read_toml(tmp_path / "mapping.toml", "a mapping")["columns"]["time"] == "offer_bandit.time"
    mapping = LogMapping.from_toml(tmp_path / "mapping.toml")
    assert open_log(tmp_path / "log.dsjson", odd(), mapping).n == 121


def test_parquet_has_the_types_of_its_columns(tmp_path, made):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    write(made, odd(), tmp_path / "log.parquet")
    table = parquet.read_table(tmp_path / "log.parquet")
    assert tuple(table.column_names) == ExportLayout.of(odd()).names
    assert table.schema.field("time").type == pa.timestamp("us", tz="UTC")
    assert table.column("time")[0].as_py() == dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    assert table.schema.field("loyal").type == pa.bool_()
    assert table.schema.field("recency").type == pa.float64()
    assert table.column("recency").null_count > 0
    # Names that other columns have.
    assert {"offer.time", "fact.group"} <= set(table.column_names)


def test_customers_leave_as_they_are_stored(tmp_path):
    fill(tmp_path / "made.db", odd(), now=now(), key=b"a secret of our own")
    with Store.open(tmp_path / "made.db", customer_key=b"a secret of our own") as store:
        export(store, odd(), tmp_path / "log.csv")
        wanted = store.customers.stored("policy 0")
    assert rows_of(tmp_path / "log.csv")[0]["customer"] == wanted != "policy 0"


def test_decisions_that_the_catalogue_has_no_offer_for_are_counted(tmp_path, made):
    plain = odd().to_dict()
    plain["dimensions"][0]["options"] = plain["dimensions"][0]["options"][:2]
    del plain["rules"]
    fewer = type(odd()).from_dict(plain)
    written = write(made, fewer, tmp_path / "log.csv")
    assert written.left_out > 0
    assert written.n + written.left_out == 121


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path, made):
    (tmp_path / "log.csv").write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        write(made, odd(), tmp_path / "log.csv")
    assert (tmp_path / "log.csv").read_text() == "mine"
    write(made, odd(), tmp_path / "log.csv", force=True)
    assert (tmp_path / "log.csv").read_text() != "mine"


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_that_fails_leaves_nothing(tmp_path, made, monkeypatch, kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow")

    def progress(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(made, odd(), tmp_path / f"log.{kind}", progress=progress)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_said_in_one_sentence(tmp_path, made, monkeypatch):
    with pytest.raises(InputError, match=r"ends in no known format; name one of parquet, csv, csv.gz, dsjson"):
        write(made, odd(), tmp_path / "log.xlsx")
    with pytest.raises(InputError, match='there is no format "arrow"'):
        write(made, odd(), tmp_path / "log.csv", format="arrow")
    with pytest.raises(InputError, match="cannot be written"):
        write(made, odd(), tmp_path / "no" / "log.csv")
    with pytest.raises(InputError, match="there are no decisions to export; import or make some first"):
        write(tmp_path / "new.db", odd(), tmp_path / "log.csv")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'writing Parquet needs .* "offer-bandit\[parquet\]"'):
        write(made, odd(), tmp_path / "log.parquet")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_an_export_without_propensities_says_so_in_its_mapping(tmp_path):
    plain = "customer,deal,time,bought\nanna,10 %,now,1\nberta,10_%,now,0\n"
    (tmp_path / "log.csv").write_text(plain)
    mapping = LogMapping.from_dict(
        {
            "columns": {"customer": "customer", "propensity": "unknown"},
            "offer": {"deal | size": {"column": "deal"}, "time": {"column": "time"}},
            "outcomes": [{"event": "purchase", "when": "bought"}],
        }
    )
    with Store.open(tmp_path / "made.db", durability="process") as store:
        import_log(store, odd(), mapping, tmp_path / "log.csv")
        written = export(store, odd(), tmp_path / "out.csv")
        assert not written.propensities_known
        assert [row["propensity"] for row in rows_of(tmp_path / "out.csv")] == ["", ""]
        (tmp_path / "mapping.toml").write_text(mapping_toml(odd(), written))
        with pytest.raises(InputError, match="every line of dsjson has one"):
            export(store, odd(), tmp_path / "out.dsjson")
    log = open_log(tmp_path / "out.csv", odd(), LogMapping.from_toml(tmp_path / "mapping.toml"))
    assert not log.propensities_known
    assert log.n == 2
    assert np.isnan(next(iter(log.batches())).propensity).all()

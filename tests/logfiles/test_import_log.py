"""What an import puts into the log, whatever the format it came in."""

import csv
import gzip
import sys
from importlib import import_module

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandit.errors import LogFileError, MissingExtraError
from bandit.logfiles import LogMapping
from bandit.store import Store
from tests.logfiles.import_tools import (
    HEADER,
    MAPPING,
    ROW,
    bring,
    columns_of,
    mapping,
    read_back,
    row,
    sample,
    spring,
    table,
)

DAY = 86_400_000_000
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


def test_without_ids_the_same_content_is_the_same_decision_even_gzipped(tmp_path):
    using = mapping(columns={"row_customer": True, "propensity": 0.1})
    text = table(*sample(50, np.random.default_rng(2)))
    assert bring(tmp_path, text, using=using).n_imported == 50
    assert bring(tmp_path, text, using=using, name="renamed.csv").n_repeated == 50
    assert bring(tmp_path, gzip.compress(text.encode()), using=using, name="log.csv.gz").n_repeated == 50
    other = text.replace("email", "sms")
    assert bring(tmp_path, other, using=using).n_imported == 50
    assert len(set(columns_of(tmp_path).customer)) == 100


def test_gzip_and_parquet_give_the_log_that_csv_gives(tmp_path):
    """Parquet in its own types: numbers, booleans, times, dictionaries, nulls for blanks."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    rows = sample(400, np.random.default_rng(3))
    text = table(*rows)
    columns = dict(zip(HEADER, map(list, zip(*rows, strict=True)), strict=True))
    typed = pa.table(
        {
            "id": pa.array(columns["id"]),
            "who": pa.array(columns["who"]).dictionary_encode(),
            "at": pa.array(np.array(columns["at"], "datetime64[ms]").astype(int), pa.timestamp("ms", tz="UTC")),
            "sex": pa.array([sex or None for sex in columns["sex"]]),
            "rec": pa.array([float(rec) if rec else None for rec in columns["rec"]]),
            "club": pa.array([club == "true" for club in columns["club"]]),
            "disc": pa.array([int(disc) for disc in columns["disc"]], pa.int16()),
            "ch": pa.array(columns["ch"], pa.large_string()),
            "gift": pa.array(columns["gift"].copy()),
            "p": pa.array([float(p) for p in columns["p"]]),
            "bought": pa.array([bool(bought) for bought in columns["bought"]]),
            "amount": pa.array([None if amount == "" else float(amount) for amount in columns["amount"]]),
        }
    )
    parquet.write_table(typed, tmp_path / "made.parquet", row_group_size=64)
    bring(tmp_path, text, db="csv.db")
    bring(tmp_path, gzip.compress(text.encode()), name="no-telling-name", db="gz.db")
    bring(tmp_path, (tmp_path / "made.parquet").read_bytes(), name="neither", db="parquet.db")
    wanted = columns_of(tmp_path, "csv.db")
    for db in ("gz.db", "parquet.db"):
        got = columns_of(tmp_path, db)
        for name in ("decision_id", "time", "customer", "context", "offer", "propensity", "converted", "revenue"):
            assert getattr(got, name).tolist() == getattr(wanted, name).tolist(), (db, name)


def test_parquet_that_cannot_be_read_is_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    parquet.write_table(pa.table({name: [[value]] for name, value in zip(HEADER, ROW, strict=True)}), tmp_path / "a")
    with pytest.raises(LogFileError, match="is of the type list"):
        bring(tmp_path, (tmp_path / "a").read_bytes())
    with pytest.raises(LogFileError, match="damaged Parquet"):
        bring(tmp_path, (tmp_path / "a").read_bytes()[:-30])
    parquet.write_table(pa.table({name: [f"{name}\0"] for name in HEADER}), tmp_path / "b")
    with pytest.raises(LogFileError, match="row 1 has a NUL"):
        bring(tmp_path, (tmp_path / "b").read_bytes())
    columns = {"customer": "customer_key", "propensity": "p"}
    with pytest.raises(LogFileError, match='the schema has no column "customer_key"'):
        bring(tmp_path, (tmp_path / "b").read_bytes(), using=mapping(columns=columns))


def test_parquet_without_its_extra_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "offer-bandit\[parquet\]"'):
        bring(tmp_path, b"PAR1 and more")


@pytest.mark.parametrize(
    ("columns", "text", "wanted"),
    [
        ({}, "2026-03-01T12:00:00", NOON),
        ({}, "2026-03-01 12:00", NOON),
        ({}, "2026-03-01T13:00:00+01:00", NOON),
        ({}, "2026-03-01T12:00:00Z", NOON),
        ({}, "2026-03-01T12:00:00.000001", NOON + 1),
        ({"time_format": "unix"}, "1772366400", NOON),
        ({"time_format": "unix", "time_unit": "ms"}, "1772366400000", NOON),
        ({"time_format": "unix", "time_unit": "h", "time_start": "2026-03-01"}, "12", NOON),
        ({"time_format": "%d.%m.%Y %H:%M"}, "01.03.2026 12:00", NOON),
    ],
)
def test_times_are_read_as_the_mapping_says(tmp_path, columns, text, wanted):
    bring(tmp_path, table(row(at=text)), using=mapping(columns=MAPPING["columns"] | columns))
    assert columns_of(tmp_path).time.tolist() == [wanted]


def test_without_a_time_rows_are_a_second_apart_in_the_order_of_their_lines(tmp_path):
    columns = {"customer": "who", "propensity": "p", "time_start": "2026-03-01"}
    bring(tmp_path, table(row(), row(), row()), using=mapping(columns=columns))
    assert np.diff(columns_of(tmp_path).time).tolist() == [1_000_000, 1_000_000]


def test_propensities_may_depend_on_the_offer(tmp_path):
    """The first entry that covers an offer counts; what no entry covers is refused."""
    shares = [
        {"offer": {"discount": "0", "gift": "none"}, "value": "1/3"},
        {"offer": {"discount": "0"}, "value": 0.125},
        {"offer": {"discount": "10"}, "value": "1 / 54"},
    ]
    columns = {"customer": "who", "decision_id": "id"}
    rows = [row(id="a", disc="0", gift="none"), row(id="b", disc="0"), row(id="c"), row(id="d", disc="20", gift="none")]
    report = bring(tmp_path, table(*rows), using=mapping(columns=columns, propensity=shares))
    assert columns_of(tmp_path).propensity.tolist() == [1 / 3, 0.125, 1 / 54]
    assert report.refused[0].reason == "no entry of [[propensity]] covers the offer 20 · email · none"


def test_whole_offers_may_be_looked_up_and_options_renamed(tmp_path):
    offers = {"column": "disc", "lookup": {"Mail | 10 %": {"discount": "10", "channel": "email", "gift": "none"}}}
    report = bring(tmp_path, table(row(id="a", disc="Mail | 10 %"), row(id="b")), using=mapping(offer=offers))
    assert report.refused[0].reason == '"10" in "disc" is no offer of [offer.lookup], which has Mail | 10 %'
    renamed = {"discount": {"column": "disc", "map": {"ten": "10"}}, "channel": "sms", "gift": "none"}
    bring(tmp_path, table(row(id="c", disc="ten"), row(id="d", disc="20")), using=mapping(offer=renamed))
    batch = read_back(tmp_path)
    labels = [spring().label(offer) for offer in batch.offer.tolist()]
    assert labels == ["10 · email · none", "10 · sms · none", "20 · sms · none"]


def test_values_of_facts_may_be_renamed_and_blanks_filled(tmp_path):
    context = {
        "gender": {"column": "sex", "map": {"W": "f", "H": "m"}},
        "recency": {"column": "rec", "blank": 99},
        "loyal": {"column": "club", "map": {"member": True, "guest": False}},
    }
    bring(tmp_path, table(row(sex="W", rec="", club="member")), using=mapping(context=context))
    assert columns_of(tmp_path).context.tolist() == ['{"gender":"f","recency":99.0,"loyal":true}']


def test_outcomes_are_events_and_silence_is_closed(tmp_path):
    outcomes = [
        {"event": "visit", "when": {"column": "rec", "above": 1}},
        {"event": "purchase", "when": "bought", "revenue": "amount"},
        {"event": "net", "reward": "rec"},
    ]
    rows = [row(id="a", rec="2"), row(id="b", rec="1", bought="no", amount=""), row(id="c", bought="", rec="-3")]
    bring(tmp_path, table(*rows), using=mapping(outcomes=outcomes))
    with Store.open(tmp_path / "offers.db") as store:
        events = {key: store.decisions.events_of(key) for key in ("a", "b", "c")}
    assert events["a"].event.tolist() == ["visit", "purchase", "net", "closed"]
    assert events["b"].event.tolist() == ["net", "closed"]
    assert events["c"].reward.tolist()[0] == -3.0
    assert set(events["a"].time.tolist()) == {NOON}


def test_open_decisions_are_not_closed(tmp_path):
    bring(tmp_path, table(row(bought="0")), using=mapping(closed=False))
    assert columns_of(tmp_path).closed.tolist() == [False]
    assert columns_of(tmp_path).n_events.tolist() == [0]


def test_eligible_offers_are_those_that_the_rules_leave(tmp_path):
    """Four of ten offers have the tote (two with 0, two with 10), and guests do not get it."""
    bring(tmp_path, table(row(id="a"), row(id="b", club="0", gift="none")))
    assert read_back(tmp_path).eligible.sum(axis=1).tolist() == [10, 6]
    with Store.open(tmp_path / "offers.db") as store:
        page = store.decisions.page("purchase", 7 * DAY)
        assert store.eligible_sets.removals(int(page.eligible_set_id[1])) == '[{"rule":2,"reason":"for the loyal"}]'


def test_the_fallback_is_eligible_where_nothing_else_is(tmp_path):
    """Nobody under 1 gets anything: there the fallback is served, as the engine does, and all else is refused."""
    every = {"when": "recency < 1", "forbid": {"channel": ["email", "sms"]}, "reason": "too soon"}
    catalogue = spring(rules=[every])
    soon = {"rec": "0.5", "gift": "none"}
    rows = [row(id="a", disc="0", **soon), row(id="b", **soon), row(id="c", disc="0", gift="none")]
    report = bring(tmp_path, table(*rows), catalogue=catalogue)
    assert [(one.line, one.reason) for one in report.refused] == [
        (3, "a rule of the catalogue removes its offer for this customer: too soon")
    ]
    assert read_back(tmp_path, catalogue).eligible.sum(axis=1).tolist() == [1, 12]


def test_wide_catalogues_are_written_in_slices(tmp_path, monkeypatch):
    monkeypatch.setattr(import_module("bandit.logfiles.import_log"), "MASK_CELLS", 70)
    bring(tmp_path, table(*sample(40, np.random.default_rng(4))))
    stored = columns_of(tmp_path)
    assert stored.decision_id.tolist() == [f"d{i}" for i in range(40)]


def test_a_byte_order_mark_other_line_ends_and_delimiters_are_read(tmp_path):
    text = table(ROW)
    bring(tmp_path, b"\xef\xbb\xbf" + text.encode(), db="a.db")
    bring(tmp_path, text.replace("\n", "\r\n"), db="b.db")
    bring(tmp_path, text.replace("\n", "\r"), db="c.db")
    bring(tmp_path, text.replace(",", ";"), db="d.db", using=mapping(delimiter=";"))
    for db in ("a.db", "b.db", "c.db", "d.db"):
        assert columns_of(tmp_path, db).decision_id.tolist() == ["d1"]


def test_progress_rises_to_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(import_module("bandit.logfiles.import_log"), "IMPORT_CHUNK_ROWS", 100)
    seen = []
    text = table(*sample(1_000, np.random.default_rng(5)))
    bring(tmp_path, text, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (2 * len(text), 2 * len(text))
    assert len(seen) > 5


ODD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12) | (
    st.sampled_from(["a|b", "a:b", " a b ", 'say "x"', "a\nb", "\r\n!", "🎁", "a,b", "{}", "\\", "'", "=1+1", "\u2028"])
)
TEXT = ODD.filter(lambda text: text.strip() != "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=25)
@given(names=st.lists(TEXT, min_size=3, max_size=8, unique=True), data=st.data())
def test_odd_texts_come_back_as_they_went_in(tmp_path_factory, names, data):
    """Option names, customers, decision ids and facts with pipes, colons, quotes, line ends and emoji."""
    tmp_path = tmp_path_factory.mktemp("odd")
    options, people = names[:2], data.draw(st.lists(TEXT, min_size=1, max_size=6))
    facts = [data.draw(st.sampled_from(names)) for _ in people]
    chosen = [data.draw(st.sampled_from(options)) for _ in people]
    catalogue = spring(
        context={"mood": {"type": "categorical", "values": [names[2]]}},
        dimensions=[{"name": "lever", "options": [{"name": name} for name in options]}],
        rules=[],
        fallback={"lever": options[0]},
    )
    using = LogMapping.from_dict(
        {
            "columns": {"customer": "who", "decision_id": "id", "propensity": 0.5},
            "context": {"mood": "mood"},
            "offer": {"lever": {"column": "lever"}},
        }
    )
    rows = [
        [f"{place}{who}", who, mood, lever]
        for place, (who, mood, lever) in enumerate(zip(people, facts, chosen, strict=True))
    ]
    text = table(*rows, header=["id", "who", "mood", "lever"], quoting=csv.QUOTE_ALL)
    report = bring(tmp_path, text, using=using, catalogue=catalogue)
    assert (report.n_imported, report.n_refused) == (len(people), 0)
    stored, batch = columns_of(tmp_path), read_back(tmp_path, catalogue)
    assert stored.customer.tolist() == people
    assert stored.decision_id.tolist() == [each[0] for each in rows]
    assert [catalogue.offer(offer)["lever"] for offer in batch.offer.tolist()] == chosen
    assert batch.contexts.text["mood"].tolist() == facts

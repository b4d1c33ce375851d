"""What fuzzing found, each by its smallest input."""

import contextlib
import io
import json
import math
import sqlite3
import time
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from functools import partial

import msgspec
import numpy as np
import pytest

import bandit
from bandit.catalogue import Catalogue
from bandit.catalogue.conditions import compile_condition
from bandit.cli.policies import parse_json
from bandit.clock import microseconds
from bandit.engine import Engine
from bandit.errors import (
    CatalogueError,
    ContextError,
    InputError,
    LogFileError,
    OfferError,
    PolicyError,
    StoreError,
)
from bandit.logfiles import LogMapping
from bandit.logfiles.columns.values import INVALID, INVALID_TIME, share, times
from bandit.policies import ConstantOffer, Uniform, build
from bandit.policies.state import pack, unpack
from bandit.policies.vw.arguments import check_arguments
from bandit.policies.vw.workspace import Workspace
from bandit.printable import MAX_MESSAGE, plain
from bandit.store.spool.file import digest
from tests.conftest import SPRING, draw_outcomes
from tests.fuzz.seeds import spool_lines
from tests.logfiles.import_tools import MAPPING, bring, is_empty, mapping, row, spring, table

pytestmark = pytest.mark.filterwarnings("ignore:customers are stored in the clear")


def _kind(value):
    """The id of a test: integers of thousands of digits cannot be written."""
    return type(value).__name__


@pytest.fixture
def engine(tmp_path, catalogue):
    with Engine.open(tmp_path / "offers.db", catalogue, Uniform(catalogue), seed=1, durability="process") as opened:
        yield opened


@pytest.mark.parametrize(
    "text",
    [
        '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!" =~ "(a+)+$"',
        '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!" !~~ "(a+)+$" or loyal',
        "recency < 1 << 99999999999",
        "recency < 9**9**9",
        "gender.length == 1",
        '"a".__class__ == null',
        "[x for x in [1, 2]] == null",
        "$now == null",
        "not " * 400 + "loyal",
        "(" * 900 + "loyal" + ")" * 900 + " and x",
        "recency < 1e400",
        "recency < 1" + "0" * 1_900,
        "\ud800 == 1",
    ],
)
def test_a_condition_that_may_take_for_ever_or_reach_out_is_refused_before_it_is_parsed(catalogue, text):
    """What is constant is worked out as it is read: `1 << 99999999999` would take more than three minutes."""
    begun = time.monotonic()
    with pytest.raises(CatalogueError) as fault:
        compile_condition(text, catalogue.facts, "here")
    assert time.monotonic() - begun < 1.0
    assert len(str(fault.value)) <= MAX_MESSAGE


def test_what_conditions_may_have_is_still_read(catalogue):
    contexts = catalogue.contexts([{"gender": "f", "recency": 3.0, "loyal": True}, {"gender": "m"}])
    text = "not (loyal == false) and gender in ['f', \"m\"] and recency*2 - 1 >= -1.5e0+.5 and recency != null"
    assert compile_condition(text, catalogue.facts, "here")(contexts).tolist() == [True, False]


def test_messages_are_short_and_steer_no_terminal():
    assert plain("\x1b[2J\u202e\ud800\na") == "\\x1b[2J\\u202e\\ud800 a"
    assert len(plain("\x1b" * 10_000_000)) <= MAX_MESSAGE
    assert str(InputError("a" * 5_000_000)).count("a") < MAX_MESSAGE
    assert plain("plain \u00fc \U0001f600") == "plain \u00fc \U0001f600"


@pytest.mark.parametrize(
    "value", [10**5_000, [10**5_000], float("nan"), math.inf, b"f", {}, object(), "x" * 10_001], ids=_kind
)
@pytest.mark.parametrize("fact", ["gender", "recency", "loyal"])
def test_a_hostile_fact_is_refused_and_nothing_is_written(engine, fact, value):
    if isinstance(value, float) and math.isnan(value) and fact == "gender":
        value = "x" * 20_000  # dataframes mark a missing text by NaN
    with pytest.raises(ContextError):
        engine.decide("anna", {fact: value})
    with pytest.raises(ContextError):
        engine.decide_batch(["anna", "bert"], {fact: [1.5 if fact == "recency" else None, value]})
    assert engine.store.decisions.last_seq() == 0


@pytest.mark.parametrize(
    "when",
    [
        2**63,
        -(2**63),
        10**30,
        datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=12))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_a_time_outside_the_calendar_is_refused(engine, when):
    with pytest.raises(InputError, match=r"years 1 to 9999|beyond the year 9999|before the year 1"):
        engine.decide("anna", {}, time=when)
    with pytest.raises(InputError, match="years 1 to 9999"):
        microseconds(when)
    with pytest.raises(InputError, match="beyond the year 9999"):
        engine.record_batch(["d"], "purchase", time=np.array([2**62]))
    assert microseconds(datetime(9999, 12, 31, tzinfo=UTC)) > 0


@pytest.mark.parametrize("amount", [10**400, "52", [1.0], math.inf, -math.inf, math.nan], ids=_kind)
def test_an_amount_that_is_no_finite_number_is_refused(engine, amount):
    decision = engine.decide("anna", {})
    if amount == "52":  # numpy reads it as a number, as an importer would
        amount = "fifty"
    with pytest.raises(InputError):
        engine.record(decision.decision_id, "purchase", revenue=amount)
    assert engine.store.counts().events == 0


@pytest.mark.parametrize("name", ["", "a" * 1_001, "a\0b", "\ud800"])
def test_a_name_that_cannot_be_kept_is_refused(engine, name):
    engine.decide("anna", {}, decision_id="d1")
    with pytest.raises(InputError):
        engine.decide(name, {})
    with pytest.raises(InputError):
        engine.decide("anna", {}, decision_id=name)
    with pytest.raises(InputError):
        engine.record("d1", name)
    assert (engine.store.decisions.last_seq(), engine.store.counts().events) == (1, 0)


def test_what_sqlite_cannot_take_is_the_callers_fault(engine):
    with pytest.raises(InputError, match="half a character"), engine.store.transaction():
        engine.store._connection.raw.execute("SELECT ?", ("\ud800",))
    with pytest.raises(InputError, match="64 bits"), engine.store.transaction():
        engine.store._connection.raw.execute("SELECT ?", (2**64,))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"objective": {"window": "9" * 400 + "d"}}, "longer than"),
        ({"dimensions": [{"name": "d\0", "options": [{"name": "a"}]}]}, "zero character"),
        ({"dimensions": [{"name": "d", "options": [{"name": "\ud800"}]}]}, "half a character"),
        ({"dimensions": [{"name": "d" * 1_001, "options": [{"name": "a"}]}]}, "at most 1,000"),
        (
            {"dimensions": [{"name": "d", "options": [{"name": "a", "rate": 10**400}]}]},
            "rate|float|integer|out of range",
        ),
    ],
)
def test_a_hostile_catalogue_is_refused(changed, words):
    with pytest.raises(CatalogueError, match=words):
        Catalogue.from_dict({"dimensions": [{"name": "d", "options": [{"name": "a"}]}]} | changed)


def test_a_catalogue_of_more_combinations_than_can_be_written_is_refused():
    """2^20,000 combinations: a number of 6,021 digits, which Python does not write."""
    for n in (64, 999, 20_000):
        dimensions = [{"name": f"d{place}", "options": [{"name": "a"}, {"name": "b"}]} for place in range(n)]
        with pytest.raises(CatalogueError, match="at most"):
            Catalogue.from_dict({"dimensions": dimensions})


@pytest.mark.parametrize("text", ["x = " + "9" * 5_000, "[" * 50_000, "x = " + "[" * 50_000, "a." * 1_000 + "b = "])
def test_hostile_toml_is_refused(tmp_path, text):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(CatalogueError):
        Catalogue.from_toml(tmp_path / "c.toml")


def test_toml_that_is_too_large_is_refused_before_it_is_parsed(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"a=1\n" * 600_000)
    with pytest.raises(CatalogueError, match="larger than"):
        Catalogue.from_toml(tmp_path / "c.toml")


def test_numbers_and_times_beyond_what_a_float_or_a_calendar_holds_are_bad():
    assert share("9" * 400 + "/1") == INVALID
    assert share("1/" + "9" * 400) == INVALID
    assert share("1/3") == 1 / 3
    for style, text in (("iso", "10000-01-01"), ("iso", "300000-01-01"), ("unix", "9e12"), ("unix", "-1e12")):
        assert times([text], style, "s", 0).tolist() == [INVALID_TIME]


def test_a_time_format_that_python_cannot_ask_is_refused():
    with pytest.raises(CatalogueError, match="time_format"):
        mapping(columns=MAPPING["columns"] | {"time_format": "%y%y"})
    assert LogMapping.from_dict(MAPPING | {"columns": MAPPING["columns"] | {"time_format": "%d.%m.%Y"}})


@pytest.mark.parametrize("text", ['{"a": ' + "9" * 5_000 + "}", '{"a":' * 100_000])
def test_hostile_json_on_the_command_line_is_refused(text):
    with pytest.raises(InputError, match="not JSON"):
        parse_json(text, "the context")


def test_ids_that_are_too_long_are_refused_row_by_row(tmp_path):
    good = table(row(), row(id="d2" * 600), row(id="d3", who="w" * 1_001), row(id="d4", sex="s" * 10_001))
    report = bring(tmp_path, good)
    assert (report.n_imported, report.n_refused) == (1, 3)
    assert all(len(refusal.reason) <= MAX_MESSAGE for refusal in report.refused)


@pytest.mark.parametrize(
    "line", ['{"EventId":' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}", '{"c":{"g":"\\ud800"}}', '{"c":1e400}']
)
def test_a_hostile_event_is_refused(tmp_path, line):
    using = mapping(
        columns={"row_customer": True, "propensity": 0.5, "decision_id": "EventId"},
        context={"gender": "c.g"},
        offer={"discount": "0", "channel": "sms", "gift": "none"},
        outcomes=[],
    )
    with pytest.raises(LogFileError):
        bring(tmp_path, line + "\n", using=using, name="log.dsjson")
    assert is_empty(tmp_path)


def _repacked(state, **changed):
    meta, arrays = unpack(state)
    return pack({**meta, **{key: value for key, value in changed.items() if key in meta}}, arrays)


@pytest.mark.parametrize("changed", [{"version": -1}, {"faded": 10**30}, {"scales": {"recency": [0.0, 0.0]}}])
def test_a_belief_that_could_not_answer_is_not_taken(catalogue, changed):
    policy = bandit.ThompsonSampling(catalogue, half_life="30d")
    policy.update(draw_outcomes(catalogue, 30, np.random.default_rng(1)))
    with pytest.raises(PolicyError):
        policy.loads(_repacked(policy.dumps(), **changed))


@pytest.mark.parametrize("name", ["offer", "context/gender", "eligible", "reward", "customers", "converted"])
def test_a_warm_up_of_other_columns_is_not_taken(catalogue, name):
    policy = bandit.ThompsonSampling(catalogue)
    policy.update(draw_outcomes(catalogue, 30, np.random.default_rng(1)))
    meta, arrays = unpack(policy.dumps())
    with pytest.raises(PolicyError):
        policy.loads(pack(meta, arrays | {f"warmup/{name}": np.full(30, 10**6)}))


def test_a_state_that_is_packed_or_claims_more_than_it_has_is_not_read(catalogue):
    """Ten million numbers in ten kilobytes, and an array of 10^15 numbers of which none is there."""
    policy = bandit.ThompsonSampling(catalogue)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("__meta__", "w") as member:
        np.lib.format.write_array(member, np.zeros(10_000_000, dtype=np.uint8), version=(1, 0))
    claim = io.BytesIO()
    with zipfile.ZipFile(claim, "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
        archive.writestr("__meta__", header.getvalue())
    objects = io.BytesIO()
    with zipfile.ZipFile(objects, "w") as archive, archive.open("__meta__", "w") as member:
        np.lib.format.write_array(member, np.array([{}], dtype=object), version=(1, 0), allow_pickle=True)
    for content in (bomb, claim, objects):
        with pytest.raises(PolicyError, match="cannot be read"):
            policy.loads(content.getvalue())


def test_a_policys_description_with_hostile_settings_is_refused(catalogue):
    for spec in (
        {"kind": "thompson", "draws": 10**12},
        {"kind": "thompson", "half_life": 5},
        {"kind": "thompson", "width": "x"},
        {"kind": "vw", "args": 5},
        {"kind": "vw", "args": "--cb_explore_adf", "floor": None},
    ):
        with pytest.raises(PolicyError):
            build(catalogue, spec)
    for number in (-1, catalogue.n_offers):
        with pytest.raises(OfferError, match="there is no offer"):
            ConstantOffer(catalogue, number)


@pytest.mark.parametrize(
    "args",
    ["--extra_metrics out", "--audit_regressor=out", "--epsilon_decay_audit out", "--sendto localhost",
     "--search_allowed_transitions /etc/passwd", "-b 31", "-b31", "--bit_precision=40"],
)  # fmt: skip
def test_arguments_of_vw_that_write_files_reach_out_or_take_all_memory_are_refused(args):
    with pytest.raises(PolicyError):
        check_arguments(f"--epsilon 0.1 {args}")


def test_no_arguments_of_vw_are_allowed_arguments():
    assert check_arguments("") == ""


def test_a_model_of_vw_that_brings_hostile_arguments_is_not_opened(tmp_path):
    """A model file has arguments of its own in its header, and VW would obey them."""
    sound = Workspace("--cb_explore_adf").model()
    place = sound.index(b"--cb_adf")
    for hostile in (b"--extra_metrics out", b"-f out", b"--dictionary a"):
        start = place - 1
        length = int.from_bytes(sound[start - 4 : start], "little")
        text = sound[start : start + length].rstrip(b"\0") + b" " + hostile + b"\0"
        model = sound[: start - 4] + len(text).to_bytes(4, "little") + text + sound[start + length :]
        with pytest.raises(PolicyError, match="leave it out"):
            Workspace("--cb_explore_adf", model)
    Workspace("--cb_explore_adf", sound).close()


def test_a_catalogue_in_the_database_that_is_none_is_damage(tmp_path, catalogue):
    path = tmp_path / "offers.db"
    with Engine.open(path, catalogue, Uniform(catalogue), durability="process") as engine:
        engine.decide("anna", {})
    for content in ("5", "[1]", json.dumps(SPRING)[:-9], '{"a":' * 50_000):
        raw = sqlite3.connect(path)
        raw.execute("UPDATE catalogues SET content = ?", (content,))
        raw.commit()
        raw.close()
        with pytest.raises(bandit.errors.StoreError, match="damaged"):
            Engine.resume(path)


def test_the_catalogue_of_spring_is_read_as_before():
    assert spring().n_offers == 10


@pytest.mark.parametrize(
    "changed", [{"which": [5]}, {"which": [-9]}, {"n_offers": 10**12}, {"masks": []}, {"offer": [10**30]}, {"time": []}]
)
def test_a_line_of_a_spool_that_fits_nothing_is_put_aside_and_stops_nothing(engine, changed):
    """Its hash is right, so somebody wrote it on purpose; else every opening of the database would end with it."""
    line = msgspec.json.encode(json.loads(spool_lines()[1]) | changed)
    beside = engine.store.path.with_name("offers.db-spool-1-ab")
    beside.write_bytes(digest(line) + b" " + line + b"\n")
    folded = engine.store.fold_spools()
    assert (folded.lines, folded.refused, folded.left) == (1, 1, 0)
    assert not beside.exists()
    assert engine.store.decisions.last_seq() == 0


@pytest.mark.parametrize("learned", [True, False], ids=["learned before", "to be learned"])
def test_a_decision_whose_customer_is_gone_is_damage_in_a_sentence_when_it_is_learned(learned, tmp_path, catalogue):
    """A number of a customer is overwritten: eight decisions and seven that can be read were added to each other."""
    path = tmp_path / "offers.db"
    with Engine.open(path, catalogue, bandit.ThompsonSampling(catalogue), seed=1, durability="process") as opened:
        for number in range(8):
            opened.decide(f"c{number}", {}, decision_id=f"d{number}", time=1_700_000_000_000_000)
            opened.record(f"d{number}", "purchase", revenue=2.0, time=1_700_000_000_000_000 + number)
        if learned:
            opened.learn(now=1_760_000_000_000_000)
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE customers SET id = -9 WHERE id = 3")
    work = Engine.rebuild if learned else partial(Engine.learn, now=1_760_000_000_000_000)
    sentence = "learned from 8 decisions" if learned else "8 decisions are to be learned"
    with (
        Engine.resume(path, durability="process", sync=None) as again,
        pytest.raises(StoreError, match=f"{sentence} and 7 of them can be read, so the file is damaged"),
    ):
        work(again)


def test_a_number_of_offers_that_is_not_the_catalogues_is_damage_in_a_sentence(tmp_path, catalogue):
    """The column says 0 and the catalogue has ten offers: masks of no column were compared with masks of ten."""
    path = tmp_path / "offers.db"
    with Engine.open(path, catalogue, Uniform(catalogue), seed=1, durability="process") as opened:
        opened.decide("anna", {})
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE catalogues SET n_offers = 0")
    with pytest.raises(StoreError, match="has 10 offers and 0 are noted, so the file is damaged"):
        Engine.resume(path, durability="process")

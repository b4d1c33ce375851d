"""One table of accepted types: every kind of value means the same, or is refused in one sentence, at every door.

The doors are a context, a column as a list, as an array of objects and as a pandas, polars or pyarrow column, `decide`,
`decide_batch`, a frame and a CSV file. What a value means is written down by hand, row by row.
"""

import csv
import json
import math
import sqlite3
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bandit import Catalogue, Engine, Uniform
from bandit.catalogue.plain_values import ACCEPTED
from bandit.errors import InputError, OfferBanditError
from bandit.logfiles import from_frame, import_log, open_log
from bandit.policies import SegmentRules, build
from bandit.store import Store

CATALOGUE = Catalogue.from_dict(
    {
        "context": {
            "undeclared_values": "other",
            "text": {"type": "categorical", "values": ["f", "1", "true", "2.5"]},
            "number": {"type": "numeric"},
            "truth": {"type": "boolean"},
        },
        "dimensions": [{"name": "gift", "options": [{"name": "tote"}]}],
    }
)
CODES = {"f": 0, "1": 1, "true": 2, "2.5": 3}


class _Text(StrEnum):
    F = "f"


class _Mixed(str, Enum):  # noqa: UP042 - the older way, whose hash is that of the member's name
    F = "f"


class _Plain(Enum):
    F = "f"
    ONE = 1
    LIST = ("f",)


class _Whole(IntEnum):
    ONE = 1


REFUSED, MISSING = "refused", "missing"

# Each: what is given, and what it means as a categorical, a numeric and a boolean fact.
MEANINGS = {
    "none": (None, MISSING, MISSING, MISSING),
    "pandas NA": (pd.NA, MISSING, MISSING, MISSING),
    "pandas NaT": (pd.NaT, MISSING, MISSING, MISSING),
    "numpy NaT": (np.datetime64("NaT"), MISSING, MISSING, MISSING),
    "empty": ("", MISSING, MISSING, MISSING),
    "spaces": ("  ", MISSING, MISSING, MISSING),
    "text": ("f", "f", REFUSED, 0.0),
    "spaced text": (" f ", "f", REFUSED, 0.0),
    "numpy text": (np.str_("f"), "f", REFUSED, 0.0),
    "text enum": (_Text.F, "f", REFUSED, 0.0),
    "mixed enum": (_Mixed.F, "f", REFUSED, 0.0),
    "plain enum": (_Plain.F, "f", REFUSED, 0.0),
    "enum of one": (_Plain.ONE, "1", 1.0, 1.0),
    "whole enum": (_Whole.ONE, "1", 1.0, 1.0),
    "array text": (np.array("f"), "f", REFUSED, 0.0),
    "array number": (np.array(1), "1", 1.0, 1.0),
    "arrow text": (pa.scalar("f"), "f", REFUSED, 0.0),
    "arrow number": (pa.scalar(1), "1", 1.0, 1.0),
    "true": (True, "true", REFUSED, 1.0),
    "numpy true": (np.True_, "true", REFUSED, 1.0),
    "text true": ("true", "true", REFUSED, 1.0),
    "yes": ("Yes", "other", REFUSED, 1.0),
    "one": (1, "1", 1.0, 1.0),
    "numpy one": (np.int64(1), "1", 1.0, 1.0),
    "small one": (np.uint8(1), "1", 1.0, 1.0),
    "float one": (1.0, "1", 1.0, 1.0),
    "numpy float one": (np.float32(1.0), "1", 1.0, 1.0),
    "decimal one": (Decimal("1.00"), "1", 1.0, 1.0),
    "text one": ("1", "1", 1.0, 1.0),
    "decimal": (Decimal("2.50"), "2.5", 2.5, REFUSED),
    "numpy float": (np.float64(2.5), "2.5", 2.5, REFUSED),
    "text number": (" 2.5 ", "2.5", 2.5, REFUSED),
    "other number": (7, "other", 7.0, REFUSED),
    "underscore": ("1_000", "other", REFUSED, REFUSED),
    "percent": ("3 %", "other", REFUSED, REFUSED),
    "time": (datetime(2026, 1, 1, tzinfo=UTC), REFUSED, REFUSED, REFUSED),
    "pandas time": (pd.Timestamp("2026-01-01"), REFUSED, REFUSED, REFUSED),
    "bytes": (b"f", REFUSED, REFUSED, REFUSED),
    "list": (["f"], REFUSED, REFUSED, REFUSED),
    "dict": ({"f": 1}, REFUSED, REFUSED, REFUSED),
    "array": (np.array([1, 2]), REFUSED, REFUSED, REFUSED),
    "fraction": (Fraction(1, 2), REFUSED, REFUSED, REFUSED),
    "complex": (1j, REFUSED, REFUSED, REFUSED),
    "set": ({"f"}, REFUSED, REFUSED, REFUSED),
    "enum of a list": (_Plain.LIST, REFUSED, REFUSED, REFUSED),
    "object": (object(), REFUSED, REFUSED, REFUSED),
}

FACTS = ("text", "number", "truth")


def meaning(fact, column):
    """What the first value of a column of a batch means."""
    value = column[0]
    if fact == "text":
        return MISSING if value == -1 else next((text for text, code in CODES.items() if code == value), "other")
    return MISSING if math.isnan(value) else float(value)


def of_contexts(fact, given):
    return meaning(fact, CATALOGUE.contexts(given).columns[fact])


def as_objects(value):
    column = np.empty(1, dtype=object)
    column[0] = value
    return column


def an_engine(path):
    return Engine.open(path, CATALOGUE, Uniform(CATALOGUE), seed=1, customer_key=b"a key for our tests")


@cache
def without_decisions():
    """The bytes of a database with the catalogue and the policy, and no decision."""
    with TemporaryDirectory() as folder:
        an_engine(Path(folder) / "x.db").close()
        return (Path(folder) / "x.db").read_bytes()


def of_engine(fact, folder, decide):
    """What the log of a decision has: read back from the database's JSON."""
    (folder / "x.db").write_bytes(without_decisions())
    with an_engine(folder / "x.db") as engine:
        decide(engine)
        assert engine.verify().problems == ()
    raw = sqlite3.connect(folder / "x.db")
    (stored,) = raw.execute("SELECT context FROM decisions").fetchone()
    raw.close()
    return of_contexts(fact, [json.loads(stored)])


def of_frame(fact, frame):
    log = from_frame(frame, CATALOGUE)
    return meaning(fact, next(iter(log.batches())).contexts.columns[fact])


def framed(fact, column):
    return {fact: column, "gift": ["tote"], "propensity": [1.0], "converted": [True]}


DOORS = {
    "context": lambda fact, value, _: of_contexts(fact, [{fact: value}]),
    "two contexts": lambda fact, value, _: of_contexts(fact, [{fact: value}, {}]),
    "list": lambda fact, value, _: of_contexts(fact, {fact: [value]}),
    "tuple": lambda fact, value, _: of_contexts(fact, {fact: (value,)}),
    "objects": lambda fact, value, _: of_contexts(fact, {fact: as_objects(value)}),
    "pandas": lambda fact, value, _: of_contexts(fact, {fact: pd.Series(as_objects(value), dtype=object)}),
    "pandas frame": lambda fact, value, _: of_contexts(fact, pd.DataFrame({fact: as_objects(value)}, dtype=object)),
    "pandas row": lambda fact, value, _: of_contexts(fact, [pd.Series({fact: value}, dtype=object)]),
    "decide": lambda fact, value, folder: of_engine(fact, folder, lambda e: e.decide("anna", {fact: value})),
    "decide_batch": lambda fact, value, folder: of_engine(
        fact, folder, lambda e: e.decide_batch(["anna"], {fact: [value]})
    ),
    "frame": lambda fact, value, _: of_frame(fact, framed(fact, [value])),
    "frame of objects": lambda fact, value, _: of_frame(fact, framed(fact, as_objects(value))),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", MEANINGS)
def test_a_value_means_the_same_at_every_door(kind, door, tmp_path):
    """46 kinds of values by 12 doors by three types of facts."""
    value, *expected = MEANINGS[kind]
    for fact, wanted in zip(FACTS, expected, strict=True):
        folder, short = tmp_path / fact, True
        folder.mkdir()
        try:
            found = DOORS[door](fact, value, folder)
        except InputError as fault:
            found, message = REFUSED, str(fault)
            short = len(message) < 500
        assert (found, short) == (wanted, True), fact


@pytest.mark.parametrize("kind", [kind for kind in MEANINGS if kind.startswith(("text", "spaced", "yes", "under"))])
def test_a_text_in_a_file_means_what_it_means_in_a_context(kind, tmp_path):
    """By `open_log` and by an import: a text that is refused in a context is a refused row."""
    value, *expected = MEANINGS[kind]
    for fact, wanted in zip(FACTS, expected, strict=True):
        path = tmp_path / f"{fact}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([fact, "gift", "propensity", "converted"])
            writer.writerows([[value, "tote", 1, 1], ["", "tote", 1, 1]])
        log = open_log(path, CATALOGUE)
        assert (log.report.n_refused == 1) == (wanted == REFUSED)
        if wanted != REFUSED:
            assert meaning(fact, next(iter(log.batches())).contexts.columns[fact]) == wanted


@pytest.mark.parametrize("library", ["numpy", "pandas", "polars", "pyarrow"])
def test_columns_of_every_library_are_columns(library):
    """Missing, 1 and 2.5: NaN in numpy and pandas, null elsewhere; the texts "f", missing and "1"."""
    pl = pytest.importorskip("polars") if library == "polars" else None
    make = {"numpy": np.array, "pandas": pd.Series, "pyarrow": pa.array}.get(library, pl and pl.Series)
    nothing = math.nan if library in {"numpy", "pandas"} else None
    texts = np.array(["f", None, "1"], dtype=object) if library == "numpy" else make(["f", None, "1"])
    columns = {"number": make([nothing, 1.0, 2.5]), "text": texts, "truth": make([True, False, True])}
    tables = {"pandas": pd.DataFrame, "polars": pl and pl.DataFrame, "pyarrow": pa.table}
    for given in (columns, tables[library](columns) if library in tables else columns):
        contexts = CATALOGUE.contexts(given)
        np.testing.assert_array_equal(contexts.columns["number"], [np.nan, 1.0, 2.5])
        assert contexts.columns["text"].tolist() == [0, -1, 1]
        assert contexts.columns["truth"].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("given", [pd.array([1, None], dtype="Int64"), pd.array([True, None], dtype="boolean")])
def test_nullable_columns_of_pandas_are_columns(given):
    """A 1 and pandas' own missing value."""
    np.testing.assert_array_equal(CATALOGUE.contexts({"truth": pd.Series(given)}).columns["truth"], [1.0, np.nan])


@pytest.mark.parametrize("context", [None, "age=3", 3, b"x", ["a"], [("number", 1)], np.array([1]), object()])
def test_what_is_no_context_is_refused_in_one_sentence(context, tmp_path):
    """By `decide` and, among others, by `decide_batch`; before, an AttributeError or a TypeError."""
    with Engine.open(tmp_path / "x.db", CATALOGUE, Uniform(CATALOGUE), customer_key=b"a key for our tests") as engine:
        with pytest.raises(InputError, match="mapping of facts to values"):
            engine.decide("anna", context)
        with pytest.raises(InputError, match="context 2 is a mapping"):
            engine.decide_batch(["anna", "bert"], [{}, context])


@pytest.mark.parametrize(
    "batch", [None, "age=3", 3, {"number": 3}, {"text": "f"}, {"number": np.ones((1, 1))}, object()]
)
def test_what_is_no_batch_is_refused_in_one_sentence(batch, tmp_path):
    """A scalar in a column's place is not taken apart into letters."""
    with (
        Engine.open(tmp_path / "x.db", CATALOGUE, Uniform(CATALOGUE), customer_key=b"a key for our tests") as engine,
        pytest.raises(InputError, match=r"mapping|one value a row"),
    ):
        engine.decide_batch(["anna"], batch)


AMOUNTS = {
    "int": (3, 3.0),
    "numpy": (np.int32(3), 3.0),
    "decimal": (Decimal("2.50"), 2.5),
    "text": ("2.5", 2.5),
    "enum": (_Whole.ONE, 1.0),
    "array": (np.array(2.5), 2.5),
    "arrow": (pa.scalar(2.5), 2.5),
    "none": (None, None),
    "pandas NA": (pd.NA, None),
    "blank": ("", None),
    "bool": (True, REFUSED),
    "nan": (math.nan, REFUSED),
    "infinite": (Decimal("inf"), REFUSED),
    "words": ("3 EUR", REFUSED),
    "list": ([1.0], REFUSED),
    "time": (date(2026, 1, 1), REFUSED),
}


@pytest.mark.parametrize("door", ["record", "record_batch", "objects"])
@pytest.mark.parametrize("kind", AMOUNTS)
def test_an_amount_means_the_same_at_every_door(kind, door, tmp_path):
    """What the events table has as revenue."""
    value, wanted = AMOUNTS[kind]
    path = tmp_path / "x.db"
    with Engine.open(path, CATALOGUE, Uniform(CATALOGUE), customer_key=b"a key for our tests") as engine:
        number = engine.decide("anna", {}).decision_id
        try:
            if door == "record":
                engine.record(number, "purchase", revenue=value)
            else:
                column = [value] if door == "record_batch" else as_objects(value)
                engine.record_batch([number], "purchase", revenue=column)
        except InputError:
            assert wanted == REFUSED
            return
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT revenue FROM events").fetchall() == [(wanted,)]
    raw.close()


ID = uuid.UUID("12345678123456781234567812345678")
KEYS = {
    "text": ("anna", "anna"),
    "numpy text": (np.str_("anna"), "anna"),
    "mixed enum": (_Mixed.F, "f"),
    "int": (42, "42"),
    "numpy int": (np.int64(42), "42"),
    "uuid": (ID, str(ID)),
    "float": (42.0, REFUSED),
    "none": (None, REFUSED),
    "pandas NA": (pd.NA, REFUSED),
    "bool": (True, REFUSED),
    "decimal": (Decimal("42.5"), REFUSED),
    "empty": ("", REFUSED),
    "list": (["anna"], REFUSED),
    "bytes": (b"anna", REFUSED),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_customer_and_an_id_mean_the_same_at_every_door(kind, tmp_path):
    """In `decide`, `decide_batch` and `record` the key is the same text, or refused with what was seen."""
    value, wanted = KEYS[kind]
    with Engine.open(tmp_path / "x.db", CATALOGUE, Uniform(CATALOGUE), customer_key=b"a key for our tests") as engine:
        if wanted == REFUSED:
            for refused in (
                lambda: engine.decide(value, {}),
                lambda: engine.decide_batch([value], [{}]),
                lambda: engine.decide_batch(["a"], [{}], decision_ids=[value]),
                lambda: engine.record(value, "purchase"),
            ):
                with pytest.raises(InputError, match="text"):
                    refused()
            return
        one = engine.decide(value, {}, decision_id=value)
        assert (one.customer, one.decision_id) == (wanted, wanted)
        assert engine.decide_batch([value], [{}]).customers == (wanted,)
        assert engine.record(value, "purchase", event_id=value).n_new == 1
        assert engine.record(wanted, "purchase", event_id=wanted).n_repeated == 1
        assert engine.decide(wanted, {}, decision_id=wanted).offer == one.offer


def test_one_text_is_not_taken_for_many_customers(tmp_path):
    """ "ab" is one customer, not "a" and "b"."""
    with Engine.open(tmp_path / "x.db", CATALOGUE, Uniform(CATALOGUE), customer_key=b"a key for our tests") as engine:
        with pytest.raises(InputError, match="list with one customer"):
            engine.decide_batch("ab", [{}, {}])
        with pytest.raises(InputError, match="list with one decision id"):
            engine.record_batch("ab", "purchase")


def test_what_is_no_catalogue_policy_or_description_is_refused_in_one_sentence(tmp_path):
    """Before, an AttributeError, a TypeError or a ValueError of Python's own."""
    path = str(tmp_path / "catalogue.toml")
    frame = {"gift": ["tote"], "propensity": [1.0], "converted": [True]}
    for refused in (
        lambda: Engine.open(tmp_path / "x.db", path, Uniform(CATALOGUE)),
        lambda: Engine.open(tmp_path / "x.db", CATALOGUE, "uniform"),
        lambda: Engine.open(tmp_path / "x.db", CATALOGUE, None),
        lambda: from_frame(frame, path),
        lambda: open_log(tmp_path / "log.csv", path),
        lambda: Catalogue.from_dict(path),
        lambda: Catalogue.from_dict(None),
        lambda: Catalogue.from_toml(None),
        lambda: SegmentRules.from_dict(CATALOGUE, path),
        lambda: CATALOGUE.offer_index(None),
        lambda: build(CATALOGUE, "uniform"),
    ):
        with pytest.raises(OfferBanditError, match="seen "):
            refused()
    assert not (tmp_path / "x.db").exists()


def test_a_mapping_is_taken_as_a_path_a_dict_or_checked(tmp_path):
    """The same log by a path, its text and its content; anything else is refused in one sentence."""
    path = tmp_path / "mapping.toml"
    path.write_text(
        '[columns]\nrow_customer = true\npropensity = 1.0\n[offer]\ngift = "tote"\n'
        '[[outcomes]]\nevent = "purchase"\nwhen = "bought"\n',
        encoding="utf-8",
    )
    frame, file = {"bought": [1, 0]}, tmp_path / "log.csv"
    file.write_text("bought\n1\n0\n", encoding="utf-8")
    for given in (path, str(path)):
        assert from_frame(frame, CATALOGUE, given).n == open_log(file, CATALOGUE, given).n == 2
    with Store.open(tmp_path / "x.db", customer_key=b"a key for our tests") as store:
        assert import_log(store, CATALOGUE, str(path), file).n_imported == 2
    for odd in (3, ["mapping.toml"], b"x"):
        with pytest.raises(InputError, match="a mapping is the path"):
            from_frame(frame, CATALOGUE, odd)
    with pytest.raises(InputError, match="cannot be read"):
        from_frame(frame, CATALOGUE, tmp_path / "none.toml")


def test_the_table_of_the_documentation_is_the_table_of_the_code():
    """`docs/types.md` has one row for each of `ACCEPTED`, in order."""
    page = Path(__file__).parents[2] / "docs" / "types.md"
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]
    assert cells == [[e.given, e.categorical, e.numeric, e.boolean, e.amount, e.key] for e in ACCEPTED]

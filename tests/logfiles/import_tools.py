"""What the import tests share: a small campaign as CSV text, its mapping, and the log read back."""

import copy
import csv
import io

import numpy as np

from bandit.catalogue import Catalogue
from bandit.logfiles import LogMapping, import_log
from bandit.store import Store, StoreLog
from tests.conftest import SPRING

MAPPING = {
    "columns": {"customer": "who", "decision_id": "id", "time": "at", "propensity": "p"},
    "context": {"gender": "sex", "recency": "rec", "loyal": "club"},
    "offer": {"discount": {"column": "disc"}, "channel": {"column": "ch"}, "gift": {"column": "gift"}},
    "outcomes": [{"event": "purchase", "when": "bought", "revenue": "amount"}],
}
HEADER = ["id", "who", "at", "sex", "rec", "club", "disc", "ch", "gift", "p", "bought", "amount"]
ROW = ["d1", "anna", "2026-03-01T12:00:00", "f", "1.5", "1", "10", "email", "tote", "0.25", "1", "52.5"]


def row(**changed):
    """ROW with some of its fields changed."""
    return [changed.get(name, value) for name, value in zip(HEADER, ROW, strict=True)]


def table(*rows, header=HEADER, quoting=csv.QUOTE_MINIMAL):
    """CSV text of some rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=quoting)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def mapping(**changed):
    """MAPPING with some sections changed."""
    return LogMapping.from_dict(copy.deepcopy(MAPPING) | changed)


def spring(**changed):
    """The catalogue SPRING with some sections changed."""
    return Catalogue.from_dict(copy.deepcopy(SPRING) | changed)


def bring(tmp_path, text, *, using=None, catalogue=None, name="log.csv", db="offers.db", **options):
    """Import text or bytes into a database below tmp_path and return the report."""
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with Store.open(tmp_path / db, durability="process") as store:
        return import_log(store, catalogue or spring(), using or mapping(), path, **options)


def read_back(tmp_path, catalogue=None, db="offers.db"):
    """The whole log as one batch."""
    with Store.open(tmp_path / db, durability="process") as store:
        return next(iter(StoreLog(store, catalogue or spring()).batches(1_000_000)))


def columns_of(tmp_path, db="offers.db"):
    """The decisions as they are stored."""
    with Store.open(tmp_path / db, durability="process") as store:
        return store.decisions.page("purchase", 7 * 86_400_000_000)


def is_empty(tmp_path, db="offers.db"):
    """Whether the database has no decision, no event and no catalogue."""
    with Store.open(tmp_path / db, durability="process") as store:
        counts = store.counts()
    return (counts.decisions, counts.events, counts.catalogues) == (0, 0, 0)


def sample(n, rng):
    """n rows that are all good."""
    loyal = rng.integers(0, 2, n)
    gift = np.where((loyal == 1) & (rng.random(n) < 0.5), "tote", "none")
    discount = np.where(gift == "tote", "10", rng.choice(["0", "10", "20"], n))
    bought = rng.integers(0, 2, n)
    return [
        [
            f"d{i}",
            f"c{i % 7}",
            f"2026-03-{1 + i % 28:02d}",
            ["f", "m", "", "x"][i % 4],
            ["", repr(i / 8)][i % 2],
            ["false", "true"][loyal[i]],
            discount[i],
            ["email", "sms"][i % 2],
            gift[i],
            "0.1",
            bought[i],
            ["", i + 0.25][bought[i]],
        ]
        for i in range(n)
    ]

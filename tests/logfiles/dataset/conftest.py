"""What the tests of datasets share: a log in every state, written and read back."""

import time

import numpy as np
import pytest

from bandit.logfiles.dataset.export import export_dataset
from bandit.store import Store, StoreLog, Where
from tests.logfiles.odd_database import DAY, fill, odd

pytest.importorskip("pyarrow")


def now():
    return time.time_ns() // 1_000


def write(db, folder, catalogue=None, **options):
    """Export a database to a dataset and return the report."""
    with Store.open(db, durability="process", read_only=True) as store:
        return export_dataset(store, catalogue or store.catalogues.latest()[1], folder, **options)


def stored(db, catalogue, until, **where):
    """The log of a database as it stands settled at a time."""
    store = Store.open(db, durability="process", read_only=True)
    return StoreLog(store, catalogue, where=Where(settled_before=until - catalogue.objective.window, **where))


def columns_of(log, outside=False, size=65_536):
    """All decisions of a log with their labels as {column: values}."""
    columns = {}
    for batch, labels in (log.labelled_outside if outside else log.labelled)(size):
        each = {
            name: getattr(batch, name) for name in ("offer", "propensity", "converted", "revenue", "reward", "time")
        }
        each |= {"weights": batch.weights, "eligible": batch.eligible, "stages": batch.stages}
        each |= {"group": labels.group, "policy": labels.policy, "customer": batch.contexts.customers}
        each |= {f"fact {name}": values for name, values in batch.contexts.columns.items()}
        each |= {f"text {name}": values for name, values in batch.contexts.text.items()}
        for name, values in each.items():
            columns.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def check_same(one, other):
    assert one.keys() == other.keys()
    for name, column in one.items():
        if column.size or other[name].size:  # without stages there are none of any shape
            np.testing.assert_array_equal(column, other[name], err_msg=name)


def check_close(one, other, at=""):
    """The same JSON, numbers to 1e-12, bounds to 1e-11, which are differences of larger numbers."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), at
        for key, value in one.items():
            check_close(value, other[key], f"{at}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), at
        for place, (value, against) in enumerate(zip(one, other, strict=True)):
            check_close(value, against, f"{at}/{place}")
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-11 if at.endswith(("/low", "/high")) else 1e-12, abs=1e-11), at
    else:
        assert one == other, at


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A database of the catalogue ODD with 121 settled decisions (one of them closed early) and 9 that are open."""
    return fill(tmp_path_factory.mktemp("made") / "made.db", odd(), now=now())


__all__ = ["DAY", "check_close", "check_same", "columns_of", "made", "now", "odd", "stored", "write"]

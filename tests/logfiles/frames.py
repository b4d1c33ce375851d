"""Rows of text as typed columns and frames, for tests."""

import numpy as np
import pytest

from tests.logfiles.import_tools import HEADER, sample

pa = pytest.importorskip("pyarrow")


def columns(*rows):
    """Rows of text as typed columns, None where blank."""
    plain = {name: list(column) for name, column in zip(HEADER, zip(*rows, strict=True), strict=True)}
    for name in ("rec", "p", "amount"):
        plain[name] = [None if value == "" else float(value) for value in plain[name]]
    plain["club"] = [str(value) in {"1", "true"} for value in plain["club"]]
    plain["bought"] = [bool(int(value)) for value in plain["bought"]]
    plain["sex"] = [value or None for value in plain["sex"]]
    return plain


def frame(n=300, seed=3):
    return pa.table(columns(*sample(n, np.random.default_rng(seed))))

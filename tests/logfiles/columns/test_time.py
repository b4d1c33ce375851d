"""Times are read as the mapping says."""

import numpy as np
import pytest

from tests.logfiles.import_tools import (
    MAPPING,
    bring,
    columns_of,
    mapping,
    row,
    table,
)

NOON = 1_772_366_400_000_000  # 2026-03-01 12:00 UTC


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

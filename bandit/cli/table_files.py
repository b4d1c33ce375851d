"""The other files of a policy table: for a spreadsheet, and the mapping by which its decisions are imported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from bandit.analysis.policy_table import DistilledTable
    from bandit.catalogue import Catalogue


def table_csv(made: DistilledTable) -> str:
    """Return a table as CSV, a line an offer; texts that a spreadsheet would run have an apostrophe before them."""
    import csv
    import io

    from bandit.printable import without_formula

    rows = made.to_rows()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["table", *map(without_formula, rows[0])])
    for row in rows:
        cells = [without_formula(cell) if isinstance(cell, str) else cell for cell in row.values()]
        writer.writerow([made.table.document.id, *cells])
    return text.getvalue()


def mapping_text(table: Path, mapping: Path, catalogue: Catalogue) -> str:
    """Return the mapping of a client's file whose columns are named as the catalogue's facts and dimensions.

    The table's file is named as seen from the mapping's folder.
    """
    import tomli_w

    place = os.path.relpath(table.absolute(), mapping.absolute().parent)
    event = catalogue.objective.event
    document = {
        "closed": False,
        "columns": {"customer": "customer", "time": "time"},
        "table": {"files": [place], "id": "table", "period": "period"},
        "context": {name: name for name in catalogue.facts},
        "offer": {name: {"column": name} for name in catalogue.dimension_names},
        "outcomes": [{"event": event, "when": event, "revenue": "revenue"}],
    }
    return (
        "# Decisions made from a policy table: a row each, in columns of these names; change those on the right.\n"
        "# What came of a decision may be imported later, with the same rows; without it, leave [[outcomes]] out.\n"
        + tomli_w.dumps(document)
    )

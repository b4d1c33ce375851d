"""The agreement table: small on a small log, and a failure where the parts share customers."""

import json

import numpy as np

from simulator.validation import agreement


def test_the_command_prints_a_row_an_estimator_interval_and_number_of_parts(capsys, monkeypatch):
    monkeypatch.setattr(agreement, "AGREEMENT_INTERVALS", ("skew",))
    assert agreement.main(["--decisions", "1200", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["parts"] for row in rows} == {1, 7}
    assert {"ips", "snips", "dr", "mrdr"} <= {row["estimator"] for row in rows}
    assert max(row["largest"] for row in rows if row["estimator"] != "mrdr") < 1e-12


def test_parts_that_share_customers_are_found_out(monkeypatch):
    monkeypatch.setattr(agreement, "AGREEMENT_INTERVALS", ("normal",))

    def broken(log, parts, rng):
        del rng
        part_of = np.arange(log.n) % parts
        dealt = tuple(agreement.DealtPart(log.rows.take(part_of == each), log.catalogue, True) for each in range(parts))
        return agreement.DealtLog(log.rows, log.catalogue, True, dealt)

    monkeypatch.setattr(agreement, "dealt_log", broken)
    assert agreement.main(["--decisions", "1200"]) == 1


def test_a_missing_file_is_an_error_of_one_line(capsys):
    assert agreement.main(["nothing.csv", "--catalogue", "tests/fixtures/hillstrom_catalogue.toml"]) == 2
    assert "nothing.csv" in capsys.readouterr().err

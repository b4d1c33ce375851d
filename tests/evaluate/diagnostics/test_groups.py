"""The check for a sample ratio mismatch."""

import pytest

from bandit.errors import InputError
from bandit.evaluate.diagnostics import (
    sample_ratio,
)
from bandit.store import Store, Where
from tests.store.rows import decisions


def test_sample_ratio_is_pearsons_chi_square():
    """5,200 and 4,800 of 10,000 where halves were meant: 2 x 200^2 / 5,000 = 16, p = 6.3e-5."""
    found = sample_ratio({"policy": 5_200, "holdout": 4_800}, {"policy": 0.5, "holdout": 0.5})
    assert found.chi_square == pytest.approx(16.0)
    assert found.p_value == pytest.approx(6.334e-5, rel=1e-3)
    assert found.severity == "fatal"
    assert '"policy" has 5,200 of 10,000 customers where 5,000' in found.sentence()
    assert sample_ratio({"policy": 5_080, "holdout": 4_920}, {"policy": 1, "holdout": 1}).sentence() is None
    assert sample_ratio({"policy": 500}, {"policy": 0.5, "holdout": 0.5}).severity == "fatal"
    assert sample_ratio({"a": 50, "b": 50}, {"a": 1, "b": 1}, several=3).severity == "doubt"
    assert sample_ratio({}, {"a": 1, "b": 1}).sentence() is None


@pytest.mark.parametrize(
    ("counts", "shares", "words"),
    [
        ({"a": 5}, {"a": 1.0}, "at least two groups"),
        ({"a": 5}, {"a": 1.0, "b": 0.0}, "above 0"),
        ({"c": 5}, {"a": 0.5, "b": 0.5}, "has no share"),
    ],
)
def test_sample_ratio_refuses_what_it_cannot_compare(counts, shares, words):
    with pytest.raises(InputError, match=words):
        sample_ratio(counts, shares)


def test_customers_are_counted_by_group_once_each(tmp_path, catalogue):
    """Six decisions: anna and ben twice in "policy", cleo in "holdout", dora in both."""
    with Store.open(tmp_path / "offers.db") as store:
        number = store.catalogues.register(catalogue)
        store.decision_writer.append(
            decisions(
                number,
                catalogue.n_offers,
                [f"d{i}" for i in range(7)],
                customers=["anna", "anna", "ben", "ben", "cleo", "dora", "dora"],
                group=["policy", "policy", "policy", "policy", "holdout", "policy", "holdout"],
            )
        )
        assert store.decisions.customers_by_group() == ({"policy": 2, "holdout": 1}, 1)
        assert store.decisions.customers_by_group(Where(before_time=6_000_000)) == ({"policy": 3, "holdout": 1}, 0)
        assert store.decisions.customers_in_several_groups() == {"dora"}
        assert store.decisions.customers_in_several_groups(Where(groups=("policy",))) == frozenset()
        assert store.decisions.decisions_by_group() == {"policy": 5, "holdout": 2}
        assert store.decisions.decisions_by_group(Where(groups=("holdout", "random"))) == {"holdout": 2}
        assert store.decisions.decisions_by_group(Where(catalogue_ids=(number + 1,))) == {}
        assert store.decisions.decisions_by_group(Where(catalogue_ids=(number, number + 1)))["policy"] == 5

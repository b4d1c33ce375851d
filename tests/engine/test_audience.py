import numpy as np
import pytest

import bandit
from bandit.engine.audience import AudiencePart, decide_audience
from bandit.errors import DuplicateError, InputError, StoreError
from tests.engine.conftest import KEY


def parts_of(n, size=100, prefix="day-1"):
    """An audience of n customers in parts, with ids that a second run gives again."""
    for start in range(0, n, size):
        rows = range(start, min(start + size, n))
        yield AudiencePart(
            [f"{prefix}-{row}" for row in rows],
            [f"customer-{row}" for row in rows],
            {"gender": ["f" if row % 2 else "m" for row in rows], "recency": [float(row % 7) for row in rows]},
        )


def run(engine, parts, stop=None):
    """The (id, offer, propensity) of an audience, and how many decisions were made; killed after `stop` parts."""
    found, new = [], 0
    for number, part in enumerate(decide_audience(engine, parts)):
        found += zip(part.decision_ids, part.offer.tolist(), part.propensity.tolist(), strict=True)
        new += int(part.is_new.sum())
        if stop is not None and number + 1 == stop:
            break
    return found, new


def test_a_run_that_was_cut_short_and_is_given_again_decides_each_customer_once(open_engine):
    """450 customers in parts of 100: two parts are made, then all are given again in parts of 70, so that one part
    has 60 known and 10 new; 200 + 250 decisions in all, and those of the first run as they were."""
    engine = open_engine()
    first, made = run(engine, parts_of(450), stop=2)
    again, more = run(engine, parts_of(450, size=70))
    assert (made, more, engine.store.counts().decisions) == (200, 250, 450)
    assert again[:200] == first
    assert run(engine, parts_of(450, size=450)) == (again, 0)
    assert engine.verify().problems == ()


def test_progress_is_told_after_every_part(open_engine):
    told = []
    for _ in decide_audience(open_engine(), parts_of(250), lambda *done: told.append(done), 250):
        pass
    assert told == [(100, 250), (200, 250), (250, 250)]


def test_ids_of_another_run_are_refused(open_engine):
    engine = open_engine()
    run(engine, parts_of(10))
    (part,) = parts_of(10)
    for other in (
        AudiencePart(part.decision_ids, part.customers[::-1], part.contexts),
        AudiencePart(part.decision_ids, part.customers, {**part.contexts, "recency": [9.0] * 10}),
    ):
        with pytest.raises(DuplicateError, match='"day-1-0" is already in the log for another customer, context'):
            list(decide_audience(engine, [other]))
    twice = AudiencePart(["x", "x"], ["a", "b"], {"gender": ["f", "f"], "recency": [1.0, 2.0]})
    with pytest.raises(DuplicateError, match="twice"):
        list(decide_audience(engine, [twice]))
    with pytest.raises(InputError, match="1 decision ids for 2 customers"):
        list(decide_audience(engine, [AudiencePart(["y"], ["a", "b"], twice.contexts)]))


def test_its_rows_are_a_table_to_send(open_engine):
    (part,) = decide_audience(open_engine(), parts_of(3))
    rows = part.to_rows()
    assert [row["decision_id"] for row in rows] == ["day-1-0", "day-1-1", "day-1-2"]
    assert set(rows[0]) == {"decision_id", "customer", "propensity", *part.offers}
    assert np.isclose(rows[0]["propensity"], part.propensity[0])


def test_a_run_that_goes_on_under_another_catalogue_is_refused(open_engine, spring, path, clock):
    """The offers' numbers mean others there: with the options of the first dimension in another order, "0" is "20"."""
    with open_engine() as engine:
        run(engine, parts_of(10))
    spring["dimensions"][0]["options"].reverse()
    other = bandit.Catalogue.from_dict(spring)
    with bandit.Engine.open(path, other, bandit.Uniform(other), customer_key=KEY, clock=clock) as engine:
        with pytest.raises(DuplicateError, match="customer, context or catalogue"):
            run(engine, parts_of(10))
        assert run(engine, parts_of(10, prefix="day-2"))[1] == 10


def test_a_part_that_can_be_written_nowhere_is_not_handed_out(open_engine, monkeypatch):
    engine = open_engine()
    decide = engine.decide_batch

    def unlogged(*given, **named):
        batch = decide(*given, **named)
        object.__setattr__(batch, "logged", False)
        return batch

    monkeypatch.setattr(engine, "decide_batch", unlogged)
    with pytest.raises(StoreError, match="run it again with the same ids"):
        run(engine, parts_of(10))

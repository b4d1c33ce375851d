"""Sums as bytes: read again and merged they give the evaluation; of another version they are refused."""

import io
import json

import numpy as np
import pytest

from bandit.errors import InputError
from bandit.evaluate import part_passes
from bandit.evaluate.saved_sums import SUMS_VERSION, dump_sums, load_sums, merge_sums
from bandit.models.newton_sums import NewtonSums
from bandit.ope import ESTIMATORS, Tally
from bandit.ope.estimators.clipped_ips import ClippedIps
from tests.evaluate.additive_market import WARM, draw
from tests.evaluate.partitioned_log import in_parts
from tests.evaluate.test_part_passes import EVERY, FROZEN, differing, judged, weighted
from tests.ope import tools


@pytest.mark.parametrize("has_weights", [False, True])
def test_sums_that_were_written_and_read_give_the_same_evaluation(monkeypatch, has_weights):
    rng = np.random.default_rng(5)
    log = draw(rng, 1_000, customers=200)
    log = in_parts(weighted(log, rng) if has_weights else log, 4, rng)
    asked = EVERY | {"logging": WARM}
    plain = judged(log, FROZEN, **asked)
    judge = part_passes._judge_part

    def by_bytes(part, judgement, split):
        return tuple(load_sums(dump_sums(sums)) for sums in judge(part, judgement, split))

    monkeypatch.setattr(part_passes, "_judge_part", by_bytes)
    assert not differing(plain, judged(log, FROZEN, **asked), tolerance=0.0)


def test_merged_bytes_are_the_sums_of_the_parts():
    first = tools.make(np.random.default_rng(1), 90, groups=30)
    tallies = []
    for number in range(3):
        rows = np.flatnonzero(first.cluster % 3 == number)
        tally = Tally(1, tuple(ESTIMATORS.values()))
        tally.add(tools.rows(first, rows))
        tallies.append(tally.sealed(np.arange(30, dtype=np.uint64)))
    merged = merge_sums([dump_sums(each) for each in tallies])
    assert np.array_equal(
        tools.numbers(merged.estimates()), tools.numbers((tallies[0] + tallies[1] + tallies[2]).estimates())
    )
    newton = NewtonSums(np.array([[2.0]]), np.array([1.0]))
    assert merge_sums([dump_sums(newton), dump_sums(newton)]).curvature.tolist() == [[4.0]]


def of_version(state, version):
    with np.load(io.BytesIO(state), allow_pickle=False) as members:
        arrays = {name: members[name] for name in members.files}
    header = json.loads(arrays.pop("sums").tobytes()) | {"version": version}
    buffer = io.BytesIO()
    np.savez(buffer, sums=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8), **arrays)
    return buffer.getvalue()


def test_another_version_other_bytes_and_other_kinds_are_refused_in_one_sentence():
    newton = dump_sums(NewtonSums(np.zeros((1, 1)), np.zeros(1)))
    assert load_sums(of_version(newton, SUMS_VERSION)).gradient.tolist() == [0.0]
    with pytest.raises(InputError, match="are of version 2 and this program reads version 1"):
        load_sums(of_version(newton, 2))
    with pytest.raises(InputError, match="these bytes are no sums"):
        load_sums(b"nothing")
    with pytest.raises(InputError, match="no sums to merge"):
        merge_sums([])
    tally = Tally(1, (ESTIMATORS["ips"],))
    with pytest.raises(InputError, match="another kind"):
        merge_sums([newton, dump_sums(tally)])
    with pytest.raises(InputError, match="different questions"):
        merge_sums([newton, dump_sums(NewtonSums(np.zeros((2, 2)), np.zeros(2)))])
    with pytest.raises(InputError, match="different policies or estimators"):
        merge_sums([dump_sums(tally), dump_sums(Tally(2, (ESTIMATORS["ips"],)))])
    with pytest.raises(InputError, match="cannot be written"):
        dump_sums(Tally(1, (ClippedIps(3.0),)))

"""Sums as bytes: read again and merged they give the evaluation; of another version they are refused."""

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.domain.mixed_numbers import mixed
from bandit.errors import InputError
from bandit.evaluate import part_passes
from bandit.evaluate.saved_sums import SUMS_VERSION, dump_sums, load_sums, merge_sums
from bandit.models.newton_sums import NewtonSums
from bandit.ope import ESTIMATORS, Tally
from bandit.ope.estimators.clipped_ips import ClippedIps
from bandit.ope.incremental import ControlBatch, IncrementTally, ServedBatch
from bandit.ope.incremental.blocks import BlockSums
from bandit.ope.lift import LiftBatch, LiftTally
from bandit.ope.reward_variance import LogRewards, RewardSums
from tests.evaluate.additive_market import WARM, draw
from tests.evaluate.partitioned_log import in_parts
from tests.evaluate.test_part_passes import EVERY, FROZEN, differing, judged, weighted
from tests.ope import tools

MONDAY = 20_458 * 86_400_000_000


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


def lift_tally(rng, chosen=None, shares=(0.5, 0.5), seal=True):
    """The sums of 300 decisions of 60 customers in two groups, or of those whose numbers leave `chosen` of 3."""
    customer = rng.integers(0, 60, 300)
    group, reward = customer % 2, np.round(rng.random(300) * (rng.random(300) < 0.4), 3)
    rows = slice(None) if chosen is None else customer % 3 == chosen
    tally = LiftTally(shares)
    time = MONDAY + rng.integers(0, 15, 300) * 86_400_000_000
    segment = np.array(["f", "m"], dtype=object)[customer // 2 % 2]
    tally.add(LiftBatch(reward[rows], group[rows], customer[rows], time=time[rows], segment=segment[rows]))
    return tally.sealed(mixed(np.arange(60, dtype=np.uint64))) if seal else tally


def lifts(tally):
    named = sorted((tally.weeks | tally.segments).items())
    parts = (tally.overall, *(part for _, part in named))
    return np.array(
        [
            [each.estimate.value, each.estimate.low, each.estimate.high]
            for part in parts
            for unit in ("decision", "customer")
            for each in part.differences([(0, 1)], unit=unit)
        ]
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_bytes_of_lift_merge_in_any_order_to_the_lift_of_the_whole(order):
    every = lift_tally(np.random.default_rng(3))
    whole = lifts(every)
    parts = [dump_sums(lift_tally(np.random.default_rng(3), each)) for each in order]
    merged = merge_sums(parts)
    assert np.allclose(lifts(merged), whole, rtol=1e-12, atol=1e-13)
    assert merged.overall.customers()[0].tolist() == every.overall.customers()[0].tolist()
    broken = lifts(merge_sums([*parts, parts[0]]))
    assert not np.allclose(broken, whole, rtol=1e-3)  # negative control: a part that is merged twice


def test_lift_that_is_not_sealed_and_that_of_other_shares_is_refused():
    rng = np.random.default_rng(3)
    with pytest.raises(InputError, match="sums of lift that are not sealed cannot be written; seal them first"):
        dump_sums(lift_tally(rng, seal=False))
    one, other = dump_sums(lift_tally(rng)), dump_sums(lift_tally(rng, shares=(0.6, 0.4)))
    with pytest.raises(InputError, match="other groups, shares or weights; merge only parts of one experiment"):
        merge_sums([one, other])
    with pytest.raises(InputError, match="are of version 2 and this program reads version 1"):
        load_sums(of_version(one, 2))
    with pytest.raises(InputError, match="these sums are sealed"):
        load_sums(one).add(LiftBatch(np.ones(1), np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)))
    with pytest.raises(InputError, match="one part is sealed and the other is not"):
        lift_tally(rng) + lift_tally(rng, seal=False)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), customers=st.sampled_from([60, 12_000]))
def test_sums_of_blocks_merge_in_any_order_whether_customers_share_blocks_or_not(seed, customers):
    """There are 8,192 blocks: 60 customers have one each, 12,000 share them by their keys."""
    rng = np.random.default_rng(seed)
    customer, terms = rng.integers(0, customers, 30_000), rng.normal(size=(30_000, 2))
    keys = mixed(np.arange(customers, dtype=np.uint64))

    def summed(rows):
        sums, numbers = BlockSums(2), np.unique(customer[rows], return_inverse=True)[1]
        for start in range(0, len(rows), 4_000):
            some = rows[start : start + 4_000]
            sums.add(numbers[start : start + 4_000], terms[some], keys=keys[customer[some]])
        return sums

    whole = summed(rng.permutation(30_000))
    parts = [summed(np.flatnonzero(customer % 3 == each)) for each in rng.permutation(3)]
    merged = parts[0] + parts[1] + parts[2]
    assert (merged.blocks, merged.customers, merged.decisions) == (8_192, whole.customers, 30_000)
    one, other = (np.sort(each.columns([0, 1]), axis=0) for each in (merged, whole))
    assert np.allclose(one, other, rtol=0, atol=1e-12)
    with pytest.raises(InputError, match="these sums were merged"):
        merged.add(customer, terms)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 7))
def test_sums_of_rewards_merge_in_any_order(seed, parts):
    rng = np.random.default_rng(seed)
    customer, reward = rng.integers(0, 80, 400), rng.gamma(0.5, 20.0, 400)
    label, part = np.array(["a", "b", "c"])[customer % 3], rng.integers(0, parts, 80)[customer]

    def summed(rows):
        earned = reward > 1.0
        groups = {
            name: RewardSums.of(*(column[rows & (label == name)] for column in (reward, customer, earned)))
            for name in np.unique(label[rows]).tolist()
        }
        return LogRewards(RewardSums.of(reward[rows], customer[rows], earned[rows]), groups, 0, 1)

    whole = summed(np.ones(400, dtype=bool))
    merged = merge_sums([dump_sums(summed(part == each)) for each in rng.permutation(np.unique(part))])
    assert merged.by_group.keys() == whole.by_group.keys()
    for one, other in [(merged.overall, whole.overall), *((merged.by_group[n], whole.by_group[n]) for n in "abc")]:
        assert (one.n, one.customers, one.earning, one.lowest) == (
            other.n,
            other.customers,
            other.earning,
            other.lowest,
        )
        assert one.variance() == pytest.approx(other.variance(), rel=1e-12, abs=1e-13)
        assert one.mean == pytest.approx(other.mean, rel=1e-12)


def test_bytes_of_incrementality_merge_to_the_sums_of_both_and_other_questions_are_refused():
    """Two customers of a group with the outcomes 1 and 0, two of the control with 1 and 1."""

    def tally(number, options=0):
        found, none = IncrementTally(1, 1, options), np.zeros((1, options))
        one, key = np.zeros(1, dtype=np.int64), np.array([number], dtype=np.uint64)
        found.add_served(0, ServedBatch(one, np.array([[float(number)]]), none > 0, none, keys=key))
        found.add_control(ControlBatch(one, np.ones((1, 1)), (None,), key))
        return found

    merged = merge_sums([dump_sums(tally(each)) for each in (0, 1)])
    assert [merged.total(merged.outcome(side, 0)) for side in (0, None)] == [1.0, 2.0]
    assert [merged.customers(side) for side in (0, None)] == [2, 2]
    assert not merged.knows_options(0)
    with pytest.raises(InputError, match="these sums have other groups, measures or options"):
        merge_sums([dump_sums(tally(0)), dump_sums(tally(1, options=2))])

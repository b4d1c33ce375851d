"""The search on the first half: its ranks by hand, and which pairs it passes on."""

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.evaluate.audience.cells import SegmentCells
from bandit.evaluate.audience.scores import OptionScores
from bandit.evaluate.audience.search import MOST_CONFIRMED, MOST_PER_OPTION, MOST_SHOWN, SearchSums

OPTIONS = 5
CATALOGUE = Catalogue.from_dict(
    {
        "context": {name: {"type": "boolean"} for name in ("a", "b", "c")},
        "dimensions": [{"name": "o", "options": [{"name": str(number)} for number in range(OPTIONS)]}],
    }
)


def scores_of(rng, n=4_000, gain=None, response=None, given=None, weight=1.0):
    """Scores of n decisions of three independent facts; half of all respond."""
    bits = rng.integers(0, 2, (3, n)).astype(object)
    contexts = CATALOGUE.contexts(dict(zip("abc", bits, strict=True)))
    shape = (n, OPTIONS)
    return OptionScores(
        contexts=contexts,
        cluster=None,
        responded=rng.integers(0, 2, n).astype(float),
        given=np.full(shape, 0.2) if given is None else given(contexts),
        may=np.ones(shape, dtype=bool),
        response=rng.random(shape) if response is None else response(contexts),
        gain=rng.normal(size=shape) if gain is None else gain(contexts),
        weight=np.full(shape, weight),
        apart=np.ones(shape),
        best=np.zeros(shape, dtype=bool),
    )


def searched(scores):
    cells = SegmentCells(CATALOGUE, ("a", "b", "c"), scores.contexts)
    sums = SearchSums(cells, OPTIONS)
    sums.add(scores)
    return cells, sums


def test_ranks_are_estimates_in_standard_errors():
    """By hand for "a yes" and option 0: the mean of 1{a} gain by its error, and the quotient by its influences."""
    scores = scores_of(np.random.default_rng(1))
    cells, sums = searched(scores)
    place = next(number for number, cell in enumerate(cells.cells) if cell.name == "a yes")
    inside = scores.contexts.columns["a"] == 1.0
    n, gain, response = len(inside), inside * scores.gain[:, 0], scores.response[:, 0]
    promise = sums.promise()
    assert promise.gain[place, 0] == pytest.approx(gain.mean() / (gain.std() / np.sqrt(n)))
    share = (inside * response).sum() / response.sum()
    influence = (inside * response - share * response) / response.mean()
    assert promise.share[place, 0] == pytest.approx((share - inside.mean()) / (influence.std() / np.sqrt(n)), rel=1e-3)


def test_what_is_passed_on_is_promising_and_capped():
    """Every option is bought by the segment a only and earns there: six pairs, two of an option, the whole first."""

    def of_a(contexts):
        inside = (contexts.columns["a"] == 1.0)[:, None]
        return inside * np.random.default_rng(2).uniform(0.5, 1.5, (contexts.n, OPTIONS))

    cells, sums = searched(scores_of(np.random.default_rng(1), gain=of_a, response=of_a))
    pairs = sums.pairs()
    chosen = [each for each in pairs if each.confirmed]
    assert 0 < len(chosen) <= MOST_CONFIRMED
    assert max(np.bincount([each.option for each in chosen])) <= MOST_PER_OPTION
    names = [cells.cells[each.cell].name for each in chosen]
    assert names[:OPTIONS] == ["a yes"] * OPTIONS
    # Pairs of facts within "a yes" are part of what was chosen already.
    assert not any("a yes" in name for name in names[OPTIONS:])
    shown = [each for each in pairs if not each.confirmed]
    assert len(shown) <= MOST_SHOWN
    assert not {(each.option, each.cell) for each in shown} & {(each.option, each.cell) for each in chosen}
    assert all(each.cell < cells.singles for each in shown)


def test_a_gain_without_a_share_above_the_assumed_one_is_not_passed_on():
    """The baseline gives everything to the segment a, which responds most: its share is below the assumed 100 %."""

    def of_a(contexts):
        return np.repeat((contexts.columns["a"] == 1.0)[:, None], OPTIONS, axis=1).astype(float)

    def gain(contexts):
        return of_a(contexts) * np.random.default_rng(2).uniform(0.5, 1.5, (contexts.n, OPTIONS))

    cells, sums = searched(scores_of(np.random.default_rng(1), gain=gain, given=of_a))
    assert not [each for each in sums.pairs() if each.confirmed and "a yes" in cells.cells[each.cell].name]


def test_what_nobody_responded_to_is_not_passed_on():
    """The model expects a gain, but 8 of 4,000 decisions had a response: too few of the rarer kind to judge by."""

    def of_a(contexts):
        inside = (contexts.columns["a"] == 1.0)[:, None]
        return inside * np.random.default_rng(2).uniform(0.5, 1.5, (contexts.n, OPTIONS))

    scores = scores_of(np.random.default_rng(1), gain=of_a, response=of_a)
    scores.responded[:] = 0.0
    scores.responded[:8] = 1.0
    _, sums = searched(scores)
    assert not [each for each in sums.pairs() if each.confirmed]

"""The scores of options: exact on hand-made decisions, unbiased over all that the log could have chosen."""

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from bandit.evaluate.audience.scores import DecisionTables, OptionLayout

# Offers, the last dimension fastest: 0 mail·0, 1 mail·10, 2 sms·0, 3 sms·10; sms·10 is forbidden to the old.
CATALOGUE = Catalogue.from_dict(
    {
        "objective": {"kind": "reward"},
        "context": {"old": {"type": "boolean"}},
        "dimensions": [
            {"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}]},
            {"name": "discount", "options": [{"name": "0"}, {"name": "10"}]},
        ],
        "rules": [{"when": "old", "forbid": {"channel": ["sms"], "discount": ["10"]}, "reason": "dear"}],
    }
)
MAIL, SMS, NOTHING, TEN = range(4)


def scored(offer, old, assumed, reward=0.0, value=None, others="baseline", propensity=None, is_logged=False):
    """The scores of one decision, of which the model expects `value` of each offer."""
    contexts = CATALOGUE.contexts([{"old": old}])
    eligible = CATALOGUE.eligible(contexts)
    chosen, came = np.array([offer]), np.array([reward])
    p = 1.0 / eligible.sum() if propensity is None else propensity
    batch = LoggedBatch(contexts, chosen, eligible, np.array([p]), came > 0, came, came, chosen)
    table = np.zeros((1, 4)) if value is None else np.array([value], dtype=float)
    known = DecisionTables(np.array([p]), np.array([assumed]), is_logged, table, table, came, None)
    return OptionLayout(CATALOGUE).scores(batch, known, others)


def test_an_option_is_exchanged_and_the_others_stay_as_the_baseline_has_them():
    """The baseline gives mail·10. With sms instead that is sms·10, offer 3, of which 7 is expected; with 0 mail·0."""
    scores = scored(0, False, [0.0, 1.0, 0.0, 0.0], value=[1.0, 2.0, 4.0, 7.0], reward=1.0)
    assert scores.given[0].tolist() == [1.0, 0.0, 0.0, 1.0]
    # The logged offer is mail·0, of probability 1/4: weight 4 for "discount 0", 0 elsewhere; its residual is 0.
    assert scores.weight[0].tolist() == [0.0, 0.0, 4.0, 0.0]
    assert scores.response[0].tolist() == [2.0, 7.0, 1.0, 2.0]
    assert scores.gain[0].tolist() == [0.0, 5.0, -1.0, 0.0]
    assert scores.best[0].tolist() == [False, True, False, True]


def test_what_is_not_eligible_goes_evenly_to_the_eligible_offers_with_the_option():
    """For the old sms·10 is forbidden: of the sms offers only sms·0 is left, of which 4 is expected."""
    scores = scored(0, True, [0.0, 1.0, 0.0, 0.0], value=[1.0, 2.0, 4.0, 7.0], reward=1.0)
    assert scores.response[0, SMS] == pytest.approx(4.0)
    assert scores.gain[0, SMS] == pytest.approx(2.0)
    assert scored(2, True, [0.0, 1.0, 0.0, 0.0]).weight[0, SMS] == pytest.approx(3.0)


def test_evenly_every_eligible_offer_with_the_option_counts_the_same_on_both_sides():
    """sms evenly is (4 + 7) / 2 = 5.5, mail (1 + 2) / 2 = 1.5; the baseline gives mail, so sms earns 4 more."""
    scores = scored(0, False, [0.0, 1.0, 0.0, 0.0], value=[1.0, 2.0, 4.0, 7.0], reward=1.0, others="even")
    assert scores.response[0].tolist() == [1.5, 5.5, 2.5, 4.5]
    assert scores.gain[0].tolist() == [0.0, 4.0, -2.0, 0.0]


@pytest.mark.parametrize("others", ["baseline", "even"])
@pytest.mark.parametrize("old", [False, True])
def test_scores_are_unbiased_over_what_the_log_could_have_chosen(others, old):
    """Over all logged offers with their probabilities the mean score is the truth, however wrong the model is."""
    truth, wrong = np.array([1.0, 2.0, 4.0, 7.0]), [3.0, 0.0, 1.0, 2.0]
    assumed = [0.5, 0.0, 0.5, 0.0] if old else [0.1, 0.2, 0.3, 0.4]
    logged = [0.2, 0.5, 0.3, 0.0] if old else [0.4, 0.3, 0.2, 0.1]
    mean = dict.fromkeys(("response", "gain", "weight"), 0.0)
    perfect = None
    for offer, p in enumerate(logged):
        if p:
            one = scored(offer, old, assumed, truth[offer], wrong, others, p)
            perfect = scored(offer, old, assumed, truth[offer], truth, others, p)
            mean = {name: mean[name] + p * getattr(one, name)[0] for name in mean}
    assert mean["response"] == pytest.approx(perfect.response[0])
    assert mean["gain"] == pytest.approx(perfect.gain[0])
    assert mean["weight"] == pytest.approx(np.ones(4))


def test_a_logged_baseline_is_what_was_chosen_and_what_it_earned():
    """The log gave sms·0 and earned 5; with 0.3 expected of everything, ten instead is expected to earn 0.3 - 5."""
    scores = scored(2, False, [0.25] * 4, 5.0, [0.3] * 4, is_logged=True)
    assert scores.given[0].tolist() == [0.0, 1.0, 1.0, 0.0]
    assert scores.gain[0, TEN] == pytest.approx(0.3 - 5.0)
    # sms with the other options as a uniform log has them, (1/2) / (1/4) = 2 times the residual 4.7.
    assert scores.gain[0, SMS] == pytest.approx(0.3 + 2.0 * 4.7 - 5.0)
    assert scores.gain[0, NOTHING] == pytest.approx(0.3 + 2.0 * 4.7 - 5.0)
    assert scores.gain[0, MAIL] == pytest.approx(0.3 - 5.0)


def test_an_option_that_nobody_may_get_has_no_scores():
    """A rule that forbids sms altogether to the old leaves sms without a score, and the model without a wish for it."""
    catalogue = Catalogue.from_dict(
        {
            "objective": {"kind": "reward"},
            "context": {"old": {"type": "boolean"}},
            "dimensions": [{"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}]}],
            "rules": [{"when": "old", "forbid": {"channel": ["sms"]}, "reason": "no number"}],
        }
    )
    contexts = catalogue.contexts([{"old": True}])
    eligible, one = catalogue.eligible(contexts), np.ones(1)
    batch = LoggedBatch(contexts, np.zeros(1, dtype=int), eligible, one, one > 0, one, one, np.zeros(1, dtype=int))
    table = np.array([[1.0, 9.0]])
    known = DecisionTables(one, np.array([[1.0, 0.0]]), False, table, table, one, None)
    scores = OptionLayout(catalogue).scores(batch, known, "baseline")
    assert scores.may[0].tolist() == [True, False]
    assert scores.gain[0, 1] == scores.weight[0, 1] == scores.response[0, 1] == 0.0
    assert scores.best[0].tolist() == [True, False]

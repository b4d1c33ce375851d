"""The bound of a rate that holds at every look: sums by hand, false alarms counted, and what may not matter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import binom

from bandit.errors import InputError
from bandit.ope.guardrail_rate import log_evidence, rate_bounds

ODDS = 2.0 ** ndtri(0.5 + (np.arange(64) + 0.5) / 128)
"""The odds ratios of the mixture, from their definition: powers of 2 at the half-normal's quantiles."""


def first_alarms(alarm, events):
    """Of (sequences, looks) counts of events: which sequences meet an alarm at (looks, counts) at some look."""
    return alarm[np.arange(events.shape[1]), events].any(axis=1)


class TestEvidence:
    def test_one_decision_by_hand(self):
        """One decision with the event at a limit of 1/4: each odds ratio o gives o / (3/4 + o / 4); without it
        1 / (3/4 + o / 4)."""
        chance = 0.75 + ODDS / 4
        assert float(log_evidence(1, 1, 0.25)) == pytest.approx(np.log(np.mean(ODDS / chance)))
        assert float(log_evidence(0, 1, 0.25)) == pytest.approx(np.log(np.mean(1.0 / chance)))

    @pytest.mark.parametrize("limit", [0.004, 0.05, 0.5])
    def test_its_mean_is_1_at_the_limit_and_less_below(self, limit):
        """Over all outcomes of 40 decisions, weighted with their probabilities: a martingale at the limit. Above the
        limit the mean is more than 1, which is the control."""
        evidence = np.exp(log_evidence(np.arange(41), np.full(41, 40), limit))

        def mean(rate):
            return float(binom.pmf(np.arange(41), 40, rate) @ evidence)

        assert mean(limit) == pytest.approx(1.0, abs=1e-9)
        assert mean(0.9 * limit) < 1.0 < mean(1.1 * limit)

    @given(st.integers(0, 300), st.integers(0, 2_000), st.floats(1e-4, 0.9))
    def test_more_events_never_say_less_and_more_decisions_without_never_more(self, events, silent, limit):
        """So an event that has not arrived yet can only delay an alarm."""
        here = float(log_evidence(events, events + silent, limit))
        assert float(log_evidence(events + 1, events + silent, limit)) >= here
        assert float(log_evidence(events, events + silent + 1, limit)) <= here
        assert float(log_evidence(events, events + silent, min(2 * limit, 0.95))) <= here


class TestBounds:
    @given(st.integers(1, 2_000), st.integers(0, 100), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
    def test_the_lower_bound_is_where_the_evidence_is_just_enough(self, n, percent, level):
        events = n * percent // 100
        found = rate_bounds(events, n, level)
        assert 0.0 <= found.low <= found.rate <= found.high <= 1.0
        needed = -np.log(1.0 - level)
        if found.low > 0.0:
            assert float(log_evidence(events, n, found.low)) == pytest.approx(needed, abs=1e-6)
        else:
            assert float(log_evidence(events, n, 0.0)) < needed
        if found.high < 1.0:
            assert float(log_evidence(n - events, n, 1.0 - found.high)) == pytest.approx(needed, abs=1e-6)

    def test_extreme_counts_have_bounds(self):
        """No decision says nothing; 100 of 100 bound the rate from below only, none of 100 from above only."""
        nothing = rate_bounds(0, 0, 0.95)
        assert np.isnan(nothing.rate)
        assert (nothing.low, nothing.high) == (0.0, 1.0)
        every, none = rate_bounds(100, 100, 0.95), rate_bounds(0, 100, 0.95)
        assert (every.high, none.low) == (1.0, 0.0)
        assert 0.9 < every.low < 1.0
        assert none.high == pytest.approx(1.0 - every.low)
        many = rate_bounds(400_000, 100_000_000, 0.95)
        assert 0.99 * 0.004 < many.low < 0.004 < many.high < 1.01 * 0.004

    @pytest.mark.parametrize(("events", "n", "level"), [(2, 1, 0.95), (-1, 1, 0.95), (0, 1, 1.0), (0, 1, 0.0)])
    def test_counts_and_levels_that_cannot_be_are_refused(self, events, n, level):
        with pytest.raises(InputError):
            rate_bounds(events, n, level)


class TestFalseAlarms:
    N, LIMIT, LEVEL, SEQUENCES = 1_000, 0.05, 0.95, 20_000

    def events(self, rate):
        """(sequences, N) numbers of events after each decision."""
        happened = np.random.default_rng(8).random((self.SEQUENCES, self.N)) < rate
        return happened.cumsum(axis=1, dtype=np.int16)

    def alarms(self):
        """(N, counts): whether so many events after so many decisions are an alarm."""
        counts = np.arange(140)
        n = np.arange(1, self.N + 1)[:, None]
        return log_evidence(np.broadcast_to(counts, (self.N, 140)), n, self.LIMIT) >= -np.log(1.0 - self.LEVEL)

    def test_at_most_1_in_20_sequences_at_the_limit_is_ever_called_broken(self):
        """20,000 sequences looked at after each decision: .05 and four standard errors of sqrt(.05 x .95 / 20,000)."""
        rate = first_alarms(self.alarms(), self.events(self.LIMIT)).mean()
        assert 0.005 < rate < 0.05 + 4 * 0.00154

    def test_a_bound_for_one_look_is_broken_far_more_often(self):
        """The control: the exact 95 % bound of one look (Clopper and Pearson), looked at after each decision."""
        n, counts = np.arange(1, self.N + 1)[:, None], np.arange(140)
        once = binom.sf(counts - 1, n, self.LIMIT) <= 1.0 - self.LEVEL
        events = self.events(self.LIMIT)
        assert first_alarms(once, events).mean() > 0.2
        assert first_alarms(once[-1:], events[:, -1:]).mean() < 0.05 + 4 * 0.00154

    def test_twice_the_limit_is_always_found(self):
        """Expected are 100 events where 50 are allowed: z = 7."""
        assert first_alarms(self.alarms(), self.events(2 * self.LIMIT)).mean() > 0.999

    def test_rates_that_change_below_the_limit_are_no_alarm(self):
        """The limit holds at each decision, half the time exactly, half the time far below."""
        rate = np.where(np.arange(self.N) % 200 < 100, self.LIMIT, 0.1 * self.LIMIT)
        assert first_alarms(self.alarms(), self.events(rate)).mean() < 0.02

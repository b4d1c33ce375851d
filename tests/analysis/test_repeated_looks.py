"""The first look that shows a difference: against one look by formula, and against simulated paths."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from bandit.analysis.repeated_looks import LOOK_RATIO, first_look_distribution, signal_needed, spaced_looks
from bandit.ope.intervals.anytime import anytime_half_width


def test_the_first_look_is_a_normal_tail():
    """3 standard errors at the last look are 3 sqrt(1 / 4) = 1.5 at a quarter of the information: 1.5 - 2 = -0.5."""
    found = first_look_distribution(np.array([0.25, 1.0]), np.array([2.0, 2.0]), 3.0)
    assert found[0] == pytest.approx(ndtr(-0.5), abs=1e-12)
    assert ndtr(1.0) < found[1] < ndtr(-0.5) + ndtr(1.0)


def test_two_looks_are_the_bivariate_normal_integral():
    """P(Z1 < h, Z2 >= h) by a sum over 20,001 values of Z1 in (-2, 2), where no look has stopped."""
    z, step = np.linspace(-2.0, 2.0, 20_001, retstep=True)
    m1, m2, slope, deviation = 1.5, 3.0, 0.5, np.sqrt(0.75)
    inside = np.exp(-0.5 * (z - m1) ** 2) / np.sqrt(2 * np.pi) * ndtr((m2 + slope * (z - m1) - 2.0) / deviation)
    by_sum = ndtr(m1 - 2.0) + np.trapezoid(inside, dx=step)
    assert first_look_distribution(np.array([0.25, 1.0]), np.array([2.0, 2.0]), 3.0)[1] == pytest.approx(
        by_sum, abs=1e-6
    )


@pytest.mark.parametrize("signal", [1e-9, 3.5])
def test_simulated_paths_stop_when_they_are_said_to(signal):
    """20,000 paths: a share p is known to sqrt(p (1 - p) / 20,000) <= .0035; four of these are the tolerance.

    Negative control: with half-widths of a single look, at 1.96, paths stop far earlier.
    """
    customers = np.arange(1, 41) * 500.0
    fractions = customers / customers[-1]
    widths = np.array([anytime_half_width(each, 0.95) for each in customers])
    step = np.diff(fractions, prepend=0.0)
    noise = np.random.default_rng(7).standard_normal((20_000, 40))
    z = np.cumsum(signal * step + np.sqrt(step) * noise, axis=1) / np.sqrt(fractions)
    outside = np.abs(z) >= widths
    first = np.where(outside.any(axis=1), outside.argmax(axis=1), 40)
    up = np.take_along_axis(z, np.minimum(first, 39)[:, None], axis=1)[:, 0] > 0.0
    seen = np.array([np.mean(up & (first <= look)) for look in range(40)])
    found = first_look_distribution(fractions, widths, signal)
    assert np.abs(found - seen).max() < 4 * 0.0035
    wrong = first_look_distribution(fractions, np.full(40, 1.96), signal)
    assert np.abs(wrong - seen).max() > 10 * 0.0035


def test_without_a_difference_few_paths_ever_show_one():
    """Ten years of looks from 100 customers on: at most half of 5 % on this side."""
    customers = 100.0 * LOOK_RATIO ** np.arange(300)
    widths = np.array([anytime_half_width(each, 0.95) for each in customers])
    found = first_look_distribution(customers / customers[-1], widths, 1e-9)
    assert 0.005 < found[-1] < 0.025
    assert (np.diff(found) >= 0.0).all()


def test_looks_are_spaced_by_information():
    """Where information hardly grows any more, looks are left out; the last may take the place of the one before."""
    growing = 1.0 - 0.5 ** np.arange(1.0, 30.0)
    kept = spaced_looks(growing, to_the_end=True)
    assert kept.tolist() == [0, 1, 2, 3, 4, 28]
    assert spaced_looks(growing, to_the_end=False).tolist() == [0, 1, 2, 3, 4, 8]
    assert spaced_looks(np.array([1.0, 2.0, 2.02]), to_the_end=True).tolist() == [0, 2]
    assert (growing[kept][1:] / growing[kept][:-1] >= LOOK_RATIO).all()
    assert spaced_looks(np.array([2.0]), to_the_end=True).tolist() == [0]


def test_the_signal_needed_gives_the_power_asked_for():
    """One look needs 1.96 + 0.84; more looks at the same width need less, as each of them may show it."""
    widths = np.full(3, 1.959964)
    assert signal_needed(np.array([1.0]), widths[:1], 0.8) == pytest.approx(1.959964 + ndtri(0.8))
    fractions = np.array([0.4, 0.7, 1.0])
    needed = signal_needed(fractions, widths, 0.8)
    assert needed < 1.959964 + ndtri(0.8)
    assert first_look_distribution(fractions, widths, needed)[-1] == pytest.approx(0.8)

"""The same arrays give the same values as sb-obp, to 1e-9.

sb-obp needs an older numpy than ours and an environment of its own:

    python3.11 -m venv obp && obp/bin/pip install sb-obp "numpy<2"
    OFFER_BANDIT_OBP_PYTHON=obp/bin/python pytest tests/test_ope_parity.py

Without that variable these tests are skipped. sb-obp has no pseudo-inverse estimator, so that pi is left to its
closed form. Its mrdr weights squared errors by target (1 - p) / p^2, which is ours, target^2 (1 - p) / p^2, only for
a target that takes one offer for sure. Its choice of a parameter is SLOPE++ (Tucker and Lee 2021): it accepts a
candidate at a distance of up to its half-width plus sqrt(6) - 1 of that of each before it, where SLOPE adds the two
half-widths. So SLOPE accepts no more with the same half-widths, and no fewer with sqrt(6) - 1 of them.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from bandit.ope import ESTIMATORS, Feedback, ShrunkDR, SwitchDR, estimate
from bandit.ope.estimators.clipped_ips import ClippedIps
from bandit.ope.estimators.mrdr import mrdr_weights
from bandit.ope.slate_weights import marginal_weights

PYTHON = os.environ.get("OFFER_BANDIT_OBP_PYTHON", "")
ROWS, OFFERS, PARTS = 3_000, 12, 20
EVERY = np.arange(ROWS)

pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="OFFER_BANDIT_OBP_PYTHON names no python that has sb-obp"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def arrays():
    """A log with weights up to about 150, a policy, one that is sure, and a reward model that is wrong."""
    rng = np.random.default_rng(20)
    context = rng.normal(size=(ROWS, 3))
    score = 1.5 * context @ rng.normal(size=(3, OFFERS))
    logging = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    target = np.exp(-0.5 * score) / np.exp(-0.5 * score).sum(axis=1, keepdims=True)
    offer = (logging.cumsum(axis=1) < rng.random(ROWS)[:, None]).sum(axis=1)
    effect = rng.normal(size=(ROWS, OFFERS)) + 2.0
    clips = np.array([10_000.0, *(4.0**power for power in range(5, -4, -1))])
    return {
        "context": context,
        "logging": logging,
        "target": target,
        "sure": np.eye(OFFERS)[rng.integers(0, OFFERS, ROWS)],
        "offer": offer,
        "reward": rng.exponential(1.0, ROWS) + np.maximum(effect[EVERY, offer], 0.0),
        "predicted": 0.5 * effect + rng.normal(size=(ROWS, OFFERS)),
        "labels": np.arange(OFFERS) % 4,
        "largest": np.array(5.0),
        "threshold": np.array(5.0),
        "shrinkage": np.array(25.0),
        "clips": clips,
        "parts": np.array(PARTS),
    }


@pytest.fixture(scope="module")
def theirs(arrays, tmp_path_factory):
    """What sb-obp answers."""
    place = tmp_path_factory.mktemp("obp")
    np.savez(place / "arrays.npz", **arrays)
    script = Path(__file__).with_name("obp_values.py")
    subprocess.run(  # noqa: S603 - our own script, by the interpreter that the caller named
        [PYTHON, "-W", "ignore", str(script), str(place / "arrays.npz"), str(place / "values.npz")], check=True
    )
    with np.load(place / "values.npz") as values:
        return dict(values)


@pytest.fixture(scope="module")
def ours(arrays):
    """The same from here."""
    logging, target, offer = arrays["logging"], arrays["target"], arrays["offer"]
    feedback = Feedback(
        arrays["reward"],
        logging[EVERY, offer],
        target[EVERY, offer],
        arrays["predicted"][EVERY, offer],
        (target * arrays["predicted"]).sum(axis=1),
        marginal_weight=marginal_weights(logging, target, offer, arrays["labels"]),
    )
    asked = ("ips", ClippedIps(5.0), "snips", "dm", "dr", "sndr", SwitchDR(5.0), ShrunkDR(25.0), "mips")
    return {each.name: each.value for each in estimate(feedback, asked)}


@pytest.mark.parametrize("name", ["ips", "clipped-ips", "snips", "dm", "dr", "sndr", "switch-dr", "dr-os", "mips"])
def test_values_are_those_of_sb_obp(name, ours, theirs):
    assert ours[name] == pytest.approx(float(theirs[name]), rel=1e-9, abs=1e-9)


def test_mrdr_of_a_sure_target_is_that_of_sb_obp(arrays, theirs):
    """Least squares on context and offer with our weights; the offers that no weight identifies have no part in it."""
    offer, sure = arrays["offer"], arrays["sure"]
    propensity, target = arrays["logging"][EVERY, offer], sure[EVERY, offer]

    def features(chosen):
        return np.concatenate([np.ones((ROWS, 1)), arrays["context"], np.eye(OFFERS)[chosen]], axis=1)

    root = np.sqrt(mrdr_weights(propensity, target))
    design = features(offer)
    model = np.linalg.lstsq(design * root[:, None], arrays["reward"] * root, rcond=None)[0]
    feedback = Feedback(
        arrays["reward"],
        propensity,
        target,
        robust_logged=design @ model,
        robust_target=features(sure.argmax(axis=1)) @ model,
    )
    assert estimate(feedback, ("mrdr",))[0].value == pytest.approx(float(theirs["mrdr"]), rel=1e-9)


def test_slope_is_on_either_side_of_what_sb_obp_chooses(arrays, theirs):
    """Half-widths as there, of Student's t; where both sides are one, so is the choice, and that is so in some part."""
    clips, offer = arrays["clips"], arrays["offer"]
    weight = (arrays["target"] / arrays["logging"])[EVERY, offer]
    slope, chosen = ESTIMATORS["clipped-ips-slope"], []
    for part in range(PARTS):
        rows = slice(part, None, PARTS)
        terms = np.minimum(weight[rows], clips[:, None]) * arrays["reward"][rows]
        n = terms.shape[1]
        half = terms.std(axis=1) / np.sqrt(n - 1) * student.ppf(0.95, n - 1)
        assert (np.diff(half) <= 0).all()
        least, most = (slope.choose(terms.mean(axis=1), scale * half / 2) for scale in (1.0, np.sqrt(6) - 1))
        theirs_here = int(np.flatnonzero(clips == theirs[f"clip {part}"])[0])
        assert least <= theirs_here <= most
        chosen.append((least, theirs_here, most))
    assert len({each[1] for each in chosen}) > 1
    assert any(least == most for least, _, most in chosen)

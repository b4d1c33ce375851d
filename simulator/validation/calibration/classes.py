"""Multi-class data as worlds: the features are the context, the classes are the offers, the right class earns 1.

Beygelzimer and Langford 2009, "The offset tree for learning with partial labels", for the conversion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import FloatArray, IntArray
from bandit.errors import MissingExtraError
from simulator.validation.calibration.world import EPSILONS, CalibrationWorld, mixed, one_hot, softmax

CLASS_SETS = ("digits", "cancer", "wine")
"""The data sets, all of which come with scikit-learn."""

COMPONENTS = 16
"""Principal components kept as facts where there are more features."""

POOR_CLASSIFIER_ROWS = 60
"""Training rows of the classifier that writes the log: it is often wrong, as rules are."""


def class_world(name: str, seed: np.random.SeedSequence) -> CalibrationWorld:
    """Return a data set as a world; MissingExtraError where scikit-learn is not installed.

    The log is written by a poor classifier with some uniform choice mixed in, or by a softmax of its noisy scores.
    Targets: uniform; always the most frequent class; the poor classifier itself; a good classifier ("greedy") and a
    softmax of its scores; and, "far", the class after the one that the good classifier predicts, nine times in ten.
    """
    rng = np.random.default_rng(seed)
    features, label, classifier = _load(name)
    catalogue = _catalogue(name, features.shape[1], int(label.max()) + 1)
    pool, n_classes = len(label), catalogue.n_offers
    poor = _scores(classifier, features, label, rng, POOR_CLASSIFIER_ROWS)
    good = _scores(classifier, features, label, rng, pool // 3)
    seen = one_hot(poor.argmax(axis=1), n_classes)
    logging = {f"rules, {epsilon:.0%} chance": mixed(seen, epsilon) for epsilon in EPSILONS}
    logging["softmax"] = softmax(poor + poor.std(axis=1, keepdims=True) * rng.standard_normal(poor.shape), 1.5)
    best = good.argmax(axis=1)
    expected = one_hot(label, n_classes)
    return CalibrationWorld(
        name=name,
        catalogue=catalogue,
        contexts=catalogue.contexts({f"x{place}": column.tolist() for place, column in enumerate(features.T)}),
        expected=expected,
        frequency=np.ones(pool),
        visits=0.0,
        draw=_draws(expected),
        logging=logging,
        targets={
            "uniform": np.full((pool, n_classes), 1.0 / n_classes),
            "single": one_hot(np.full(pool, int(np.bincount(label).argmax())), n_classes),
            "rules": seen,
            "greedy": one_hot(best, n_classes),
            "soft": softmax(good, 1.5),
            "far": mixed(one_hot((best + 1) % n_classes, n_classes), 0.1),
        },
        reward_range=(0.0, 1.0),
    )


def _load(name: str) -> tuple[FloatArray, IntArray, Callable[[], Any]]:
    """Return standardised features, (P,) labels, and a function that makes a classifier."""
    try:
        from sklearn import datasets, linear_model  # noqa: PLC0415 - an extra
    except ImportError as fault:
        raise MissingExtraError("calibration on multi-class data", "dev") from fault
    read = {"digits": datasets.load_digits, "cancer": datasets.load_breast_cancer, "wine": datasets.load_wine}[name]
    raw, label = read(return_X_y=True)
    spread = raw.std(axis=0)
    standard = (raw - raw.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    if standard.shape[1] > COMPONENTS:
        _, _, directions = np.linalg.svd(standard, full_matrices=False)
        standard = standard @ directions[:COMPONENTS].T
        standard /= standard.std(axis=0)
    return standard, label.astype(np.int64), lambda: linear_model.LogisticRegression(max_iter=2_000)


def _scores(
    classifier: Callable[[], Any], features: FloatArray, label: IntArray, rng: np.random.Generator, rows: int
) -> FloatArray:
    """Return the (P, classes) log probabilities of a classifier fitted on some rows, every class among them."""
    n_classes = int(label.max()) + 1
    one_each = np.array([rng.choice(np.flatnonzero(label == each)) for each in range(n_classes)])
    chosen = np.concatenate([one_each, rng.choice(len(label), size=rows - n_classes, replace=False)])
    fitted = classifier().fit(features[chosen], label[chosen])
    return np.asarray(np.log(np.maximum(fitted.predict_proba(features), 1e-9)))


def _catalogue(name: str, n_facts: int, n_classes: int) -> Catalogue:
    return Catalogue.from_dict(
        {
            "name": name,
            "objective": {"kind": "reward"},
            "context": {f"x{place}": {"type": "numeric", "center": 0.0, "scale": 1.0} for place in range(n_facts)},
            "dimensions": [{"name": "class", "options": [{"name": str(each)} for each in range(n_classes)]}],
        },
        where=name,
    )


def _draws(expected: FloatArray) -> Callable[[IntArray, IntArray, np.random.Generator], FloatArray]:
    def draw(rows: IntArray, offer: IntArray, rng: np.random.Generator) -> FloatArray:
        del rng  # the reward is a function of context and offer
        return expected[rows, offer]

    return draw

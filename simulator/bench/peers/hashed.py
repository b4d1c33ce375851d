"""gittins behind the policy protocol."""

from __future__ import annotations

from collections import defaultdict, deque

import gittins
import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, IntArray, Outcomes
from bandit.encoding.scales import CLIP
from simulator.bench.peers.chooser import Chooser, RewardUnit

FeatureValue = str | float | None


class Hashed(Chooser):
    """The library's own model and exploration over hashed context x option features.

    Candidates are the eligible offers with their options as categorical features (and numeric attributes in units of
    the largest), contexts are the facts, numeric ones standardised: it crosses the two by itself and expects numbers
    of unit scale. The reward is the objective's money in units of its root mean square. A decision stays open until
    its outcome arrives (the horizon is never reached), so late outcomes count.

    Settings were tried on two retail markets that are not reported: bits 8 to 20, epsilon .02 to .2, forgetfulness
    .999 to 1, candidates with and without attributes or options. Bits 12 with the library's own epsilon was the best
    of both (.47); others went from .05 to .44 without an order that would suggest more. Its model is diagonal (each
    weight is learned alone), and it explores by epsilon only.
    """

    name = "gittins"

    def __init__(
        self, catalogue: Catalogue, seed: int, *, bits: int = 12, epsilon: float = 0.05, forgetfulness: float = 1.0
    ) -> None:
        super().__init__(catalogue, seed)
        self._state = gittins.create(
            bits=bits, horizon=1e15, default_reward=0.0, epsilon=epsilon, forgetfulness=forgetfulness
        )
        self._unit = RewardUnit()
        self._clock = 0
        self._candidates = [(str(offer), self._features(offer)) for offer in range(catalogue.n_offers)]
        # An outcome has no decision id; two decisions of one customer with one offer are interchangeable.
        self._open: defaultdict[tuple[str, int], deque[str]] = defaultdict(deque)

    def _features(self, offer: int) -> dict[str, FeatureValue]:
        features: dict[str, FeatureValue] = dict(self.catalogue.offer(offer))
        for place, dimension in enumerate(self.catalogue.dimensions):
            for key in sorted({key for option in dimension.options for key in option.attributes}):
                largest = max(abs(option.attributes.get(key, 0.0)) for option in dimension.options) or 1.0
                option = dimension.options[int(self.catalogue.options[offer, place])]
                features[f"{dimension.name}.{key}"] = option.attributes.get(key, 0.0) / largest
        return features

    def _facts(self, contexts: Contexts) -> list[dict[str, FeatureValue]]:
        columns: dict[str, list[FeatureValue]] = {}
        for name, fact in self.catalogue.facts.items():
            if fact.kind == "categorical":
                columns[name] = contexts.text[name].tolist()
            elif fact.kind == "numeric" and fact.center is not None and fact.scale is not None:
                columns[name] = np.clip((contexts.columns[name] - fact.center) / fact.scale, -CLIP, CLIP).tolist()
            else:
                columns[name] = contexts.columns[name].tolist()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def choose(self, contexts: Contexts, eligible: BoolArray) -> IntArray:
        """Choose for each customer and remember the decision id."""
        offers = np.empty(contexts.n, dtype=np.int64)
        for row, facts in enumerate(self._facts(contexts)):
            self._clock += 1
            able = np.flatnonzero(eligible[row])
            candidates = [self._candidates[offer] for offer in able]
            record = gittins.decide(self._state, facts, candidates, float(self._clock), str(self.seed))
            offers[row] = able[record.chosen]
            self._open[str(contexts.customers[row]), int(offers[row])].append(record.decision_id)
        return offers

    def update(self, outcomes: Outcomes) -> None:
        """Report the rewards of the decisions."""
        reward = self._unit.scaled(outcomes.reward)
        for row, (customer, offer) in enumerate(
            zip(outcomes.contexts.customers.tolist(), outcomes.offer.tolist(), strict=True)
        ):
            decision = self._open[str(customer), offer].popleft()
            gittins.learn(self._state, decision, float(reward[row]), float(self._clock))

"""pybandits behind the policy protocol."""

from __future__ import annotations

import numpy as np
from pybandits.cmab import CmabBernoulliDP

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Outcomes
from simulator.bench.peers.chooser import Chooser, PeerColumns

UPDATE_EVERY = 2_000
"""Outcomes collected before the network learns: an update takes half a minute, whatever its size."""


class Network(Chooser):
    """One Bayesian head an offer on a shared encoder of the context, with the library's dynamic-pricing strategy.

    The strategy takes the offer of the highest price x P(purchase), a draw of the posterior each; the price of an
    offer is what a purchase earns under it at the mean revenue so far, less its contact cost a purchase. The library
    compiles its model at every update, about 30 s with a shared encoder and 144 offers (2 s an offer without one), so
    it learns after 2,000 outcomes at a time, and the first of those are random. Refused offers go in as
    forbidden actions.
    """

    name = "pybandits"

    def __init__(self, catalogue: Catalogue, seed: int, *, hidden: int = 16, steps: int = 1_000) -> None:
        super().__init__(catalogue, seed)
        self._columns = PeerColumns(catalogue)
        self._rng = np.random.default_rng(seed)
        self._ids = [f"{offer:06d}" for offer in range(catalogue.n_offers)]
        self._bandit = CmabBernoulliDP.cold_start(
            action_ids=set(self._ids),
            n_features=self._columns.d - 1,  # it has an intercept of its own
            random_seed=seed % 2**31,
            price=1.0,
            backbone_hidden_dims=[hidden],
            update_kwargs={"num_steps": steps},
        )
        self._waiting: list[tuple[FloatArray, IntArray, BoolArray]] = []
        self._n, self._bought, self._spent = 0, 0, 0.0
        self._learned = False

    def choose(self, contexts: Contexts, eligible: BoolArray) -> IntArray:
        """Predict for customers with the same eligible offers together."""
        if not self._learned:
            return np.asarray(np.where(eligible, self._rng.random(eligible.shape), -1.0).argmax(axis=1))
        matrix = self._columns.contexts(contexts)[:, 1:]
        masks, group = np.unique(eligible, axis=0, return_inverse=True)
        offers = np.empty(contexts.n, dtype=np.int64)
        for number, mask in enumerate(masks):
            rows = np.flatnonzero(group.ravel() == number)
            forbidden = {self._ids[offer] for offer in np.flatnonzero(~mask)}
            chosen, _, _ = self._bandit.predict(matrix[rows], forbidden_actions=forbidden or None)
            offers[rows] = [int(action) for action in chosen]
        return offers

    def update(self, outcomes: Outcomes) -> None:
        """Collect outcomes, and update the network once there are enough."""
        matrix = self._columns.contexts(outcomes.contexts)[:, 1:]
        self._waiting.append((matrix, outcomes.offer, outcomes.converted))
        self._n += len(outcomes)
        self._bought += int(outcomes.converted.sum())
        self._spent += float(outcomes.revenue[outcomes.converted].sum())
        if sum(len(offer) for _, offer, _ in self._waiting) < UPDATE_EVERY:
            return
        contexts, offers, converted = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting.clear()
        self._bandit.update(
            actions=[self._ids[offer] for offer in offers.tolist()],
            rewards=converted.astype(int).tolist(),
            context=contexts,
        )
        self._learned = True
        self._price()

    def _price(self) -> None:
        """Set each offer's price to what a purchase is expected to earn under it."""
        if not self._bought:
            return
        catalogue = self.catalogue
        shape = np.full(catalogue.n_offers, self._bought / self._n)
        revenue = np.full(catalogue.n_offers, self._spent / self._bought)
        worth = catalogue.objective.expected(catalogue.money, shape, revenue) / shape
        for action, price in zip(self._ids, np.maximum(worth, 0.0).tolist(), strict=True):
            self._bandit.actions[action].price = price

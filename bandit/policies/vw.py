"""Vowpal Wabbit behind the policy protocol; the only import of vowpalwabbit."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import vowpalwabbit
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, Outcomes
from bandit.errors import PolicyError
from bandit.features import Encoder
from bandit.policies.probabilities import check_share, mix_floor
from bandit.policies.state import pack, unpack

DEFAULT_ARGS = "--cb_type mtr --squarecb --gamma_scale 1000 --clip_p 1 -l 1 -q ca -q aa"
"""What earned most of some 35 settings tried on simulated retail markets.

Interactions of context with options and of options with each other; importance weights clipped at 1, without which the
few explored decisions with small propensities drown the rest; and exploration that narrows fast.
"""

UNIT_FROM = 500
"""Outcomes after which the unit of costs is settled for good."""

_ALWAYS = (
    "--cb_explore_adf",
    "--quiet",
    "--preserve_performance_counters",  # a reloaded model goes on learning at the pace it had reached
)
_FRESH = "--random_seed 1"  # a saved model brings its own, and a second one is refused
_REFUSED = ("-f", "-i", "-d", "-p", "-c", "--cb_explore_adf", "--data", "--final_regressor", "--initial_regressor")


class VowpalWabbit:
    """VW's contextual bandit over one example an offer (`--cb_explore_adf`).

    VW is handed costs (minus the reward, in units of its root mean square so far, which is settled after 500 outcomes)
    with the true propensities, and clean text: every name is percent-encoded,
    so that `|`, `:`, spaces, line ends and other scripts cannot change its meaning. Its own probabilities are float32
    and may be zero; they are brought to float64, made to sum to 1 and mixed with a floor. VW cannot unlearn: an
    outcome that is re-stated stays as it was learned first (`not_restated` counts them). A workspace serves one
    thread at a time; a lock sees to that.
    """

    learns = True

    def __init__(
        self, catalogue: Catalogue, args: str = DEFAULT_ARGS, *, floor: float = 0.01, name: str = "vowpal wabbit"
    ) -> None:
        """Start an untrained workspace; PolicyError where VW does not take the arguments."""
        self.catalogue = catalogue
        self.name = name
        self.args = args
        self.floor = check_share("floor", floor)
        self.not_restated = 0
        self._unit = _Unit()
        refused = [arg for arg in args.split() if arg.split("=")[0] in _REFUSED]
        if refused:
            raise PolicyError(f"VW's {refused[0]} is set by this policy or touches files; leave it out of args")
        self._lock = threading.Lock()
        self._encoder = Encoder(catalogue, pairs=False)
        self._context_names = [quote(name, safe="") for name in self._encoder.context_names]
        self._offer_lines = self._lines()
        self._learner = self._open(_FRESH)
        self._reader: vowpalwabbit.Workspace | None = None

    def _lines(self) -> list[str]:
        names = [quote(name, safe="") for name in self._encoder.offers.main_names]
        return ["|a " + _features(names, row) for row in self._encoder.offers.main.tolist()]

    def _open(self, *more: str) -> vowpalwabbit.Workspace:
        try:
            return vowpalwabbit.Workspace(" ".join([*_ALWAYS, self.args, *more]))
        except Exception as fault:  # its binding raises bare RuntimeError and others
            raise PolicyError(f"Vowpal Wabbit does not start with {self.args!r}: {fault}") from fault

    def _contexts(self, contexts: Contexts) -> list[str]:
        return [
            "shared |c " + _features(self._context_names, row)
            for row in self._encoder.context_matrix(contexts).tolist()
        ]

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002
        """Return VW's probabilities over the eligible offers, with the floor, (n, N)."""
        chosen = np.zeros(eligible.shape)
        with self._lock:
            reader = self._reading()
            for row, context in enumerate(self._contexts(contexts)):
                offers = np.flatnonzero(eligible[row])
                lines = [context, *(self._offer_lines[offer] for offer in offers)]
                chosen[row, offers] = reader.predict(lines)
        chosen = np.maximum(chosen, 0.0)
        total = chosen.sum(axis=1, keepdims=True)
        if not (np.isfinite(total).all() and (total > 0.0).all()):
            raise PolicyError("Vowpal Wabbit gave probabilities that are not finite or are all zero")
        return mix_floor(chosen / total, eligible, self.floor)

    def update(self, outcomes: Outcomes) -> None:
        """Learn the cost and the propensity of each outcome that is new."""
        self.not_restated += int(outcomes.restated.sum())
        new = outcomes.take(~outcomes.restated)
        costs = -new.reward / self._unit.take_in(new.reward)
        with self._lock:
            for row, context in enumerate(self._contexts(new.contexts)):
                offers = np.flatnonzero(new.eligible[row])
                lines = [context, *(self._offer_lines[offer] for offer in offers)]
                at = 1 + int(np.searchsorted(offers, new.offer[row]))
                lines[at] = f"0:{costs[row]:.9g}:{new.propensity[row]:.9g} {lines[at]}"
                self._learner.learn(lines)
            self._forget_reader()

    def _reading(self) -> vowpalwabbit.Workspace:
        """Return a workspace to ask: a copy, since even asking moves the counters that VW learns by."""
        if self._reader is None:
            self._reader = self._load(self._model())
        return self._reader

    def _forget_reader(self) -> None:
        if self._reader is not None:
            self._reader.finish()
            self._reader = None

    def _model(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            self._learner.save(str(path))
            return path.read_bytes()

    def _load(self, model: bytes) -> vowpalwabbit.Workspace:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            path.write_bytes(model)
            return self._open(f"-i {path}")

    def spec(self) -> Mapping[str, object]:
        """Return the kind and the settings."""
        return {"kind": "vw", "args": self.args, "floor": self.floor, "name": self.name}

    def dumps(self) -> bytes:
        """Return VW's own model file, with what this class counts."""
        with self._lock:
            model = np.frombuffer(self._model(), dtype=np.uint8)
        meta = {"kind": "vw", "not_restated": self.not_restated, "n": self._unit.n, "squares": self._unit.squares}
        return pack(meta, {"model": model})

    def loads(self, state: bytes) -> None:
        """Take over a model; PolicyError where VW does not read it."""
        meta, arrays = unpack(state)
        if meta.get("kind") != "vw" or "model" not in arrays:
            raise PolicyError(
                f"the state is of a policy of kind {meta.get('kind')}, not of VW; rebuild it from the log"
            )
        loaded = self._load(arrays["model"].tobytes())
        with self._lock:
            self._learner.finish()
            self._forget_reader()
            self._learner = loaded
        self.not_restated = int(str(meta["not_restated"]))
        self._unit = _Unit(int(str(meta["n"])), float(str(meta["squares"])))


@dataclass(slots=True)
class _Unit:
    """The root mean square of the first rewards; row by row, so that it does not matter how they are batched."""

    n: int = 0
    squares: float = 0.0

    def take_in(self, reward: FloatArray) -> FloatArray:
        """Return the unit of each of n rewards, each counted in its own."""
        fresh = reward[: max(0, UNIT_FROM - self.n)]
        counts = self.n + np.arange(1, len(fresh) + 1)
        sums = self.squares + np.cumsum(fresh**2)
        if len(fresh):
            self.n, self.squares = int(counts[-1]), float(sums[-1])
        settled = self.squares / self.n if self.n else 0.0
        squares = np.concatenate([sums / counts, np.full(len(reward) - len(fresh), settled)])
        return np.sqrt(np.where(squares > 0.0, squares, 1.0))


def _features(names: Sequence[str], row: Sequence[float]) -> str:
    """Return VW's text of the columns that are not zero; a 1 needs no number."""
    return " ".join(
        name if value == 1.0 else f"{name}:{value:.9g}" for name, value in zip(names, row, strict=True) if value != 0.0
    )

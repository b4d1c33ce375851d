"""One of Vowpal Wabbit's workspaces; the only import of vowpalwabbit."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vowpalwabbit

from bandit.errors import PolicyError

_ALWAYS = ("--quiet", "--preserve_performance_counters")  # a reloaded model goes on at the pace it had reached
_FRESH = "--random_seed 1"  # a saved model brings its own, and a second one is refused

# What reads, writes or opens something outside the workspace, or is set by a policy itself.
_REFUSED_SHORT = ("-f", "-i", "-d", "-p", "-c", "-k", "-r", "-t")
_REFUSED_LONG = (
    "--data",
    "--cache",
    "--cache_file",
    "--kill_cache",
    "--final_regressor",
    "--initial_regressor",
    "--predictions",
    "--raw_predictions",
    "--readable_model",
    "--invert_hash",
    "--dump_json_weights_experimental",
    "--output_feature_regularizer_binary",
    "--output_feature_regularizer_text",
    "--input_feature_regularizer",
    "--feature_mask",
    "--dictionary",
    "--dictionary_path",
    "--daemon",
    "--port",
    "--port_file",
    "--pid_file",
    "--span_server",
    "--testonly",
    "--passes",
    "--save_per_pass",
    "--random_seed",
    "--quiet",
    "--preserve_performance_counters",
)


class Workspace:
    """A workspace that lives as long as it is used and is closed once; its model goes in and out as bytes.

    It serves one thread at a time: whoever holds it holds a lock. Everything of VW's that goes wrong is a PolicyError.
    """

    def __init__(self, args: str, model: bytes | None = None) -> None:
        """Open a workspace that knows nothing, or one that goes on with a model."""
        self.args = args
        self._open: Any = None
        try:
            if model is None:
                self._open = vowpalwabbit.Workspace(" ".join([*_ALWAYS, args, _FRESH]))
                return
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model"
                path.write_bytes(model)
                self._open = vowpalwabbit.Workspace(" ".join([*_ALWAYS, args, f"-i {path}"]))
        except Exception as fault:  # its binding raises bare RuntimeError and others
            raise PolicyError(f"Vowpal Wabbit does not start with {args!r}: {fault}") from fault

    def learn(self, example: str | list[str]) -> None:
        """Learn from one example, or from the lines of one."""
        try:
            self._open.learn(example)
        except Exception as fault:
            raise PolicyError(f"Vowpal Wabbit with {self.args!r} cannot learn: {fault}") from fault

    def predict(self, example: str | list[str]) -> Any:  # noqa: ANN401 - its kind depends on the arguments
        """Return what VW answers."""
        try:
            return self._open.predict(example)
        except Exception as fault:
            raise PolicyError(f"Vowpal Wabbit with {self.args!r} cannot predict: {fault}") from fault

    def weights(self, places: Sequence[int]) -> list[float]:
        """Return the weights of features that are called by number."""
        weight = self._open.get_weight
        return [weight(place) for place in places]

    def model(self) -> bytes:
        """Return VW's own model file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            self._open.save(str(path))
            return path.read_bytes()

    def close(self) -> None:
        """Give back what VW holds; a second time does nothing."""
        if self._open is not None:
            self._open.finish()
            self._open = None


class Asked:
    """A workspace that learns and one that answers: a copy, since even asking moves the counters that VW learns by.

    The copy is made when it is first asked for after something was learned, and closed when it is out of date.
    """

    def __init__(self, args: str, model: bytes | None = None) -> None:
        self.args = args
        self._learner = Workspace(args, model)
        self._reader: Workspace | None = None

    def learn(self, lines: list[str]) -> None:
        """Learn from the lines of one example."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._learner.learn(lines)

    def ask(self, lines: list[str]) -> Any:  # noqa: ANN401 - its kind depends on the arguments
        """Return what VW answers, as far as it has learned."""
        if self._reader is None:
            self._reader = Workspace(self.args, self._learner.model())
        return self._reader.predict(lines)

    def model(self) -> bytes:
        """Return the model of the workspace that learns."""
        return self._learner.model()

    def close(self) -> None:
        """Close both."""
        self._learner.close()
        if self._reader is not None:
            self._reader.close()


def allowed(args: str, own: Sequence[str] = ()) -> str:
    """Return the arguments; PolicyError for one that touches files or the network, or that the policy sets (`own`)."""
    for arg in args.split():
        long = arg.split("=")[0]
        short = "" if arg.startswith("--") else arg[:2]
        if long in _REFUSED_LONG or long in own or short in _REFUSED_SHORT:
            raise PolicyError(
                f"VW's {short or long} is set by this policy or reaches outside it; leave it out of the arguments"
            )
    return args

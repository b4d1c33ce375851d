"""Vowpal Wabbit workspaces: the only import of vowpalwabbit."""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bandit.errors import PolicyError
from bandit.policies.vw.arguments import MAX_BITS, check_arguments

_ALWAYS = ("--quiet", "--preserve_performance_counters")  # keeps the learning rate reached by a reloaded model
_FRESH = "--random_seed 1"  # a saved model has its own, and VW refuses a second one

_FIXED = re.compile(r" --random_seed \d+| --preserve_performance_counters| --quiet")  # set by `Workspace`
_PLAIN = re.compile(r"[\x20-\x7e]*\0?")


class Workspace:
    """A VW workspace whose model is loaded and saved as bytes, to be closed after use.

    It serves one thread at a time: the caller holds a lock. Every error of VW is raised as a PolicyError.
    """

    def __init__(self, args: str, model: bytes | None = None) -> None:
        """Open an untrained workspace, or one with a model."""
        self.args = args
        self._open: Any = None
        if model is not None:
            _check_model(model)
        try:
            import vowpalwabbit  # noqa: PLC0415 - loaded when the first workspace is opened

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
        """Learn from one example, or from the lines of a multi-line one."""
        try:
            self._open.learn(example)
        except Exception as fault:
            raise PolicyError(f"Vowpal Wabbit with {self.args!r} cannot learn: {fault}") from fault

    def predict(self, example: str | list[str]) -> Any:  # noqa: ANN401 - its kind depends on the arguments
        """Return VW's prediction."""
        try:
            return self._open.predict(example)
        except Exception as fault:
            raise PolicyError(f"Vowpal Wabbit with {self.args!r} cannot predict: {fault}") from fault

    def weights(self, places: Sequence[int]) -> list[float]:
        """Return the weights of features that are named by number."""
        weight = self._open.get_weight
        return [weight(place) for place in places]

    def model(self) -> bytes:
        """Return VW's own model file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            self._open.save(str(path))
            return path.read_bytes()

    def close(self) -> None:
        """Release VW's memory; a second call does nothing."""
        if self._open is not None:
            self._open.finish()
            self._open = None


class WorkspacePair:
    """A workspace that learns and a copy of it that predicts, since predictions change the counters of VW's learning.

    The copy is made at the first prediction after an update, and closed at the next update.

    A model file does not hold all that a workspace goes by: of several regressors (`--bag`, `--cover`, `--rnd`,
    `--cb_type dr`, `--nn`, `--boosting`) it has the running scale of the features of the first alone, and other
    reductions leave out more. A process that loads the file would go on otherwise than the one that wrote it. So
    `resume` opens the workspace anew from its own file: called before each step of learning, it makes the state after
    any number of steps the same, whoever loads it in between.
    """

    def __init__(self, args: str, model: bytes | None = None) -> None:
        self.args = args
        self._learner = Workspace(args, model)
        self._predictor: Workspace | None = None
        self._model = model
        self._has_learned = False

    def resume(self) -> None:
        """Go on from the model file alone, if anything was learned since it was loaded."""
        if self._has_learned:
            reopened = Workspace(self.args, self.model())
            self._learner.close()
            self._learner, self._has_learned = reopened, False

    def learn(self, lines: list[str]) -> None:
        """Learn from the lines of one example."""
        if self._predictor is not None:
            self._predictor.close()
            self._predictor = None
        self._model, self._has_learned = None, True
        self._learner.learn(lines)

    def predict(self, lines: list[str]) -> Any:  # noqa: ANN401 - its kind depends on the arguments
        """Return VW's prediction from everything learned."""
        if self._predictor is None:
            self._predictor = Workspace(self.args, self.model())
        return self._predictor.predict(lines)

    def model(self) -> bytes:
        """Return the model of the workspace that learns: the bytes it was opened with until it has learned."""
        if self._model is None:
            self._model = self._learner.model()
        return self._model

    def close(self) -> None:
        """Close both."""
        self._learner.close()
        if self._predictor is not None:
            self._predictor.close()


def _check_model(model: bytes) -> None:
    """Check the arguments inside a model, which VW obeys; PolicyError for those that a caller may not give.

    They are in the header, after the version, the model's id, "m", two labels, the number of bits, that of topics,
    and two lists of three bytes each (Vowpal Wabbit 9, `parse_regressor.cc`).
    """
    try:
        place = 0
        for _ in range(2):
            (length,) = struct.unpack_from("<I", model, place)
            place += 4 + length
        _, _, _, bits, _ = struct.unpack_from("<cffII", model, place)
        place += struct.calcsize("<cffII")
        for _ in range(2):
            (length,) = struct.unpack_from("<I", model, place)
            place += 4 + 3 * length
        (length,) = struct.unpack_from("<I", model, place)
        args = model[place + 4 : place + 4 + length].decode("ascii")
    except (struct.error, UnicodeDecodeError) as fault:
        raise PolicyError(f"Vowpal Wabbit does not start with a model that it did not write ({fault})") from fault
    if len(args) != length or not _PLAIN.fullmatch(args) or bits > MAX_BITS:
        raise PolicyError("Vowpal Wabbit does not start with a model that it did not write; rebuild it from the log")
    check_arguments(_FIXED.sub(" ", args.rstrip("\0")), of_model=True)

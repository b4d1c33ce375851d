"""Other versions of the engine as contestants: each from its own commit, in its own environment and process."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import DecisionBatch, FloatArray, IntArray
from bandit.errors import InputError
from simulator.bench.engines import BENCH_KEY

VERSIONS_FOLDER = Path(__file__).resolve().parents[3] / ".bench-versions"
"""Where versions are checked out and installed; outside of version control."""

VERSION_PREFIX = "engine "
"""What the name of a contestant of another version begins with; its version and commit follow."""

_PROGRAM = Path(__file__).with_name("version_program.py")
_LATER_KEYS = ("stages",)
"""Keys of [objective] that earlier versions do not know and do not need: they learn from the event alone."""


def prepare(revision: str, root: Path | None = None) -> str:
    """Check out and install the engine of a commit, unless that was done before; return its contestant's name.

    `revision` is whatever git takes: a commit, a tag, a branch. Raises InputError where git does not know it.
    """
    source = VERSIONS_FOLDER.parent if root is None else root
    commit = _git(source, "rev-parse", "--verify", "--quiet", "--short=7", f"{revision}^{{commit}}")
    if not commit:
        raise InputError(f'"{revision}" is no commit of {source}; send a commit, `git log` lists them')
    text = _git(source, "show", f"{commit}:bandit/_version.py")
    found = re.search(r'__version__ = "([^"]+)"', text)
    if found is None:
        raise InputError(f'the commit "{revision}" has no bandit/_version.py that names a version; send another commit')
    name = f"{VERSION_PREFIX}{found[1]}-{commit}"
    if version_fault(name):
        _install(source, commit, folder_of(name))
    return name


def folder_of(name: str) -> Path:
    """Return the folder of a contestant's version."""
    return VERSIONS_FOLDER / name.removeprefix(VERSION_PREFIX)


def version_fault(name: str) -> str:
    """Return the reason for which a version cannot take part; empty where it can."""
    folder = folder_of(name)
    if _python(folder).exists() and (folder / "installed").exists():
        return ""
    return f"{folder} has no installed version; `--versions COMMIT` makes it"


@contextmanager
def open_version(name: str, catalogue: Catalogue, seed: int, folder: Path) -> Iterator[VersionEngine]:
    """Open the engine of another version in a process of its own, with its default settings."""
    with VersionEngine(_python(folder_of(name)), catalogue, seed, folder) as engine:
        yield engine


class VersionEngine:
    """An engine of another version in a process, with the calls that a run makes of an engine.

    `cpu_ns` is the processor time of that process. Events that are no part of the objective are not passed on.
    """

    def __init__(self, python: Path, catalogue: Catalogue, seed: int, folder: Path) -> None:
        self.catalogue = catalogue
        self._events = {catalogue.objective.event, "return", "closed"}
        plain = dict(catalogue.to_dict())
        objective = plain.get("objective", {})
        if isinstance(objective, Mapping):
            plain["objective"] = {key: value for key, value in objective.items() if key not in _LATER_KEYS}
        self._opening = {"catalogue": plain, "seed": seed, "folder": str(folder), "key": BENCH_KEY.decode()}
        self._command = [str(python), "-P", str(_PROGRAM)]
        self._cpu = 0

    def __enter__(self) -> Self:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(  # noqa: S603 - the Python of a version that was installed here
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment | {"PYTHONWARNINGS": "ignore"},
        )
        try:
            self._ask(**self._opening)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        """Close the input, upon which the process ends, and wait for it."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def cpu_ns(self) -> int:
        """Return the nanoseconds of processor time of the process until its last answer."""
        return self._cpu

    def decide_batch(
        self,
        customers: Sequence[str],
        contexts: Mapping[str, Any],
        *,
        time: IntArray | int | None = None,
        decision_ids: Sequence[str] | None = None,
    ) -> DecisionBatch:
        """Decide for a batch of customers."""
        answer = self._ask(
            call="decide",
            customers=list(customers),
            contexts={name: np.asarray(column).tolist() for name, column in contexts.items()},
            time=_plain(time),
            decision_ids=decision_ids,
        )
        offer = np.array(answer["offer"], dtype=np.int64)
        packed = np.frombuffer(bytes.fromhex(answer["eligible"]), dtype=np.uint8).reshape(len(offer), -1)
        return DecisionBatch(
            decision_ids=tuple(decision_ids or ()),
            customers=tuple(customers),
            offers=self.catalogue.offers(offer),
            offer_index=offer,
            propensity=np.array(answer["propensity"]),
            eligible=np.unpackbits(packed, axis=1, count=self.catalogue.n_offers).astype(np.bool_),
            probabilities=None,
            time=np.broadcast_to(np.asarray(0 if time is None else time, dtype=np.int64), offer.shape),
            group="policy",
        )

    def record_batch(
        self,
        decision_ids: Sequence[str],
        event: str | Sequence[str],
        *,
        revenue: FloatArray | None = None,
        time: IntArray | None = None,
    ) -> None:
        """Record one event for each decision, if the objective knows it."""
        if not isinstance(event, str) or event in self._events:
            self._ask(
                call="record",
                decision_ids=list(decision_ids),
                event=event,
                revenue=None if revenue is None else revenue.tolist(),
                time=_plain(time),
            )

    def learn(self, *, now: int | None = None) -> None:
        """Learn what is new in its log."""
        self._ask(call="learn", now=now)

    def _ask(self, **call: object) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        line = ""
        if stdin is not None and stdout is not None:
            try:
                stdin.write(json.dumps(call) + "\n")
                stdin.flush()
                line = stdout.readline()
            except BrokenPipeError:
                line = ""
        if not line:
            done = call.get("call", "opening")
            raise InputError(
                f"the process of {self._command[0]} stopped without an answer ({done}); "
                "run version_program.py with that Python to see why"
            )
        answer: dict[str, Any] = json.loads(line)
        self._cpu = int(answer["cpu"])
        return answer


def _plain(time: IntArray | int | None) -> object:
    return time.tolist() if isinstance(time, np.ndarray) else time


def _python(folder: Path) -> Path:
    return folder / "venv" / "bin" / "python"


def _install(source: Path, commit: str, folder: Path) -> None:
    """Unpack a commit into a folder and install it with the versions that it pinned."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        packed = Path(place) / "source.tar"
        _git(source, "archive", "--format=tar", f"--output={packed}", commit)
        with tarfile.open(packed) as archive:
            archive.extractall(folder / "source", filter="data")
    _run([sys.executable, "-m", "venv", str(folder / "venv")])
    pins = folder / "source" / "constraints.txt"
    constraint = ["--constraint", str(pins)] if pins.exists() else []
    _run([str(_python(folder)), "-m", "pip", "install", "--quiet", *constraint, str(folder / "source")])
    (folder / "installed").write_text(commit + "\n", encoding="utf-8")


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints; empty where it fails."""
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - git with these arguments
    return done.stdout.strip() if done.returncode == 0 else ""


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - Python with these arguments
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{' '.join(command[:4])} failed: {last}; see to it and run the benchmark again")

"""Opens the cluster that an option names: this process, a few processes of this machine, or a Dask scheduler."""

from __future__ import annotations

import logging
import os
import re
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from bandit.cluster.runner import DaskRunner
from bandit.cluster.worker import can_read, dask, versions
from bandit.domain import InProcessRunner
from bandit.errors import InputError, MissingExtraError
from bandit.logfiles.dataset.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from bandit.domain import PartRunner
    from bandit.logfiles.dataset.log import DatasetLog

IN_PROCESS, LOCAL = "off", "local"

WORTHWHILE_ROWS = 1_000_000
"""Decisions from which a dataset is read by several processes unless it is said otherwise: see `default_cluster`."""

MOST_LOCAL_WORKERS = 512

_LOCAL = re.compile(r"^local(?::(\d+))?$")
_ADDRESS = re.compile(r"^(?:(?:tcp|tls|ucx|ws|wss)://)?[^\s:/]+:\d+$|^(?:tcp|tls|ucx|ws|wss)://\S+$")
_WAIT = 30
"""Seconds to wait for a scheduler and for its first worker."""


def default_cluster(log: DatasetLog) -> str:
    """Return which cluster reads a dataset for which none is named.

    "local" for at least WORTHWHILE_ROWS decisions in several partitions on a machine with several processors, and
    "off", this process, otherwise: to start the processes takes some seconds, in which one has read that many.
    """
    if log.manifest.rows < WORTHWHILE_ROWS or len(log.parts) < 2 or n_processors() < 2:
        return IN_PROCESS
    try:
        dask()
    except ImportError:
        return IN_PROCESS
    return LOCAL


def n_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def open_runner(cluster: str, log: DatasetLog | None = None) -> Iterator[PartRunner]:
    """Yield what computes on the parts of a dataset: "off", "local", "local:N" or the address of a Dask scheduler.

    Without `log` nothing has to be read by the workers. "local" starts one process a processor, each with one thread,
    and ends them afterwards. Raises InputError for another text, where no scheduler or worker answers, and where
    workers have other versions or cannot read the files; MissingExtraError without dask.
    """
    local = _LOCAL.match(cluster)
    if cluster == IN_PROCESS:
        yield InProcessRunner()
        return
    if local is None and not _ADDRESS.match(cluster):
        raise InputError(
            f'there is no cluster "{cluster}"; give off, local, local:N with a number of processes, or the address of '
            "a Dask scheduler, such as tcp://10.0.0.5:8786"
        )
    if local is not None and local[1] is not None and not 1 <= int(local[1]) <= MOST_LOCAL_WORKERS:
        raise InputError(f"a local cluster has 1 to {MOST_LOCAL_WORKERS} processes; seen {local[1]}")
    try:
        dask()
    except ImportError as fault:
        raise MissingExtraError("a cluster", "cluster") from fault
    with _quiet():
        if local is None:
            opened = _connected(cluster)
        else:
            most = n_processors() if log is None else min(n_processors(), max(1, len(log.parts)))
            opened = _local(int(local[1]) if local[1] else most)
        with opened as client:
            if log is not None:
                _check_reads(client, log)
            yield DaskRunner(client, cluster)


@contextmanager
def _local(n_workers: int) -> Iterator[Any]:
    """Yield the client of a cluster of processes of this machine, which end with it."""
    with tempfile.TemporaryDirectory(prefix="offer-bandit-", ignore_cleanup_errors=True) as scratch:
        with _interrupts_ignored():
            cluster = dask().LocalCluster(
                n_workers=n_workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
                local_directory=scratch,
                memory_limit=0,
            )
        try:
            with dask().Client(cluster, timeout=_WAIT) as client:
                yield client
        finally:
            with suppress(Exception):  # a worker that was killed is no fault of what was computed
                cluster.close(timeout=10)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Yield a client of the scheduler at an address, whose workers have what they need."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other versions, which are said below
        try:
            client = dask().Client(address, timeout=_WAIT, set_as_default=False)
        except (OSError, ValueError, TypeError) as fault:
            raise InputError(
                f"{address}: no Dask scheduler answers there; start one with `dask scheduler`, or correct the address"
            ) from fault
    try:
        _check_workers(client, address)
        yield client
    finally:
        with suppress(Exception):
            client.close(timeout=5)


def _check_workers(client: Any, address: str) -> None:  # noqa: ANN401 - distributed has no types
    """InputError where there is no worker, or where one lacks offer-bandit or has other versions."""
    mine = versions()
    try:
        client.wait_for_workers(1, timeout=_WAIT)
    except TimeoutError as fault:
        raise InputError(
            f"{address}: the scheduler has no workers; start some with `dask worker {address} --nthreads 1`"
        ) from fault
    cure = f'install the same on all: pip install "offer-bandit[cluster]=={mine["offer-bandit"]}"'
    try:
        found = client.run(versions)
    except ImportError as fault:
        raise InputError(f"{address}: a worker cannot load offer-bandit ({fault}); {cure}") from None
    except Exception as fault:  # noqa: BLE001 - whatever a worker raises is told
        raise InputError(f"{address}: the workers cannot be asked what they have ({fault}); {cure}") from None
    for worker, theirs in found.items():
        other = next((name for name, version in mine.items() if theirs.get(name) != version), None)
        if other is not None:
            raise InputError(
                f"{address}: the worker {worker} has {other} {theirs.get(other)} and this process has {mine[other]}; "
                f"{cure}"
            )


def _check_reads(client: Any, log: DatasetLog) -> None:  # noqa: ANN401
    """InputError where a worker cannot read the dataset."""
    content = log.folder.read(MANIFEST_NAME) or b""
    for worker, why in client.run(can_read, log.folder, MANIFEST_NAME, len(content)).items():
        if why:
            shared = "a local folder of this machine" if log.is_local else "an address"
            raise InputError(
                f"{log.address}: the worker {worker} cannot read it ({why}); the dataset is in {shared}: put it where "
                "all workers can read it, such as a shared disk or s3://"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the log of dask to itself: what matters is raised."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: this one ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

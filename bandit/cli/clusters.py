"""The cluster of a command: what computes on the parts of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from bandit.cli.console import note, progress
from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.cli.logs import OpenedLog
    from bandit.domain import PartRunner


@contextmanager
def part_runner(log: OpenedLog, cluster: str | None) -> Iterator[PartRunner | None]:
    """Yield what computes on the parts of a dataset, None for other logs; InputError for a cluster for these.

    Without `cluster`, a large dataset is computed by a process for each processor: see `default_cluster`.
    """
    from bandit.logfiles import DatasetLog

    if not isinstance(log, DatasetLog):
        refuse_cluster(cluster)
        yield None
        return
    from bandit.cluster.opening import IN_PROCESS, default_cluster, open_runner

    chosen = default_cluster(log) if cluster is None else cluster
    if cluster is None and chosen != IN_PROCESS:
        note(f"note: the dataset is read by a process for each processor; --cluster {IN_PROCESS} reads it in this one")
    with ExitStack() as stack:
        with progress("starting the cluster"):
            runner = stack.enter_context(open_runner(chosen, log))
        yield runner


def refuse_cluster(cluster: str | None) -> None:
    """Raise InputError for a cluster that is named for a log without parts."""
    if cluster is not None:
        raise InputError(
            "--cluster is for datasets, whose partitions are read side by side; write one with "
            "`offer-bandit export DB DIR --partitions 64`"
        )

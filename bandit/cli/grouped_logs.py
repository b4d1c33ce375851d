"""Open the log of a command that compares groups of customers: a database, or a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from bandit.catalogue import Catalogue
    from bandit.domain import PartRunner
    from bandit.logfiles.dataset.log import DatasetLog
    from bandit.store import Store


@dataclass(frozen=True, slots=True)
class GroupedFile:
    """The options of the log, as given: its path, a catalogue, (kind, event, window) of the objective, the cluster."""

    path: Path
    catalogue: Path | None
    objective: tuple[str | None, str | None, str | None]
    cluster: str | None


@dataclass(frozen=True, slots=True)
class OpenedGroups:
    """A database, or a dataset with what computes on its parts."""

    catalogue: Catalogue
    store: Store | None = None
    dataset: DatasetLog | None = None
    runner: PartRunner | None = None

    def parts(self) -> DatasetLog:
        """Return the dataset."""
        if self.dataset is None:
            raise ValueError("this log is a database")
        return self.dataset


@contextmanager
def opened_groups(given: GroupedFile, command: str) -> Iterator[OpenedGroups]:
    """Open the log; InputError for a log file, which does not say who was in which group."""
    from bandit.catalogue import Catalogue
    from bandit.cli.clusters import part_runner, refuse_cluster
    from bandit.cli.databases import catalogue_for, reading
    from bandit.cli.datasets import is_dataset
    from bandit.cli.logs import LOG_FILE_ENDINGS, say_notices, with_objective
    from bandit.logfiles.dataset.log import open_dataset

    path = given.path
    if path.name.endswith(LOG_FILE_ENDINGS):
        raise InputError(
            f"{path}: {command} needs a database or a dataset, which have every customer's group; import the file "
            "first, or write a dataset with `offer-bandit export`"
        )
    if is_dataset(path):
        log = open_dataset(path, None if given.catalogue is None else Catalogue.from_toml(given.catalogue))
        target = with_objective(log.catalogue, *given.objective)
        if target is not log.catalogue:
            log = open_dataset(path, target)
        say_notices(target)
        with part_runner(log, given.cluster) as runner:
            yield OpenedGroups(target, dataset=log, runner=runner)
        return
    refuse_cluster(given.cluster)
    with reading(path) as store:
        target = with_objective(catalogue_for(store, given.catalogue), *given.objective)
        yield OpenedGroups(target, store=store)

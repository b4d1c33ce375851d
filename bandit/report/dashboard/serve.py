"""How Datasette is started: its settings, the arguments of its command, and starting it in this process."""

from __future__ import annotations

import importlib.util
import shlex
from dataclasses import dataclass
from pathlib import Path

from bandit.errors import InputError, MissingExtraError

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this machine reaches."""

DATASETTE_SETTINGS = {
    "sql_time_limit_ms": "5000",
    "facet_time_limit_ms": "1000",
    "suggest_facets": "off",
    "allow_download": "off",
    "default_page_size": "50",
    "max_returned_rows": "1000",
    "truncate_cells_html": "200",
}
"""Settings of Datasette: bounded queries, no download of the file."""

_NOT_IN_A_URI = "?#%"


@dataclass(frozen=True, slots=True)
class DashboardServer:
    """One Datasette: the database, the metadata file, the address, and whether the file is a finished copy.

    Datasette opens the file read-only. `immutable` tells SQLite that nobody writes to it, which skips locks and the
    write-ahead log: right for a backup, wrong for a database that an engine may open.
    """

    database: Path
    metadata: Path
    host: str = "127.0.0.1"
    port: int = 8001
    immutable: bool = False

    def check(self) -> None:
        """InputError for a path that SQLite would read as a URI, and for a copy that is not finished."""
        if any(mark in str(self.database) for mark in _NOT_IN_A_URI):
            raise InputError(
                f"{self.database}: Datasette cannot open a path with ?, # or % in it; rename the file or its folder"
            )
        log = self.database.with_name(self.database.name + "-wal")
        if self.immutable and log.exists() and log.stat().st_size:
            raise InputError(
                f"{self.database}: has a write-ahead log beside it, so it is in use or was not closed; leave out "
                "--immutable, or make a copy with `offer-bandit backup`"
            )

    @property
    def arguments(self) -> list[str]:
        """The arguments of the command `datasette`."""
        opened = ["-i", str(self.database)] if self.immutable else [str(self.database)]
        settings = [part for name, value in DATASETTE_SETTINGS.items() for part in ("--setting", name, value)]
        address = ["--host", self.host, "--port", str(self.port)]
        return ["serve", *opened, "--metadata", str(self.metadata), *address, *settings]

    @property
    def command(self) -> str:
        """The command as it is typed in a shell."""
        return shlex.join(["datasette", *self.arguments])

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOCAL_HOSTS

    def run(self) -> None:
        """Serve until it is interrupted; MissingExtraError where Datasette is not installed."""
        if not has_datasette():
            raise MissingExtraError("serving the dashboard", "dashboard")
        from datasette.cli import cli  # noqa: PLC0415 - an extra

        cli.main(self.arguments, prog_name="datasette", standalone_mode=False)


def has_datasette() -> bool:
    """Say whether Datasette is installed."""
    return importlib.util.find_spec("datasette") is not None
